//! The disk as the engine sees it: two small traits, one blocking (for the control thread, and for a page that is needed this
//! instant), one that never blocks (for shards). The real disk, io_uring and the simulator's faulty disk stand behind them.

use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod blocking;
mod real;

pub(crate) use blocking::OpenFiles;
pub use blocking::{BlockingShardDisk, HeapBuffer};
pub use real::RealDisk;

/// A blocking disk. Paths are absolute or relative to the process.
pub trait Disk: Send + Sync {
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file (truncating an existing one) for writing and reading.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file for writing and reading, creating it where it is missing, keeping what it holds.
    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory. A disk that knows files by their paths alone has none.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }
    /// Creates a directory and its parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names of what is in a directory (files and directories), sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes a lock that excludes every other process (and every other holder in this one) until it is dropped or the process dies. The
    /// file is created where it is missing, and holds `owner` while the lock is held. The default is for a disk that nobody else can see.
    fn lock(&self, path: &Path, owner: &str) -> io::Result<DiskLock> {
        let _ = (path, owner);
        Ok(DiskLock::Held(Box::new(())))
    }
}

/// The answer to [`Disk::lock`].
pub enum DiskLock {
    /// The lock is ours until the guard is dropped.
    Held(Box<dyn Send + Sync>),
    /// Somebody else holds it: what that holder wrote as its `owner`.
    HeldBy(String),
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send + Sync {
    /// Reads exactly `buf.len()` bytes at `offset`; `UnexpectedEof` where the file is shorter.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buf` at `offset`.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable (data and length).
    fn sync(&self) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Sets the file's length (truncating or extending with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The operating system's descriptor, for hints about what will be read; none where there is no such thing.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A buffer that a [`ShardDisk`] can write from or read into without a copy. Its length and its place in a file are multiples of
/// [`BLOCK_BYTES`]. A disk takes back only buffers that it gave out, which it tells by their type.
pub trait DiskBuffer: Any {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// The bytes, to be filled.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// The unit of direct I/O: buffers, lengths and offsets of a [`ShardDisk`] are multiples of it.
pub const BLOCK_BYTES: usize = 4096;

/// What a shard asks of its disk.
pub enum DiskOp {
    /// Create a file (truncating) under a handle of the shard's choosing.
    Create {
        /// The handle.
        file: FileHandle,
        /// Where.
        path: PathBuf,
    },
    /// Open a file for reading under a handle of the shard's choosing.
    Open {
        /// The handle.
        file: FileHandle,
        /// Where.
        path: PathBuf,
    },
    /// Write a whole buffer.
    Write {
        /// Into which file.
        file: FileHandle,
        /// Where in it.
        offset: u64,
        /// What.
        buffer: Box<dyn DiskBuffer>,
    },
    /// Read a whole buffer (the part past the end of the file is left as it was).
    Read {
        /// From which file.
        file: FileHandle,
        /// Where in it.
        offset: u64,
        /// Into which buffer.
        buffer: Box<dyn DiskBuffer>,
    },
    /// Make all completed writes of a file durable.
    Sync {
        /// Which file.
        file: FileHandle,
    },
    /// Close a file.
    Close {
        /// Which file.
        file: FileHandle,
    },
}

/// A file as a shard names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileHandle(pub u64);

/// The answer to a [`DiskOp`]; buffers come back for reuse.
pub struct DiskDone {
    /// What [`ShardDisk::submit`] returned.
    pub ticket: u64,
    /// How it went. `Err` carries the path and what was attempted.
    pub result: Result<(), DiskError>,
    /// The buffer of a read or write.
    pub buffer: Option<Box<dyn DiskBuffer>>,
}

/// A failed disk operation, with its place.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{attempt} {}: {message}", path.display())]
pub struct DiskError {
    /// What was attempted: `cannot write to`.
    pub attempt: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The operating system's words.
    pub message: String,
    /// Its kind (full disk, permission, ...).
    pub kind: io::ErrorKind,
}

impl DiskError {
    /// Puts an I/O error in its place. An error that a disk has already put there keeps its more exact place.
    pub fn new(attempt: &'static str, path: &Path, error: &io::Error) -> Self {
        if let Some(placed) = error.get_ref().and_then(|inner| inner.downcast_ref::<DiskError>()) {
            return placed.clone();
        }
        DiskError { attempt, path: path.to_owned(), message: error.to_string(), kind: error.kind() }
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        io::Error::new(error.kind, error)
    }
}

/// A disk that never blocks the shard. Operations on one file may be carried out in any order and at the same time, except that
/// an operation is only submitted after those it depends on were answered (`Create` before `Write`, `Write`s before `Sync`).
pub trait ShardDisk {
    /// A buffer of `len` bytes (a multiple of [`BLOCK_BYTES`]), zeroed or not.
    fn buffer(&mut self, len: usize) -> Box<dyn DiskBuffer>;
    /// Starts an operation. The ticket is never reused.
    fn submit(&mut self, op: DiskOp) -> u64;
    /// The next finished operation, if any.
    fn poll(&mut self) -> Option<DiskDone>;
    /// How many operations are under way.
    fn outstanding(&self) -> usize;
}

impl fmt::Debug for dyn DiskBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskBuffer({} bytes)", self.bytes().len())
    }
}
