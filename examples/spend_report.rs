//! What each account has spent in each hour, as in Flink's walkthrough of the same name: a report that is complete for an hour as soon as event
//! time has passed it.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::Transactions;
use millstream::prelude::*;

/// Adds up generated payments: prints `account,hour,cents`, the hour by its first millisecond.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many payments there are.
    #[arg(long, default_value_t = 20_000)]
    payments: u64,
    /// Other seeds give other payments.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let payments = Transactions::seeded(args.seed).count(args.payments);
    common::run(Job::new("spend_report").shards(args.shards), args.explain, move |flow| {
        flow.source("payments", payments.into_source())
            .source_time(Watermarks::monotonous())
            .key_by(|payment| payment.account)
            .window(Tumbling::of(Duration::from_secs(3600)))
            .sum(|payment| payment.cents)
            .map(|spent| format!("{},{},{}", spent.key, spent.window.start, spent.value))
            .sink("report", Print::stdout());
    })
}
