//! A directory belongs to one process at a time: a lock file that the operating system releases when the process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A killed process lets go of its locks only when the kernel has taken it apart, a moment after `kill` has returned. Whoever starts
/// the job again at once must not be told that it still runs.
const DYING_MAX: Duration = Duration::from_secs(1);
const DYING_LOOK: Duration = Duration::from_millis(5);

/// Holds a directory until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another owner has it.
    #[error("it is in use by process {pid} (lock file {})", path.display())]
    InUse {
        /// What the owner wrote into the lock file.
        pid: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock {}: {cause}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The operating system's words.
        #[source]
        cause: io::Error,
    },
}

impl DirLock {
    /// Takes the directory, through the file `name` in it.
    pub(crate) fn take(dir: &Path, name: &str) -> Result<DirLock, LockError> {
        let path = dir.join(name);
        let failed = |cause| LockError::Io { path: path.clone(), cause };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let until = Instant::now() + DYING_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
                Err(TryLockError::WouldBlock) => {
                    // The owner's number is a courtesy; the lock is what counts.
                    let pid = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
                    if pid == std::process::id().to_string() || Instant::now() >= until {
                        let pid = if pid.is_empty() { "unknown".to_owned() } else { pid };
                        return Err(LockError::InUse { pid, path });
                    }
                    std::thread::sleep(DYING_LOOK);
                }
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(DirLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_who_is_named() {
        let dir = tempfile::TempDir::new().unwrap();
        let first = DirLock::take(dir.path(), ".lock").unwrap();
        let error = DirLock::take(dir.path(), ".lock").unwrap_err();
        assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(first);
        DirLock::take(dir.path(), ".lock").unwrap();
        assert!(matches!(DirLock::take(&dir.path().join("none"), ".lock"), Err(LockError::Io { .. })));
    }
}
