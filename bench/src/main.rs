//! Benchmarks of Millstream, each against a reference that is measured in the same run.
//!
//! `cargo run --release -p millstream-bench -- micro`: see `docs/benchmarks/micro.md`.

mod bids;
mod clock;
mod lock;
mod machine;
mod micro;
mod outcome;
mod stats;
mod throughput;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks of Millstream, each against a reference that is measured in the same run.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Measures the engine's parts: one line per measure with name, value, unit, reference value and ratio.
    Micro(micro::Args),
    #[command(hide = true)]
    RestoreChild(micro::restore::ChildArgs),
}

fn main() -> ExitCode {
    let result = match Args::parse().what {
        What::Micro(args) => micro::run(&args),
        What::RestoreChild(args) => micro::restore::child(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
