//! One benchmark at a time on a machine: two would measure each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Held while a benchmark runs; let go when the process ends, however it ends.
pub struct Lock(#[expect(dead_code, reason = "locked as long as it is open")] Option<File>);

/// The lock file of all benchmark programs of the project.
pub fn path() -> PathBuf {
    std::env::temp_dir().join("millstream-bench.lock")
}

/// Takes the machine for this process, unless the process that started it has taken it: that one waits for this one.
///
/// # Errors
/// Another benchmark runs (with its process number), or the lock file cannot be opened.
pub fn take(path: &Path) -> Result<Lock, String> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open.map_err(|error| format!("cannot open the lock file {}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // For the message only.
            let _ = file.read_to_string(&mut holder);
            if holder.trim() == std::os::unix::process::parent_id().to_string() {
                return Ok(Lock(None));
            }
            return Err(format!(
                "another benchmark is running (process {}); two at once would measure each other: wait for its end",
                holder.trim()
            ));
        }
        Err(TryLockError::Error(error)) => return Err(format!("cannot lock {}: {error}", path.display())),
    }
    let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(Lock(Some(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_benchmark_is_refused_until_the_first_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = take(&path).unwrap();
        let refused = take(&path).err().unwrap();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        take(&path).unwrap();
    }

    #[test]
    fn what_the_holder_has_started_is_let_through() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut holder = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        holder.lock().unwrap();
        write!(holder, "{}", std::os::unix::process::parent_id()).unwrap();
        take(&path).unwrap();
    }
}
