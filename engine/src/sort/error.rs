//! What keeps records from being sorted.

use std::path::PathBuf;

use crate::channel::FrameFault;
use crate::disk::DiskError;

/// What keeps records from being sorted.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SortError {
    /// The disk.
    #[error(
        "{0}; sorting in batch mode needs room for all records of a stage: free some, or set Job::spill_dir"
    )]
    Disk(#[from] DiskError),
    /// A block of a run is not what was written.
    #[error("block {block} of {} is damaged: {what}; the stage that it belongs to is done again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The number of the block.
        block: usize,
        /// What is wrong with it.
        what: DamagedBlock,
    },
    /// The program is another one than that whose stage this is.
    #[error(
        "the stage before `{operator}`, which an earlier run of the job has left in {}, has other records than the program: {then} then, \
         {now} now; remove the directory",
        dir.display()
    )]
    OtherRecords {
        /// The operator that reads the stage.
        operator: String,
        /// Where it lies.
        dir: PathBuf,
        /// The fingerprint of the records' layout then.
        then: String,
        /// And now.
        now: String,
    },
    /// Sorting takes more memory than the job may use.
    #[error(
        "sorting the input of `{operator}` takes {bytes} bytes on each shard, and the memory limit of {limit} leaves no room for them; lower \
         Job::sort_bytes, or raise Job::memory_limit"
    )]
    NoRoom {
        /// The operator whose input is sorted.
        operator: String,
        /// What a sorter takes.
        bytes: u64,
        /// What the job may use.
        limit: u64,
    },
}

impl SortError {
    /// A block that the disk does not give back.
    pub(super) fn unreadable(block: usize, error: DiskError) -> SortError {
        SortError::Damaged { path: error.path.clone(), block, what: error.into() }
    }
}

/// What is wrong with a block.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DamagedBlock {
    #[error("its checksum does not match")]
    Checksum,
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Frame(#[from] FrameFault),
    #[error("it holds something else than records of this exchange")]
    NotRecords,
}
