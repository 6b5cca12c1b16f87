//! How a job makes checkpoints: Flink's parameters, with its meanings and, unless a line here says otherwise, its defaults
//! ([Flink: Checkpointing](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/checkpointing/)).

pub(super) mod checkpoint_dir;
mod interval;
mod mode;
mod retention;

pub use interval::{CheckpointInterval, NoInterval};
pub use retention::{CheckpointRetention, NoRetention};

use std::path::PathBuf;
use std::time::Duration;

use super::given::{Given, SettingConflict};
use super::{Job, JobError};
use crate::checkpoint::CheckpointMode;
use crate::params::{Length, Params};

/// The shortest time between two checkpoints.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Checkpointing {
    pub(crate) mode: Given<CheckpointMode>,
    pub(crate) interval: Given<CheckpointInterval>,
    pub(crate) min_pause: Given<Duration>,
    pub(crate) timeout: Given<Duration>,
    pub(crate) max_concurrent: Given<u32>,
    pub(crate) tolerable_failures: Given<u32>,
    /// Flink's setting before there was a number of tolerable failures.
    fail_on_errors: Option<bool>,
    pub(crate) retention: Given<CheckpointRetention>,
    pub(crate) retained: Given<usize>,
    /// Where a second copy of each checkpoint goes.
    pub(crate) replica: Option<PathBuf>,
}

impl Default for Checkpointing {
    fn default() -> Self {
        Checkpointing {
            mode: Given::by_default(CheckpointMode::default()),
            interval: Given::by_default(CheckpointInterval::Every(Duration::from_secs(1))),
            min_pause: Given::by_default(Duration::ZERO),
            timeout: Given::by_default(Duration::from_secs(60)),
            max_concurrent: Given::by_default(1),
            tolerable_failures: Given::by_default(0),
            fail_on_errors: None,
            retention: Given::by_default(CheckpointRetention::default()),
            retained: Given::by_default(3),
            replica: None,
        }
    }
}

/// Checkpoints.
impl Job {
    /// How checkpoints are taken (default: [`CheckpointMode::Unaligned`]). A job with iterations takes them in no other way: records that
    /// go round are always on their way. By parameter: `execution.checkpointing.mode`, and where that is `EXACTLY_ONCE` or not given,
    /// `execution.checkpointing.unaligned` and `execution.checkpointing.aligned-checkpoint-timeout`.
    #[track_caller]
    pub fn checkpoint_mode(mut self, mode: CheckpointMode) -> Job {
        self.checkpoints.mode = Given::by_program(mode, "Job::checkpoint_mode");
        self
    }

    /// The time between the beginnings of two checkpoints (default 1 s; at least 1 ms), or one that follows from how long a restart may
    /// take: [`CheckpointInterval::auto`]. By parameter: `execution.checkpointing.interval`, as in `500 ms`, `auto(200 ms)` or `off`.
    #[track_caller]
    pub fn checkpoint_interval(mut self, interval: impl Into<CheckpointInterval>) -> Job {
        self.checkpoints.interval = Given::by_program(interval.into(), "Job::checkpoint_interval");
        self
    }

    /// The least time between the end of a checkpoint and the beginning of the next (default 0). By parameter:
    /// `execution.checkpointing.min-pause`.
    #[track_caller]
    pub fn checkpoint_min_pause(mut self, pause: Duration) -> Job {
        self.checkpoints.min_pause = Given::by_program(pause, "Job::checkpoint_min_pause");
        self
    }

    /// After this long a checkpoint is given up and counts as failed (default 60 s; Flink: 10 min). By parameter:
    /// `execution.checkpointing.timeout`.
    #[track_caller]
    pub fn checkpoint_timeout(mut self, timeout: Duration) -> Job {
        self.checkpoints.timeout = Given::by_program(timeout, "Job::checkpoint_timeout");
        self
    }

    /// How many checkpoints may be under way at the same time (default 1, and no more than that: one begins when the one before is
    /// complete). A larger number is an error that names what it contradicts; with [`Job::flink_compat`] it is taken as 1, with a warning.
    /// By parameter: `execution.checkpointing.max-concurrent-checkpoints`.
    #[track_caller]
    pub fn max_concurrent_checkpoints(mut self, checkpoints: u32) -> Job {
        self.checkpoints.max_concurrent = Given::by_program(checkpoints, "Job::max_concurrent_checkpoints");
        self
    }

    /// How many checkpoints may fail in a row without failing the job (default 0). A failure of a function in the middle of a switch fails the job
    /// in any case. By parameter: `execution.checkpointing.tolerable-failed-checkpoints`.
    #[track_caller]
    pub fn tolerable_checkpoint_failures(mut self, failures: u32) -> Job {
        self.checkpoints.tolerable_failures =
            Given::by_program(failures, "Job::tolerable_checkpoint_failures");
        self
    }

    /// Whether a failed checkpoint fails the job: `true` tolerates none, `false` any number. A number that is given by
    /// [`Job::tolerable_checkpoint_failures`], or by its parameter, counts before this.
    #[deprecated(note = "use Job::tolerable_checkpoint_failures, as in Flink since 1.9")]
    pub fn fail_on_checkpointing_errors(mut self, fail: bool) -> Job {
        self.checkpoints.fail_on_errors = Some(fail);
        self
    }

    /// What becomes of the checkpoints of a job that is canceled (default: they stay; Flink: they go). By parameter:
    /// `execution.checkpointing.externalized-checkpoint-retention`.
    #[track_caller]
    pub fn checkpoint_retention(mut self, retention: CheckpointRetention) -> Job {
        self.checkpoints.retention = Given::by_program(retention, "Job::checkpoint_retention");
        self
    }

    /// Where a second copy of each checkpoint goes (default: there is none): another disk, or another machine's by way of the file system.
    /// A thread writes it behind the commit, so that no record waits for it. How far it is behind is in
    /// [`CheckpointMetrics::replica`](crate::runtime::metrics::CheckpointMetrics::replica); that it fails is logged and never fails the
    /// job. The directory can be another run's [`Job::state_dir`]. Journals are not part of it.
    pub fn replicate_to(mut self, dir: impl Into<PathBuf>) -> Job {
        self.checkpoints.replica = Some(dir.into());
        self
    }

    /// How many checkpoints are kept (default 3; Flink: 1). By parameter: `state.checkpoints.num-retained`.
    #[track_caller]
    pub fn retained_checkpoints(mut self, checkpoints: usize) -> Job {
        self.checkpoints.retained = Given::by_program(checkpoints, "Job::retained_checkpoints");
        self
    }
}

impl Checkpointing {
    /// With what the parameters say, where the program says nothing. What contradicts itself is an error, or a warning in the log where
    /// `compat` asks for what Flink does.
    pub(crate) fn settle(&mut self, params: &Params, compat: bool) -> Result<(), JobError> {
        let length = |Length(duration): Length| duration;
        mode::settle(&mut self.mode, params)?;
        let names = ["execution.checkpointing.interval"];
        self.interval.or_params(params, "checkpoint_interval", &names, |interval| interval)?;
        let names = ["execution.checkpointing.min-pause"];
        self.min_pause.or_params(params, "checkpoint_min_pause", &names, length)?;
        let names = ["execution.checkpointing.timeout"];
        self.timeout.or_params(params, "checkpoint_timeout", &names, length)?;
        let names = ["execution.checkpointing.max-concurrent-checkpoints"];
        self.max_concurrent.or_params(params, "max_concurrent_checkpoints", &names, |many| many)?;
        let names = ["execution.checkpointing.tolerable-failed-checkpoints"];
        self.tolerable_failures.or_params(params, "tolerable_checkpoint_failures", &names, |many| many)?;
        let names = ["execution.checkpointing.externalized-checkpoint-retention"];
        self.retention.or_params(params, "checkpoint_retention", &names, |retention| retention)?;
        let names = ["state.checkpoints.num-retained", "execution.checkpointing.num-retained"];
        self.retained.or_params(params, "retained_checkpoints", &names, |many| many)?;
        if let Some(fail) = self.fail_on_errors.take() {
            tracing::warn!("fail_on_checkpointing_errors is out of use; say tolerable_checkpoint_failures");
            if self.tolerable_failures.is_default() {
                self.tolerable_failures.value = if fail { 0 } else { u32::MAX };
            }
        }
        self.one_at_a_time(compat)
    }

    /// More than one checkpoint at a time is not to be had.
    fn one_at_a_time(&mut self, compat: bool) -> Result<(), JobError> {
        if self.max_concurrent.value <= 1 {
            return Ok(());
        }
        let first = format!("max_concurrent_checkpoints = {}", self.max_concurrent.value);
        let (second, because) = match self.min_pause.value.is_zero() {
            false => (
                (format!("checkpoint_min_pause = {:?}", self.min_pause.value), self.min_pause.origin.clone()),
                "with a pause between checkpoints there is never more than one; leave one of the two out",
            ),
            true => (
                (format!("checkpoint_mode = {}", self.mode.value), self.mode.origin.clone()),
                "whatever the mode, one begins when the one before is complete; leave max_concurrent_checkpoints at 1",
            ),
        };
        let conflict =
            SettingConflict { first: (first, self.max_concurrent.origin.clone()), second, because };
        if !compat {
            return Err(JobError::Conflict(Box::new(conflict)));
        }
        tracing::warn!("{conflict}; as in Flink, one checkpoint at a time is made");
        self.max_concurrent.value = 1;
        Ok(())
    }

    /// What makes no sense.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        let wrong = |setting, problem: &str| Err(JobError::Setting { setting, problem: problem.to_owned() });
        match self.interval.value {
            CheckpointInterval::Every(interval) if interval < INTERVAL_MIN => {
                return wrong("checkpoint_interval", "is below 1 ms; give at least 1 ms");
            }
            CheckpointInterval::Auto { recovery_goal } if recovery_goal < INTERVAL_MIN => {
                return wrong("checkpoint_interval", "has a recovery goal below 1 ms; give at least 1 ms");
            }
            _ => {}
        }
        if self.timeout.value.is_zero() {
            return wrong(
                "checkpoint_timeout",
                "is 0, so that every checkpoint would fail; give some seconds",
            );
        }
        if self.max_concurrent.value == 0 {
            return wrong("max_concurrent_checkpoints", "is 0, so that none could be made; give 1");
        }
        if self.retained.value == 0 {
            return wrong("retained_checkpoints", "is 0, so that nothing could be restored; keep at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(job: Job, args: &[&str]) -> Result<Checkpointing, JobError> {
        let job = job.params(Params::from_args(args.iter().copied()).unwrap());
        Ok(job.settled()?.checkpoints)
    }

    #[test]
    fn cp_06_to_cp_15_have_these_defaults() {
        let of = settled(Job::new("defaults"), &[]).unwrap();
        assert!(of.mode.value.is_exactly_once(), "CP-07");
        assert_eq!(of.interval.value, CheckpointInterval::Every(Duration::from_secs(1)));
        assert_eq!((of.min_pause.value, of.timeout.value), (Duration::ZERO, Duration::from_secs(60)));
        assert_eq!((of.max_concurrent.value, of.tolerable_failures.value, of.retained.value), (1, 0, 3));
        assert_eq!(of.retention.value, CheckpointRetention::RetainOnCancellation);
    }

    #[test]
    fn they_are_read_from_flinks_keys_where_the_program_says_nothing() {
        let args = [
            "-Dexecution.checkpointing.interval=10 s",
            "-Dexecution.checkpointing.min-pause=500",
            "-Dexecution.checkpointing.timeout=1 min",
            "-Dexecution.checkpointing.max-concurrent-checkpoints=1",
            "-Dexecution.checkpointing.tolerable-failed-checkpoints=4",
            "-Dexecution.checkpointing.externalized-checkpoint-retention=DELETE_ON_CANCELLATION",
            "-Dstate.checkpoints.num-retained=7",
        ];
        let of = settled(Job::new("by_key").checkpoint_timeout(Duration::from_secs(5)), &args).unwrap();
        assert_eq!(of.interval.value, CheckpointInterval::Every(Duration::from_secs(10)));
        assert_eq!(
            (of.min_pause.value, of.timeout.value),
            (Duration::from_millis(500), Duration::from_secs(5))
        );
        assert_eq!((of.tolerable_failures.value, of.retained.value), (4, 7));
        assert_eq!(of.retention.value, CheckpointRetention::DeleteOnCancellation);
        let error = settled(Job::new("by_key"), &["--execution.checkpointing.timeout", "soon"]).unwrap_err();
        assert!(error.to_string().contains("--execution.checkpointing.timeout"), "{error}");
    }

    #[test]
    #[allow(deprecated)]
    fn cp_12_a_number_counts_before_the_alias() {
        let job = || Job::new("alias");
        let tolerable = |job: Job, args: &[&str]| settled(job, args).unwrap().tolerable_failures.value;
        assert_eq!(tolerable(job().fail_on_checkpointing_errors(true), &[]), 0);
        assert_eq!(tolerable(job().fail_on_checkpointing_errors(false), &[]), u32::MAX);
        let both = job().fail_on_checkpointing_errors(false).tolerable_checkpoint_failures(10);
        assert_eq!(tolerable(both, &[]), 10);
        let key = ["--execution.checkpointing.tolerable-failed-checkpoints", "2"];
        assert_eq!(tolerable(job().fail_on_checkpointing_errors(false), &key), 2);
    }
}
