//! What checkpoints cost: throughput, gaps of the shard's loop, bytes written against bytes changed, restore, savepoints, and the delay of output
//! that is shown exactly once.
//!
//! `cargo run --release -p millstream-bench -- checkpoint --json FILE`: see `docs/benchmarks/README.md`. Checkpoints lie on the disk of `--dir`.

mod catch_up;
mod cost;
mod delay;
mod restore;
mod savepoint;
mod visits;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::{lock, machine};

/// What is measured, and with how much.
#[derive(Args, Clone)]
pub struct CheckpointArgs {
    /// Also writes everything, every single value included, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How much state, in MB.
    #[arg(long, value_name = "MB", value_delimiter = ',', default_values_t = [10, 1000, 8000])]
    sizes: Vec<u64>,
    /// The intervals, in milliseconds.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [1000, 100, 10])]
    intervals: Vec<u64>,
    /// How long each stretch is, in seconds, once it is warm.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many rounds the medians are of.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Where state directories are made: a directory on the disk that checkpoints are to be measured on.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

/// What every part is told.
struct Settings {
    intervals: Vec<Duration>,
    stretch: Duration,
    rounds: usize,
    dir: PathBuf,
    core: usize,
}

/// Measures all of it.
pub fn run(args: &CheckpointArgs) -> Result<(), Box<dyn Error>> {
    if !args.dir.is_dir() {
        return Err(format!("--dir {}: no such directory", args.dir.display()).into());
    }
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        return Err(format!("--seconds {} makes no sense; give the length of a stretch", args.seconds).into());
    }
    if args.intervals.contains(&0) || args.sizes.contains(&0) {
        return Err("an interval or a size of 0 makes no sense".into());
    }
    let _alone = lock::take(&std::env::temp_dir().join("millstream-bench.lock"))?;
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = cores.first().ok_or("this process may use no core")?.id;
    let settings = Settings {
        intervals: args.intervals.iter().map(|millis| Duration::from_millis(*millis)).collect(),
        stretch: Duration::from_secs_f64(args.seconds),
        rounds: usize::from(args.rounds),
        dir: args.dir.clone(),
        core,
    };
    let machine = machine::describe(&[core]);
    println!("machine: {machine}");
    println!("one shard on core {core}; {} rounds of {:?}; medians", settings.rounds, settings.stretch);
    let mut sizes = Vec::new();
    for megabytes in &args.sizes {
        let cost = cost::measure(&settings, *megabytes)?;
        let restore = restore::measure(&settings, *megabytes)?;
        let savepoint = savepoint::measure(&settings, *megabytes)?;
        let size =
            json!({ "megabytes": megabytes, "cost": cost, "restore": restore, "savepoint": savepoint });
        sizes.push(size);
    }
    let delay = delay::measure(&settings)?;
    let catch_up = catch_up::measure(&settings)?;
    write(args, &json!({ "machine": machine, "sizes": sizes, "delay": delay, "catch_up": catch_up }))
}

fn write(args: &CheckpointArgs, all: &Value) -> Result<(), Box<dyn Error>> {
    let Some(file) = &args.json else { return Ok(()) };
    std::fs::write(file, format!("{all:#}\n")).map_err(|error| format!("{}: {error}", file.display()).into())
}
