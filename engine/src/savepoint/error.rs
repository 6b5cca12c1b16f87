//! What can go wrong with savepoints.

use std::path::{Path, PathBuf};

use super::SAVEPOINT_VERSION;
use crate::arena::StateError;
use crate::checkpoint::RestoreError;
use crate::checkpoint::codec::CodecError;
use crate::disk::DiskError;
use crate::job::JobStatus;
use crate::schema::Misfit;

/// Why a savepoint could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SavepointError {
    /// The directory holds no savepoint.
    #[error(
        "{} is not a savepoint: it has no file `SAVEPOINT`; name the directory that `savepoint` or `stop` has printed (one without it was \
         not finished and may be removed)",
        dir.display()
    )]
    NotASavepoint {
        /// The directory.
        dir: PathBuf,
    },
    /// It was written by a version that this one does not know.
    #[error(
        "the savepoint {} has format {found}; this build reads format {SAVEPOINT_VERSION}: use a build that reads it",
        dir.display()
    )]
    OtherVersion {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file is not what was written.
    #[error("the savepoint is damaged: {}, byte {offset}: {problem}; use another savepoint", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The job keeps no checkpoints.
    #[error(
        "the job has no state directory, and so no checkpoint to make a savepoint of; call Job::state_dir(..)"
    )]
    NoStateDir,
    /// The job runs in batch mode.
    #[error(
        "a job in batch mode has no checkpoints before its end, and so no savepoints; run it in streaming mode"
    )]
    BatchMode,
    /// The job ended before there was a checkpoint for it.
    #[error("the job is {status}; a savepoint is made of a job that runs")]
    NotRunning {
        /// Where it stands.
        status: JobStatus,
    },
    /// The checkpoint that it is made of cannot be read.
    #[error("cannot read the checkpoint that the savepoint is made of: {0}")]
    Checkpoint(#[from] RestoreError),
    /// What a shard wrote of the checkpoint cannot be read.
    #[error("cannot read what was saved of operator `{operator}`: {cause}")]
    Unreadable {
        /// The operator, or what else it is of.
        operator: String,
        /// What is wrong.
        cause: String,
    },
    /// An operator has not said what it keeps.
    #[error(
        "operator `{operator}` has saved something of which it has not said what it is; it cannot be part of a savepoint"
    )]
    Undeclared {
        /// The operator.
        operator: String,
    },
    /// A page of the checkpoint cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no such state.
    #[error("the savepoint has no state `{state}` of an operator `{operator}`; it has {known}")]
    NoSuchState {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// What there is.
        known: String,
    },
    /// A value that is given does not fit the state.
    #[error("{place}: {cause}")]
    Misfit {
        /// Where it was given.
        place: String,
        /// What does not fit.
        cause: Misfit,
    },
    /// What is given is not JSON.
    #[error("line {line}: {problem}")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A state of this kind cannot be changed.
    #[error("state `{state}` of operator `{operator}` cannot be changed: {why}")]
    NotEditable {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// Why.
        why: &'static str,
    },
    /// What is exported cannot be written.
    #[error("cannot write: {0}")]
    Output(#[source] std::io::Error),
}

impl SavepointError {
    pub(super) fn damaged(path: &Path, offset: u64, problem: impl ToString) -> Self {
        SavepointError::Damaged { path: path.to_owned(), offset, problem: problem.to_string() }
    }

    pub(super) fn unreadable(operator: &str, cause: impl ToString) -> Self {
        SavepointError::Unreadable { operator: operator.to_owned(), cause: cause.to_string() }
    }

    pub(super) fn in_file(path: &Path, start: u64, error: CodecError) -> Self {
        let problem = format!("{}: {}", error.what, error.problem);
        SavepointError::damaged(path, start + error.offset as u64, problem)
    }
}
