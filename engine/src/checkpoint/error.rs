//! What can go wrong with checkpoints: one enum per thing a user does. Each message names the thing, the place and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::DiskError;
use crate::element::{Epoch, ShardId};

/// Why a checkpoint failed. The job goes on without it, as often in a row as its tolerable number of failures allows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckpointError {
    /// No room for it.
    #[error(
        "the disk is full: {} needs {needed_bytes} bytes; free room on its file system, keep fewer checkpoints, or move the state \
         directory",
        path.display()
    )]
    DiskFull {
        /// The file that could not be written.
        path: PathBuf,
        /// How many bytes it takes in all, as far as known.
        needed_bytes: u64,
    },
    /// The disk refused.
    #[error("{0}; look at the health of the disk and at the permissions of the state directory")]
    Disk(#[from] DiskError),
    /// The manifest could be neither written nor replaced, so that nobody knows whether the checkpoint will be found after a crash.
    #[error(
        "it is not known whether checkpoint {epoch} is durable: {cause}; the job must not go back to an earlier checkpoint before the \
         manifest can be written again"
    )]
    Unsettled {
        /// The checkpoint.
        epoch: Epoch,
        /// What refused.
        cause: DiskError,
    },
    /// It was given up before it was complete.
    #[error("checkpoint {epoch} of shard {shard} was given up")]
    GivenUp {
        /// The checkpoint.
        epoch: Epoch,
        /// The shard.
        shard: ShardId,
    },
    /// It does not fit those before it.
    #[error(
        "checkpoint {epoch} does not fit the ones before it: {problem}; this is a mistake of the engine, please report it"
    )]
    Misfit {
        /// The checkpoint.
        epoch: Epoch,
        /// In which way.
        problem: String,
    },
}

impl CheckpointError {
    /// A failure to write `path`, which takes `needed_bytes` in all.
    pub(crate) fn writing(error: DiskError, needed_bytes: u64) -> Self {
        match error.kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                CheckpointError::DiskFull { path: error.path, needed_bytes }
            }
            _ => CheckpointError::Disk(error),
        }
    }
}

/// Why a state directory cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateDirError {
    /// A running process holds it.
    #[error(
        "the state directory {} is in use by process {pid}; stop that process, or give this job a state directory of its own",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process (as it wrote itself down).
        pid: String,
    },
    /// It belongs to another job.
    #[error(
        "the state directory {} belongs to the job `{found}`, not to `{wanted}`; give this job a state directory of its own, or its \
         old name back",
        dir.display()
    )]
    OtherJob {
        /// The directory.
        dir: PathBuf,
        /// The job that it belongs to.
        found: String,
        /// The job that asked.
        wanted: String,
    },
    /// It is to hold second copies, and holds those of another life of the job, which they would overwrite.
    #[error(
        "{} holds copies of checkpoints of another life of the job `{job}`, which began from nothing as this one did; go on from them with \
         that directory as the state directory, or name another one for the copies",
        dir.display()
    )]
    OtherLife {
        /// The directory.
        dir: PathBuf,
        /// The job.
        job: String,
    },
    /// It was written by a version of Millstream that uses another format.
    #[error(
        "the state directory {} has format {found}, this program reads format {wanted}; run it with the version that wrote it, take a \
         savepoint there, and start from that",
        dir.display()
    )]
    OtherFormat {
        /// The directory.
        dir: PathBuf,
        /// The format's version in the directory.
        found: u32,
        /// The format's version of this program.
        wanted: u32,
    },
    /// It holds something else.
    #[error(
        "{} is not a state directory: {problem}; name an empty or a new directory",
        dir.display()
    )]
    NotAStateDir {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        problem: String,
    },
    /// The manifest is damaged where it was known to be complete.
    #[error(
        "the manifest {} is damaged at byte {offset}: {problem}; restore it from a backup, or go on from a checkpoint recorded before \
         the damage with --from ({}), which repeats what sinks made visible since",
        path.display(), list(retained)
    )]
    DamagedManifest {
        /// The manifest.
        path: PathBuf,
        /// Where the damage is.
        offset: u64,
        /// What it is.
        problem: String,
        /// The checkpoints recorded before the damage.
        retained: Vec<Epoch>,
    },
    /// The disk refused.
    #[error("the state directory {} cannot be used: {cause}; {}", dir.display(), remedy(cause))]
    Disk {
        /// The directory.
        dir: PathBuf,
        /// What refused.
        cause: DiskError,
    },
}

impl StateDirError {
    pub(crate) fn disk(dir: &Path, attempt: &'static str, path: &Path, error: &io::Error) -> Self {
        StateDirError::Disk { dir: dir.to_owned(), cause: DiskError::new(attempt, path, error) }
    }
}

fn remedy(cause: &DiskError) -> &'static str {
    match cause.kind {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a directory that this user may write to, or change its permissions"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free room on its file system",
        io::ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "name a directory, not a file",
        _ => "look at the path and at the health of the disk",
    }
}

/// Why a checkpoint cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestoreError {
    /// It is not there.
    #[error(
        "checkpoint {asked} is not in {}; there are: {}",
        dir.display(), list(available)
    )]
    NoSuchCheckpoint {
        /// The one that was asked for.
        asked: Epoch,
        /// The state directory.
        dir: PathBuf,
        /// Those that are there, newest first.
        available: Vec<Epoch>,
    },
    /// A file of it is missing.
    #[error("{} is missing, checkpoint {epoch} needs it; restore it from a backup, or go back to an older checkpoint", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// The checkpoint.
        epoch: Epoch,
    },
    /// A file of it ends too early.
    #[error("{} is truncated: it ends at byte {len}, {needed} are needed; {}", path.display(), WHAT_NOW)]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        len: u64,
        /// How long it was.
        needed: u64,
    },
    /// A file of it does not begin as it should.
    #[error("{} is damaged at byte {offset}: {problem}; {}", path.display(), WHAT_NOW)]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// Where the damage is.
        offset: u64,
        /// What it is.
        problem: String,
    },
    /// A shard's metadata is not what was written.
    #[error(
        "the metadata of shard {shard} in {} is damaged at byte {offset}: its CRC is {found:08x}, {expected:08x} was written; {}",
        path.display(), WHAT_NOW
    )]
    CorruptMeta {
        /// The file.
        path: PathBuf,
        /// The shard.
        shard: ShardId,
        /// Where the damaged piece begins.
        offset: u64,
        /// The CRC that was written.
        expected: u32,
        /// The CRC of what is there.
        found: u32,
    },
    /// A page is not what was written.
    #[error(
        "the page in {} at byte {offset} is damaged: its CRC is {found:08x}, {expected:08x} was written; {}",
        path.display(), WHAT_NOW
    )]
    CorruptPage {
        /// The file.
        path: PathBuf,
        /// Where the page begins.
        offset: u64,
        /// The CRC that was written.
        expected: u32,
        /// The CRC of what is there.
        found: u32,
    },
    /// The disk refused.
    #[error("{0}; look at the health of the disk and at the permissions of the state directory")]
    Disk(#[from] DiskError),
}

const WHAT_NOW: &str = "restore the file from a backup, or go back to an older checkpoint";

/// Why the job does not go back to an older checkpoint by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoingBackRefused {
    /// Results of the time in between are visible already.
    #[error(
        "checkpoint {damaged} cannot be used, and the job does not go back to checkpoint {older} by itself: sinks have made results up \
         to checkpoint {committed} visible, `--from {older}` would make those after checkpoint {older} visible a second time"
    )]
    SinksCommitted {
        /// The checkpoint that cannot be used.
        damaged: Epoch,
        /// The one to go back to.
        older: Epoch,
        /// The last one whose results are visible.
        committed: Epoch,
    },
    /// The input of the time in between is gone.
    #[error(
        "checkpoint {damaged} cannot be used, and the job does not go back to checkpoint {older} by itself: the journals are trimmed \
         past it, `--from {older}` would lose the input in between"
    )]
    JournalsTrimmed {
        /// The checkpoint that cannot be used.
        damaged: Epoch,
        /// The one to go back to.
        older: Epoch,
    },
    /// There is none.
    #[error(
        "checkpoint {damaged} cannot be used, and no older one is retained; restore the state directory from a backup, or start afresh in a new one"
    )]
    NoneOlder {
        /// The checkpoint that cannot be used.
        damaged: Epoch,
    },
}

/// A `--from` that names no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a checkpoint; give its number, as in `--from 12` or `--from chk-12`")]
pub struct FromError(pub String);

/// Epochs for a reader.
fn list(epochs: &[Epoch]) -> String {
    if epochs.is_empty() {
        return "none".to_owned();
    }
    epochs.iter().map(Epoch::to_string).collect::<Vec<_>>().join(", ")
}
