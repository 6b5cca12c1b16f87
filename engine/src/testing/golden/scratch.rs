//! A directory that is there for one run.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An empty directory, removed when it is dropped.
pub(super) struct ScratchDir(PathBuf);

impl ScratchDir {
    /// Makes one where the system keeps temporary files.
    ///
    /// # Panics
    /// It cannot be made.
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("millstream-golden-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        // One that a dead process of the same number has left behind.
        let _ = std::fs::remove_dir_all(&path);
        if let Err(error) = std::fs::create_dir_all(&path) {
            panic!("cannot make {}: {error}; set TMPDIR to a directory that can be written", path.display());
        }
        ScratchDir(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
