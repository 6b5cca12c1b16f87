//! The jobs of the scenarios: how they are started, watched and stopped.

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::element::Epoch;
use millstream::prelude::*;
use tempfile::TempDir;

use super::figures::{Second, Series, micros_of};
use super::host::{Seen, beside};
use super::recorder::merged;
use super::schedule::{NANOS_PER_SECOND, Plan};
use super::settings::{Settings, Variant};
use super::watch::watch;
use crate::clock::monotonic_nanos;

/// How long a job is given to start.
const START_MAX: Duration = Duration::from_secs(60);

/// Checkpoints that come more often than this are counted, not marked.
const MARKED_MIN: Duration = Duration::from_millis(10);

/// How many seconds are between two looks at the newest checkpoints, of which a hundred are kept.
const SECONDS_PER_LOOK: u64 = 5;

/// A job of a scenario that has been started.
pub struct Running {
    handle: JobHandle,
    variant: Variant,
    started: u64,
    /// Gone when the job is.
    _state: Option<TempDir>,
}

/// What was seen of a job while it ran.
#[derive(Default)]
pub struct Watched {
    disturbed: Vec<Option<String>>,
    checkpoints: Vec<f64>,
}

/// A job, and where its state lies if it makes checkpoints.
pub struct Unstarted {
    pub job: Job,
    variant: Variant,
    state: Option<TempDir>,
}

impl Unstarted {
    /// On so many shards, each on a core of its own.
    pub fn new(
        settings: &Settings,
        variant: Variant,
        name: &str,
        shards: u16,
    ) -> Result<Unstarted, Box<dyn Error>> {
        let mut job =
            Job::new(name).shards(shards).cores(settings.shard_cores(shards)).wait(variant.wait.policy());
        let state = variant.checkpoints.map(|_| tempfile::tempdir_in(&settings.dir)).transpose()?;
        if let (Some(state), Some(interval)) = (&state, variant.checkpoints) {
            job = job.state_dir(state.path()).checkpoint_interval(interval);
        }
        Ok(Unstarted { job, variant, state })
    }

    /// Starts it, and waits until it runs.
    pub fn start(self, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<Running, Box<dyn Error>> {
        let (started, begin) = (monotonic_nanos(), Instant::now());
        let handle = self.job.spawn(program)?;
        while handle.status() != JobStatus::Running {
            if handle.status().is_over() || begin.elapsed() > START_MAX {
                handle.cancel();
                return Err(handle.wait().err().map_or_else(|| "the job does not start".into(), Into::into));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(Running { handle, variant: self.variant, started, _state: self.state })
    }
}

impl Running {
    /// Sleeps through what counts of the plan, and looks at who else used the cores, and at the checkpoints.
    pub fn watch(&self, cores: &[usize], plan: &Plan) -> Watched {
        let (mut newest, mut second) = (Epoch(0), 0);
        let mut checkpoints = Vec::new();
        let marks = self.variant.checkpoints.is_some_and(|interval| interval >= MARKED_MIN);
        let disturbed = watch(cores, plan.from(), plan.seconds, || {
            second += 1;
            if !marks || (second % SECONDS_PER_LOOK != 0 && second != plan.seconds) {
                return;
            }
            for checkpoint in self.handle.checkpoints() {
                if checkpoint.epoch > newest && checkpoint.failure.is_none() {
                    newest = checkpoint.epoch;
                    let done = self.started + (checkpoint.started + checkpoint.duration).as_nanos() as u64;
                    checkpoints.push((done as f64 - plan.from() as f64) / NANOS_PER_SECOND as f64);
                }
            }
        });
        checkpoints.retain(|at| (0.0..=plan.seconds as f64).contains(at));
        Watched { disturbed, checkpoints }
    }

    /// Runs the host's thread on a core of its own while the job is watched, and stops the job.
    pub fn with_host(
        self,
        settings: &Settings,
        host_core: usize,
        plan: &Plan,
        host: impl FnOnce() -> Result<Seen, String> + Send,
    ) -> Result<Series, Box<dyn Error>> {
        let ran = beside(host_core, host, || self.watch(&settings.cores, plan));
        let variant = self.variant;
        // Where the job failed, that is why the host did.
        let summary = self.stop()?;
        let (seen, watched) = ran?;
        let late = merged(&seen.late.into_seconds());
        let mut series = series(&variant, seen.latencies.into_seconds(), watched, &summary);
        series.notes.push(format!(
            "sent late by {:.1} us (p99), {:.0} us at most; {} records back, warm-up included",
            micros_of(&late, 0.99),
            micros_of(&late, 1.0),
            seen.received
        ));
        if seen.fell_behind {
            series.notes.push("FELL BEHIND its schedule by more than 2 s: this rate is too much".to_owned());
        }
        Ok(series)
    }

    /// Waits until the job is over of itself.
    pub fn await_end(self) -> Result<Summary, Box<dyn Error>> {
        Ok(self.handle.wait()?)
    }

    /// Stops the job.
    pub fn stop(self) -> Result<Summary, Box<dyn Error>> {
        self.handle.cancel();
        self.await_end()
    }
}

/// What a job's run gives.
pub fn series(
    variant: &Variant,
    seconds: Vec<Histogram<u64>>,
    watched: Watched,
    summary: &Summary,
) -> Series {
    let checkpoints = &summary.metrics.checkpoints;
    let made = match variant.checkpoints {
        None => String::new(),
        Some(_) => format!(
            ", {} checkpoints, {} failed, the longest {:.2} ms",
            checkpoints.completed,
            checkpoints.failed,
            checkpoints.longest.as_secs_f64() * 1e3
        ),
    };
    Series {
        label: variant.label(),
        seconds: Second::all(seconds, watched.disturbed),
        checkpoints: watched.checkpoints,
        notes: vec![format!("{} driver{made}", summary.driver)],
    }
}
