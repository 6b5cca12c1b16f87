//! A loop in a job: how many steps the Collatz rule takes from each number down to 1. A number goes round, one step at a time and each on the
//! shard that it belongs to, until it is 1.

mod common;

use std::process::ExitCode;

use clap::Parser;
use millstream::io::{Print, sequence};
use millstream::prelude::*;

/// Prints `number,steps` for each number.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// The numbers are 2 to this one.
    #[arg(long, default_value_t = 1_000)]
    numbers: u32,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

/// A number on its way down.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Walk {
    from: u64,
    at: u64,
    steps: u64,
}

impl Walk {
    fn step(self) -> Walk {
        let at = if self.at.is_multiple_of(2) { self.at / 2 } else { 3 * self.at + 1 };
        Walk { at, steps: self.steps + 1, ..self }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::run(Job::new("iterative").shards(args.shards), args.explain, move |flow| {
        flow.source("numbers", sequence(2..=i64::from(args.numbers)))
            .map(|n| Walk { from: n as u64, at: n as u64, steps: 0 })
            .iterate(|walks| {
                let (again, done) = walks.key_by(|walk| walk.at).views().map(|walk| walk.step()).fork();
                (again.filter(|walk| walk.at != 1), done.owned().filter(|walk| walk.at == 1))
            })
            .map(|walk| format!("{},{}", walk.from, walk.steps))
            .sink("steps", Print::stdout());
    })
}
