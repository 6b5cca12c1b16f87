//! `scaling`: measures two works on one shard and on two, and the parts of a record's way by themselves; says from the parts what more shards are
//! expected to give, and how far that is off where it was measured.
//!
//! `cargo run --release -p millstream-bench -- scaling --json FILE`: see `docs/benchmarks/scaling.md`.

mod bandwidth;
mod exchange;
mod measure;
mod model;
mod state;
mod works;

use std::error::Error;
use std::path::PathBuf;

use crate::micro::Settings;
use crate::report::model::{Kind, Run, Scaling};
use crate::report::output::Output;
use crate::report::shards::describe;
use crate::{lock, machine};
use measure::measure;

/// How many keys the records have, of the work with most of them.
const KEYS: u64 = 1_000_000;

/// What is measured, and for which machine.
#[derive(clap::Args)]
pub struct ScalingArgs {
    /// Also writes everything to this file, for the report.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many rounds the medians are of.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// What the memory of the machine that is asked about lets through, in GB/s read and written together [default: what it does here].
    #[arg(long, value_name = "GB/S", value_parser = bandwidth_of)]
    memory_bandwidth: Option<f64>,
    /// Multiplies all times and sizes: to see whether everything works, not to measure.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, hide = true)]
    scale: f64,
}

fn bandwidth_of(words: &str) -> Result<f64, String> {
    match words.parse() {
        Ok(bandwidth) if bandwidth > 0.0 && f64::is_finite(bandwidth) => Ok(bandwidth),
        _ => Err("no bandwidth; give GB/s, such as 40".to_owned()),
    }
}

/// Measures, predicts, prints.
///
/// # Errors
/// Another benchmark runs, there are too few cores, the file cannot be written, or a job failed.
pub fn run(args: &ScalingArgs) -> Result<(), Box<dyn Error>> {
    let settings = Settings::new(args.rounds, &std::env::temp_dir(), args.scale)?;
    let cores = settings.cores();
    if cores.len() < 2 {
        return Err(format!(
            "scaling needs two cores, to measure two shards and a ring between them; this process may use {cores:?}: run it where there are more, or \
             widen the process's cpuset (taskset, docker --cpuset-cpus)"
        )
        .into());
    }
    let json = Output::open("--json", args.json.as_deref())?;
    let _alone = lock::take(&std::env::temp_dir().join("millstream-bench.lock"))?;
    let machine = machine::describe(cores);
    println!("machine: {machine}");
    let measured = measure(&settings, args.memory_bandwidth.map(|gigabytes| gigabytes * 1e9))?;
    let mut run = Run::of_this_process(Kind::Scaling, &machine)?;
    run.placement = Some(format!(
        "shard 0 on core {}, shard 1 on core {}; the control thread is not pinned",
        cores[0], cores[1]
    ));
    (run.rows, run.scaling, run.notes, run.raw) =
        (measured.rows, measured.models, measured.notes, measured.raw);
    run.notes.iter().for_each(|note| println!("{note}"));
    run.scaling.iter().for_each(|model: &Scaling| println!("{}", describe(model)));
    json.map_or(Ok(()), |json| Ok(json.write_run(&run)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_are_numbers_above_zero() {
        assert_eq!(bandwidth_of("40"), Ok(40.0));
        for wrong in ["0", "-1", "fast", "inf", "NaN"] {
            assert!(bandwidth_of(wrong).unwrap_err().contains("GB/s"), "{wrong}");
        }
    }

    #[test]
    fn everything_is_measured_and_predicted_in_brief() {
        let settings = Settings::new(1, &std::env::temp_dir(), 0.02).unwrap();
        if settings.cores().len() < 2 {
            return assert!(settings.cores_for(2).is_err());
        }
        let measured = measure(&settings, Some(20e9)).unwrap();
        assert_eq!(measured.models.len(), works::WORKS.len());
        for model in &measured.models {
            let shards: Vec<u16> = model.points.iter().map(|point| point.shards).collect();
            assert_eq!(shards, [1, 2, 4, 8, 16, 32, 64]);
            assert!(model.points.iter().all(|point| point.events_per_second > 0.0), "{model:?}");
            assert_eq!(model.checks.iter().map(|check| check.shards).collect::<Vec<_>>(), [1, 2]);
            assert!(model.parts.len() >= 6);
            let text = describe(model);
            assert!(text.contains("2 shards") && text.contains("error"), "{text}");
        }
        assert_eq!(measured.rows.len(), 2 * works::WORKS.len());
    }
}
