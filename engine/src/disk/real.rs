//! The disk of the operating system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Disk, DiskError, DiskFile, DiskLock};

/// A killed process lets go of its locks only when the kernel has taken it apart, a moment after `kill` has returned. Whoever starts
/// the job again at once must not be told that it still runs.
const DYING_MAX: Duration = Duration::from_secs(1);
const DYING_LOOK: Duration = Duration::from_millis(5);

/// The disk of the operating system, through `std::fs`. Every error carries what was attempted and the path (a [`DiskError`] inside the
/// `io::Error`).
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The disk, ready to be shared.
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }
}

/// Puts the place of a failure into the error.
fn placed<T>(attempt: &'static str, path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| DiskError::new(attempt, path, &error).into())
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = placed("cannot open", path, File::open(path))?;
        Ok(Arc::new(RealFile { file, path: path.to_owned() }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        Ok(Arc::new(RealFile { file: placed("cannot create", path, options)?, path: path.to_owned() }))
    }

    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Arc::new(RealFile {
            file: placed("cannot open or create", path, options)?,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        placed("cannot rename", from, std::fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        placed("cannot remove", path, std::fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        placed("cannot remove the directory", path, std::fs::remove_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        placed("cannot create the directory", path, std::fs::create_dir_all(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = placed("cannot list the directory", dir, std::fs::read_dir(dir))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = placed("cannot list the directory", dir, entry)?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        placed("cannot sync the directory", dir, File::open(dir).and_then(|dir| dir.sync_all()))
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<DiskLock> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = placed("cannot open the lock file", path, file)?;
        let until = Instant::now() + DYING_MAX;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    // What a dead holder wrote is replaced only now that the lock is ours.
                    let written = file.write_all_at(owner.as_bytes(), 0);
                    let written = written.and_then(|()| file.set_len(owner.len() as u64));
                    placed("cannot write to the lock file", path, written)?;
                    return Ok(DiskLock::Held(Box::new(file)));
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = placed("cannot read the lock file", path, std::fs::read_to_string(path))?;
                    if holder == owner || Instant::now() >= until {
                        return Ok(DiskLock::HeldBy(holder));
                    }
                    std::thread::sleep(DYING_LOOK);
                }
                Err(TryLockError::Error(error)) => return placed("cannot lock", path, Err(error)),
            }
        }
    }
}

struct RealFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for RealFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        placed("cannot read from", &self.path, self.file.read_exact_at(buf, offset))
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        placed("cannot write to", &self.path, self.file.write_all_at(buf, offset))
    }

    fn sync(&self) -> io::Result<()> {
        placed("cannot sync", &self.path, self.file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        placed("cannot take the length of", &self.path, self.file.metadata().map(|meta| meta.len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        placed("cannot set the length of", &self.path, self.file.set_len(len))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_attempt_and_path_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing");
        let Err(error) = RealDisk.open(&path) else { panic!("the file does not exist") };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let placed = DiskError::new("cannot do something vaguer with", Path::new("/"), &error);
        assert_eq!(placed.attempt, "cannot open");
        assert_eq!(placed.path, path);
        assert_eq!(placed.to_string().matches("cannot").count(), 1);
    }

    #[test]
    fn a_lock_excludes_a_second_holder_and_names_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        std::fs::write(&path, "a stale and much longer owner").unwrap();
        let DiskLock::Held(guard) = RealDisk.lock(&path, "first").unwrap() else { panic!("nobody holds it") };
        match RealDisk.lock(&path, "second").unwrap() {
            DiskLock::HeldBy(owner) => assert_eq!(owner, "first"),
            DiskLock::Held(_) => panic!("the lock is held"),
        }
        drop(guard);
        assert!(matches!(RealDisk.lock(&path, "second").unwrap(), DiskLock::Held(_)));
    }

    #[test]
    fn files_read_back_what_was_written_and_say_where_they_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open_or_create(&dir.path().join("a")).unwrap();
        file.write_all_at(b"hello", 3).unwrap();
        file.sync().unwrap();
        let mut bytes = [1; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0hello");
        assert_eq!(file.read_exact_at(&mut bytes, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(4).unwrap();
        assert_eq!(RealDisk.open_or_create(&dir.path().join("a")).unwrap().len().unwrap(), 4);
        std::fs::create_dir(dir.path().join("0")).unwrap();
        assert_eq!(RealDisk.list(dir.path()).unwrap(), ["0", "a"]);
    }
}
