//! Benchmarks of Millstream, each against a reference that is measured in the same run.
//!
//! `cargo run --release -p millstream-bench -- micro`: see `docs/benchmarks/micro.md`.

mod batch;
mod bids;
mod checkpoint;
mod latency;
mod memory;
mod micro;
mod nexmark;
mod outcome;
mod position;
mod report;
mod scaling;
mod spill;
mod throughput;
mod ttl;
mod works;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use millstream_yardstick::{clock, lock, machine, stats};

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
    /// Aggregates more than memory holds, in batch mode.
    Batch(batch::BatchArgs),
    /// What checkpoints cost: throughput, gaps, bytes, restore, the delay of exactly-once output.
    Checkpoint(checkpoint::CheckpointArgs),
    /// How long records and calls take: percentiles, over time, beside the machine and other ways to ask.
    Latency(latency::LatencyArgs),
    /// The queries of Nexmark: throughput per core, memory, latency, checkpoints; or their rows beside a reference's.
    Nexmark(nexmark::NexmarkArgs),
    /// Makes one page with plots of what benchmarks have written.
    Report(report::ReportArgs),
    /// Measures one and two shards and the parts of the way, and says what more shards are expected to give.
    Scaling(scaling::ScalingArgs),
    /// Counts keys whose state is larger than memory.
    Spill(spill::SpillArgs),
    /// Lets keys pass through a state whose entries expire.
    Ttl(ttl::TtlArgs),
    /// The works that the peers do, too: one run, one line of JSON.
    Works(works::WorksArgs),
    #[command(hide = true)]
    NexmarkChild(nexmark::ChildArgs),
    #[command(hide = true)]
    RestoreChild(micro::restore::ChildArgs),
}

fn main() -> ExitCode {
    let result = match Args::parse().what {
        What::Micro(args) => micro::run(&args),
        What::Batch(args) => batch::run(&args),
        What::Checkpoint(args) => checkpoint::run(&args),
        What::Latency(args) => latency::run(&args),
        What::Nexmark(args) => nexmark::run(&args),
        What::NexmarkChild(args) => nexmark::child(&args),
        What::Report(args) => report::run(&args),
        What::Scaling(args) => scaling::run(&args),
        What::Spill(args) => spill::run(&args),
        What::Ttl(args) => ttl::run(&args),
        What::Works(args) => works::run(&args),
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
