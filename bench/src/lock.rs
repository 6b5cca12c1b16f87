//! One benchmark at a time on a machine: two would measure each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Held while a benchmark runs; let go when the process ends, however it ends.
pub struct Lock(#[expect(dead_code, reason = "locked as long as it is open")] File);

/// Takes the machine for this process.
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
            return Err(format!(
                "another benchmark is running (process {}); two at once would measure each other: wait for its end",
                holder.trim()
            ));
        }
        Err(TryLockError::Error(error)) => return Err(format!("cannot lock {}: {error}", path.display())),
    }
    let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(Lock(file))
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
}
