//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with a journal, where, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process, or another source of this one, has the journal open.
    #[error("cannot open the journal in {}: {cause}; stop the other job, or give this one its own directory", dir.display())]
    Locked {
        /// The journal's directory.
        dir: PathBuf,
        /// Who has it.
        cause: String,
    },
    /// The operating system refused.
    #[error("cannot {attempt} {}: {cause}; check the disk's space and this user's rights", path.display())]
    Io {
        /// What was attempted: `append to`.
        attempt: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        cause: io::Error,
    },
    /// An earlier append or sync failed, so that it is not known what is on disk.
    #[error("the journal in {} takes no more records since a write failed ({cause}); start the job again", dir.display())]
    Broken {
        /// The journal's directory.
        dir: PathBuf,
        /// The first failure.
        cause: String,
    },
    /// A file of the journal is damaged where no crash could have damaged it.
    #[error(
        "the journal file {} is damaged at byte {at}: {what}; restore it from a copy, or remove the journal's directory and \
         start from a new state directory", path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the first damaged record begins.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file was written by another version of this format.
    #[error("the journal file {} has format version {found}, and this program reads version {expected}; use the program that wrote it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this program reads and writes.
        expected: u32,
    },
    /// The wanted records were given up.
    #[error(
        "the journal in {} begins with record {first}, and record {wanted} is wanted; restore a checkpoint that goes on at or \
         after {first}", dir.display()
    )]
    Trimmed {
        /// The journal's directory.
        dir: PathBuf,
        /// The record asked for.
        wanted: u64,
        /// The oldest record.
        first: u64,
    },
    /// Records are missing between two others.
    #[error(
        "the journal in {} lacks the records {from} to {to} (a power failure took them before they were synced); restore a newer \
         checkpoint, or go on without them from a new state directory", dir.display()
    )]
    Gap {
        /// The journal's directory.
        dir: PathBuf,
        /// The first missing record.
        from: u64,
        /// The last missing record.
        to: u64,
    },
    /// A record is not one of the type that is wanted.
    #[error(
        "a record of the journal is no {expected}: {what}; was the type changed since it was written? Let the program that wrote it work \
         off its journal first, or start with a new one"
    )]
    Foreign {
        /// The layout of the type that is wanted.
        expected: String,
        /// What is wrong.
        what: String,
    },
    /// A record is too large.
    #[error("a record of {bytes} bytes does not fit the journal; the largest has {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        max: usize,
    },
}

impl JournalError {
    pub(crate) fn io(attempt: &'static str, path: &Path, cause: io::Error) -> Self {
        JournalError::Io { attempt, path: path.to_owned(), cause }
    }
}
