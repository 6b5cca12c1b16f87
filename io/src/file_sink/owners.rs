//! One job at a time writes into a directory; its shards share the claim.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use millstream_engine::sink::SinkError;

use crate::dir_lock::{DirLock, LockError};

/// Keeps a directory to one sink of one job of this process, until the last holder drops it.
#[derive(Debug)]
pub(super) struct Claim {
    owner: String,
    _lock: DirLock,
}

static CLAIMS: Mutex<BTreeMap<PathBuf, Weak<Claim>>> = Mutex::new(BTreeMap::new());

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
    let lock = DirLock::take(&place, ".lock").map_err(|e| {
        let remedy = match e {
            LockError::InUse { .. } => "stop the other job, or give this one its own directory",
            LockError::Io { .. } => "give this user the right to write there",
        };
        SinkError::fatal(format!("cannot write part files into {}: {e}; {remedy}", dir.display())).because(e)
    })?;
    let claim = Arc::new(Claim { owner: owner.to_owned(), _lock: lock });
    claims.insert(place, Arc::downgrade(&claim));
    Ok(claim)
}
