//! The state directory: what is in it, whose it is, and who holds it. Drawn in `docs/formats/state-directory.md`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::StateDirError;
use crate::disk::{Disk, DiskLock};
use crate::key::HashSeed;

/// The version of everything in a state directory. It changes when any layout in it does.
pub const FORMAT_VERSION: u32 = 4;

/// The directory of the delta files, in the state directory.
pub const DELTA_DIR: &str = "delta";

pub(crate) const MANIFEST: &str = "MANIFEST";
pub(crate) const MANIFEST_NEW: &str = "MANIFEST.new";
const LOCK: &str = "LOCK";

/// What a directory may hold before its manifest exists: what a crash during the creation leaves behind.
const BEFORE_THE_MANIFEST: [&str; 2] = [LOCK, MANIFEST_NEW];

/// Who asks for a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobIdentity {
    /// The job's name. A directory belongs to one job.
    pub job: String,
    /// The seed of the key hash for a new directory; an existing one has its own, which counts.
    pub hash_seed: HashSeed,
}

/// A state directory that this process holds, until it is dropped.
pub(crate) struct StateDir {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    _lock: Box<dyn Send + Sync>,
}

impl StateDir {
    /// Creates the directory where it is missing, refuses one that holds anything else, and takes its lock. The second part says
    /// whether there is a manifest.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<(StateDir, bool), StateDirError> {
        let refused = |attempt, at: &Path, error: &io::Error| StateDirError::disk(path, attempt, at, error);
        disk.create_dir_all(path).map_err(|error| refused("cannot create the directory", path, &error))?;
        // Before the lock, so that no lock file is left in a stranger's directory.
        has_manifest(disk.as_ref(), path)?;
        let lock_path = path.join(LOCK);
        let lock = disk.lock(&lock_path, &std::process::id().to_string());
        let lock = match lock.map_err(|error| refused("cannot lock", &lock_path, &error))? {
            DiskLock::Held(guard) => guard,
            DiskLock::HeldBy(owner) => {
                let pid = if owner.is_empty() { "unknown".to_owned() } else { owner };
                return Err(StateDirError::InUse { dir: path.to_owned(), pid });
            }
        };
        let existing = has_manifest(disk.as_ref(), path)?;
        Ok((StateDir { disk, path: path.to_owned(), _lock: lock }, existing))
    }

    /// Creates the directory of the delta files where it is missing, and makes all names in the state directory durable: also those that
    /// a process killed half-way through their creation left behind.
    pub(crate) fn create_delta_dir(&self) -> Result<(), StateDirError> {
        let delta = self.delta_dir();
        // First the manifest's name, which a process may have left half-way: delta files without a manifest are refused.
        let named = self.disk.sync_dir(&self.path);
        let created = named
            .and_then(|()| self.disk.create_dir_all(&delta))
            .and_then(|()| self.disk.sync_dir(&self.path));
        created
            .map_err(|error| StateDirError::disk(&self.path, "cannot create the directory", &delta, &error))
    }

    pub(crate) fn delta_dir(&self) -> PathBuf {
        self.path.join(DELTA_DIR)
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }
}

fn has_manifest(disk: &dyn Disk, path: &Path) -> Result<bool, StateDirError> {
    let names = disk
        .list(path)
        .map_err(|error| StateDirError::disk(path, "cannot list the directory", path, &error))?;
    if names.iter().any(|name| name == MANIFEST) {
        return Ok(true);
    }
    let Some(stranger) = names.iter().find(|name| !BEFORE_THE_MANIFEST.contains(&name.as_str())) else {
        return Ok(false);
    };
    let problem = if stranger == DELTA_DIR {
        "it has checkpoint files, but their MANIFEST is missing".to_owned()
    } else {
        format!("it holds `{stranger}` and no MANIFEST")
    };
    Err(StateDirError::NotAStateDir { dir: path.to_owned(), problem })
}
