//! `works`: the works that the peers do, too, one run at a time, with results that are checked.
//!
//! `cargo run --release -p millstream-bench -- works --work keyed --shards 2`: see `docs/benchmarks/peers.md`.

mod jobs;
mod source;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use millstream::prelude::*;
use millstream_yardstick::course::Watch;
use millstream_yardstick::report::{Runner, line};
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{Collected, Results, Task, oracle};
use serde_json::Value;

use crate::lock;

/// What `works` is told.
#[derive(clap::Args)]
pub struct WorksArgs {
    #[command(flatten)]
    task: Task,
    /// Milliseconds from one checkpoint to the next, or `off`.
    #[arg(long, value_name = "MS", default_value = "off", value_parser = interval)]
    checkpoint_interval: Interval,
    /// Where the state directory is made: a directory on the disk that checkpoints are to be measured on.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Computes the results in the plainest way as well, and fails if they differ.
    #[arg(long)]
    check: bool,
    /// Writes the line there, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval(Option<Duration>);

fn interval(text: &str) -> Result<Interval, String> {
    match (text, text.parse::<u64>()) {
        ("off", _) => Ok(Interval(None)),
        (_, Ok(millis @ 1..)) => Ok(Interval(Some(Duration::from_millis(millis)))),
        _ => Err("give milliseconds, at least 1, or `off`".to_owned()),
    }
}

/// Does a work once, and prints a line of JSON.
///
/// # Errors
/// Another benchmark runs, there are too few cores, the job failed, or `--check` found other results.
pub fn run(args: &WorksArgs) -> Result<(), Box<dyn Error>> {
    let task = &args.task;
    if !task.exchange {
        return Err("Millstream's `key_by` is always an exchange: leave out --exchange false".into());
    }
    let _alone = lock::take(&lock::path())?;
    let (report, results) = measured(args)?;
    println!("{report}");
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{report}\n"))
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let expected = if args.check { oracle(task) } else { results };
    match results == expected {
        true => Ok(()),
        false => Err(format!("wrong results: {results:?} where {expected:?} was to come out").into()),
    }
}

fn measured(args: &WorksArgs) -> Result<(Value, Results), Box<dyn Error>> {
    let task = args.task.clone();
    let (tally, collected) = (Tally::new(task.shards), Collected::default());
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let cores = cores.get(..usize::from(task.shards)).ok_or_else(|| {
        format!("--shards {} needs as many cores, this process may use {}", task.shards, cores.len())
    })?;
    let mut job =
        Job::new("works").shards(task.shards).cores(cores.iter().map(|core| core.id).collect::<Vec<_>>());
    job = job.wait(WaitPolicy::Spin);
    let mut state = None;
    if let Some(every) = args.checkpoint_interval.0 {
        let dir = tempfile::tempdir_in(&args.dir).map_err(|error| {
            format!("--dir {}: cannot make a directory there: {error}", args.dir.display())
        })?;
        job = job.state_dir(dir.path()).checkpoint_interval(every);
        state = Some(dir);
    }
    let watch = Watch::start(&tally, task.warm_up, task.events);
    let handle = {
        let (task, tally, collected) = (task.clone(), tally.clone(), collected.clone());
        job.spawn(move |flow| jobs::program(flow, &task, &tally, &collected))?
    };
    let summary = handle.wait()?;
    drop(state);
    let (course, results) = (watch.end()?, collected.all()?);
    let settings = format!("waits by spinning; {} driver", summary.driver);
    let runner = Runner {
        system: "millstream",
        version: env!("CARGO_PKG_VERSION"),
        guarantee: if args.checkpoint_interval.0.is_some() { "exactly once" } else { "none" },
        settings: &settings,
    };
    let mut report = line(&runner, &task, &course, results);
    if let Some(every) = args.checkpoint_interval.0 {
        report["checkpoint_interval_ms"] = (every.as_millis() as u64).into();
        report["checkpoints"] = summary.metrics.checkpoints.completed.into();
    }
    Ok((report, results))
}

#[cfg(test)]
mod tests {
    use millstream_yardstick::works::Work;

    use super::*;

    fn agrees(work: Work, keys: u64, records: u64, interval: Option<Duration>) {
        let task = Task::new(work, Some(keys), 1, records, records / 4);
        let args = WorksArgs {
            task: task.clone(),
            checkpoint_interval: Interval(interval),
            dir: std::env::temp_dir(),
            check: false,
            json: None,
        };
        let (report, results) = measured(&args).unwrap();
        assert_eq!(results, oracle(&task), "{report}");
    }

    #[test]
    fn every_work_agrees_with_the_oracle() {
        agrees(Work::Passthrough, 1000, 200_000, None);
        agrees(Work::Wordcount, 300, 20_000, None);
        agrees(Work::Keyed, 1000, 200_000, None);
        agrees(Work::Window, 1000, 2_500_000, None);
    }

    #[test]
    fn checkpoints_change_no_result() {
        agrees(Work::Keyed, 1000, 400_000, Some(Duration::from_millis(1)));
        agrees(Work::Window, 100, 1_500_000, Some(Duration::from_millis(1)));
    }

    #[test]
    fn an_interval_is_milliseconds_or_off() {
        assert_eq!(interval("off"), Ok(Interval(None)));
        assert_eq!(interval("250"), Ok(Interval(Some(Duration::from_millis(250)))));
        assert!(interval("0").is_err() && interval("1s").is_err());
    }
}
