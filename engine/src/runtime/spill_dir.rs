//! Where the arenas of a job leave pages that memory has no room for.
//!
//! What lies there is worth nothing to another attempt: each begins with files of its own. They lose their names when they are made; what a
//! process has left that died in that moment, the next attempt removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::arena::SpillPlace;
use crate::disk::{Disk, DiskError};
use crate::key::HashSeed;

/// How the name of every such file ends.
const SPILLED: &str = ".spilled";

/// The directory, and the names that have been given out.
pub(crate) struct SpillDir {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// How the names begin.
    job: String,
    next: AtomicU32,
}

impl SpillDir {
    /// Makes the directory, and removes what is left of earlier attempts at the job with this seed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        job: &str,
        seed: HashSeed,
    ) -> Result<SpillDir, DiskError> {
        let failed = |attempt, error: &std::io::Error| DiskError::new(attempt, dir, error);
        disk.create_dir_all(dir).map_err(|error| failed("cannot create the directory", &error))?;
        let job = format!("millstream-{job}-{:016x}-", seed.0);
        let names = disk.list(dir).map_err(|error| failed("cannot list the directory", &error))?;
        for name in names.iter().filter(|name| name.starts_with(&job) && name.ends_with(SPILLED)) {
            disk.remove(&dir.join(name)).map_err(|error| failed("cannot remove from", &error))?;
        }
        Ok(SpillDir { disk, dir: dir.to_owned(), job, next: AtomicU32::new(0) })
    }

    /// A place that nobody else has.
    pub(crate) fn place(&self) -> SpillPlace {
        // Relaxed: the number guards nothing.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{}{number}{SPILLED}", self.job));
        SpillPlace { disk: self.disk.clone(), path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn what_an_attempt_has_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let open = || SpillDir::open(RealDisk::shared(), dir.path(), "count", HashSeed(1)).unwrap();
        let left = open().place().path;
        for name in [&left, &dir.path().join("millstream-count-0-0.spilled"), &dir.path().join("other")] {
            std::fs::write(name, "x").unwrap();
        }
        let spill = open();
        assert!(!left.exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_ne!(spill.place().path, spill.place().path);
    }
}
