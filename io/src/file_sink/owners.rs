//! One job at a time writes into a directory; its shards share the claim.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use millstream_engine::disk::{Disk as _, DiskLock, RealDisk};
use millstream_engine::sink::SinkError;

/// Keeps a directory to one sink of one job of this process, until the last holder drops it.
pub(super) struct Claim {
    owner: String,
    _lock: Box<dyn Send + Sync>,
}

/// Of the process and not of a job: a lock on a file does not tell two jobs of one process apart.
static CLAIMS: Mutex<BTreeMap<PathBuf, Weak<Claim>>> = Mutex::new(BTreeMap::new());

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Claims the directory for the sink that calls itself `owner`.
pub(super) fn claim(dir: &Path, owner: &str) -> Result<Arc<Claim>, SinkError> {
    let place = dir.canonicalize().map_err(|e| {
        SinkError::fatal(format!("cannot use {}: {e}; check the path", dir.display())).because(e)
    })?;
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    claims.retain(|_, claim| claim.strong_count() > 0);
    if let Some(claim) = claims.get(&place).and_then(Weak::upgrade) {
        if claim.owner == owner {
            return Ok(claim);
        }
        return Err(SinkError::fatal(format!(
            "cannot write part files into {}: the sink {} of this process writes there; give each sink its own directory",
            dir.display(),
            claim.owner
        )));
    }
    let refused =
        |why: String| SinkError::fatal(format!("cannot write part files into {}: {why}", dir.display()));
    let lock = match RealDisk.lock(&place.join(".lock"), &std::process::id().to_string()) {
        Ok(DiskLock::Held(lock)) => lock,
        Ok(DiskLock::HeldBy(holder)) => {
            return Err(refused(format!(
                "it is in use by process {holder}; stop the other job, or give this one its own directory"
            )));
        }
        Err(error) => {
            return Err(refused(format!("{error}; give this user the right to write there")).because(error));
        }
    };
    let claim = Arc::new(Claim { owner: owner.to_owned(), _lock: lock });
    claims.insert(place, Arc::downgrade(&claim));
    Ok(claim)
}
