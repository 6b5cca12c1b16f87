//! Why a job did not start, or ended.

use std::fmt;
use std::path::PathBuf;

use super::given::SettingConflict;
use super::poison::PoisonRecord;
use crate::channel::ChannelError;
use crate::checkpoint::{GoingBackRefused, RestoreError, StateDirError};
use crate::disk::DiskError;
use crate::element::{ShardId, Timestamp};
use crate::graph::BuildError;
use crate::runtime::coordinator::CheckpointFailure;
use crate::runtime::driver::{DriverError, ShardFailure};
use crate::runtime::placement::PlacementError;
use crate::runtime::restored::RestoreFailure;
use crate::savepoint::SavepointError;

/// Why a job did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The program built something that cannot run.
    #[error("the program of job `{job}` cannot run:{}", list(errors))]
    Build {
        /// The job.
        job: String,
        /// Everything that is wrong with it.
        errors: Vec<BuildError>,
    },
    /// The program panicked while it built its graph. Nothing was started.
    #[error("the program of job `{job}` panicked while it built its graph: {message}")]
    Program {
        /// The job.
        job: String,
        /// The panic's words.
        message: String,
    },
    /// Two settings contradict each other.
    #[error("{0}; with flink-compat this is a warning")]
    Conflict(Box<SettingConflict>),
    /// A setting makes no sense.
    #[error("setting `{setting}`: {problem}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The shards cannot be placed on this machine's cores.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The shards could not be started.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The rings could not be made.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The checkpoint cannot be read.
    #[error("cannot restore job `{job}`: {error}")]
    Restore {
        /// The job.
        job: String,
        /// Why.
        error: Box<RestoreError>,
    },
    /// The savepoint to begin with cannot be read.
    #[error("cannot begin job `{job}` with its savepoint: {error}")]
    Savepoint {
        /// The job.
        job: String,
        /// Why.
        error: Box<SavepointError>,
    },
    /// The newest checkpoint cannot be used, and an older one may not be used without being asked for.
    #[error("{damage}; {refused}")]
    GoingBack {
        /// What is wrong with the newest.
        damage: String,
        /// Why the older one is not taken.
        refused: GoingBackRefused,
    },
    /// The checkpoint does not fit the program.
    #[error("cannot restore job `{job}`: {error}")]
    Misfit {
        /// The job.
        job: String,
        /// Why.
        error: Box<RestoreFailure>,
    },
    /// An operator failed, and the restart strategy gave up.
    #[error("job `{job}` FAILED after {restarts} restarts: {failure}")]
    Failed {
        /// The job.
        job: String,
        /// How often it was started again before.
        restarts: u32,
        /// The last failure.
        failure: Box<OperatorFailure>,
    },
    /// The same record, or the timers of the same key, made the job fail again and again, so that it was not started once more.
    #[error(
        "job `{job}` FAILED after {restarts} restarts: {record}; mend what fails on it, or see Job::on_poison_record for how to leave it out"
    )]
    Poison {
        /// The job.
        job: String,
        /// How often it was started again before.
        restarts: u32,
        /// The record.
        record: Box<PoisonRecord>,
    },
    /// A record that is to be left out could not be written down.
    #[error("a record that makes the job fail cannot be left out: {error}")]
    Poisoned {
        /// What refused.
        error: DiskError,
    },
    /// The list of the records that are left out is damaged.
    #[error(
        "{} says which records are left out, and is damaged: {problem}; bring it back, or remove it: then they are read again, if the \
         checkpoint is not behind them",
        path.display()
    )]
    PoisonMarks {
        /// The list.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// Checkpoints failed more often in a row than is tolerable, and the restart strategy gave up.
    #[error(
        "job `{job}` FAILED after {restarts} restarts: {tolerable} failed checkpoints in a row are tolerable, this was one more: {failure}"
    )]
    Checkpoint {
        /// The job.
        job: String,
        /// How often it was started again before.
        restarts: u32,
        /// How many may fail in a row.
        tolerable: u32,
        /// The last failure.
        failure: Box<CheckpointFailure>,
    },
    /// A shard's thread ended by itself.
    #[error("job `{job}` FAILED after {restarts} restarts: {failure}")]
    Shard {
        /// The job.
        job: String,
        /// How often it was started again before.
        restarts: u32,
        /// How it ended.
        failure: ShardFailure,
    },
    /// In batch mode: what lies on disk of the job's stages cannot be used.
    #[error("job `{job}` cannot use its stages: {error}; Job::spill_dir says where they lie")]
    Stages {
        /// The job.
        job: String,
        /// Why.
        error: DiskError,
    },
    /// State that memory has no room for cannot lie where it should.
    #[error("job `{job}` cannot leave state on disk: {error}; Job::spill_dir says where it lies")]
    Spill {
        /// The job.
        job: String,
        /// Why.
        error: DiskError,
    },
    /// The engine made a mistake.
    #[error("the engine failed: {message}; this is a bug, please report it")]
    Engine {
        /// The panic's words.
        message: String,
    },
}

impl JobError {
    /// How often the job had been started again when it failed; none where it never ran.
    pub fn restarts(&self) -> Option<u32> {
        match self {
            JobError::Failed { restarts, .. }
            | JobError::Poison { restarts, .. }
            | JobError::Checkpoint { restarts, .. }
            | JobError::Shard { restarts, .. } => Some(*restarts),
            _ => None,
        }
    }
}

fn list(errors: &[BuildError]) -> String {
    errors.iter().map(|error| format!("\n  - {error}")).collect()
}

/// The failure of an operator, with all that is known of its place.
#[derive(Clone, Debug)]
pub struct OperatorFailure {
    /// The operator's name, where one is to blame.
    pub operator: Option<String>,
    /// Where the program built it.
    pub built_at: Option<String>,
    /// The shard.
    pub shard: ShardId,
    /// The record's place at its source, where one is to blame and its source knows.
    pub place: Option<String>,
    /// The record's event time, where it has one.
    pub event_time: Option<Timestamp>,
    /// The key of the record, or of the timer that fired, where the operator works by keys.
    pub key: Option<String>,
    /// What happened.
    pub cause: String,
}

impl fmt::Display for OperatorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.operator, &self.built_at) {
            (Some(operator), Some(place)) => write!(f, "operator `{operator}` (built at {place})")?,
            _ => write!(f, "the engine")?,
        }
        write!(f, " on shard {}", self.shard)?;
        if let Some(place) = &self.place {
            write!(f, ", at {place}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", key {key}")?;
        }
        if let Some(at) = self.event_time.filter(|at| *at != Timestamp::MIN) {
            write!(f, ", event time {at}")?;
        }
        write!(f, ": {}", self.cause)
    }
}
