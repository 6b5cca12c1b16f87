//! A second copy of every checkpoint, in another directory, that a thread writes behind the commits. It is a state directory like the first:
//! a job can be started from it.
//!
//! ```text
//! commit --> what is new, opened --> [ newest copy asked for ] --> thread: delta files, then the manifest, then old files go
//! ```
//!
//! Files are opened before they are handed over, so that the clean-up of the first directory cannot take them away half-way.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::content::read_manifest;
use super::delta::{DeltaFile, delta_file_name};
use super::error::StateDirError;
use super::manifest::ManifestPart;
use super::state_dir::{JobIdentity, StateDir};
use crate::disk::{Disk, DiskError, DiskFile};
use crate::element::Epoch;
use crate::runtime::beside::spawn_beside;

/// How much is copied at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// How far the second copies are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The newest checkpoint that can be restored from there; 0 for none since the start.
    pub last_epoch: u64,
    /// How many checkpoints have been committed since that one.
    pub lag: u64,
    /// How often a copy failed. The next one has what it should have had.
    pub failed: u64,
    /// Why the last one failed; none where it succeeded.
    pub failure: Option<String>,
}

/// The thread that writes copies, and what it is told. Dropping it waits for the copy under way.
pub(super) struct Replica {
    shared: Arc<Shared>,
    /// The names of the files that it has, or was told to copy.
    has: HashSet<String>,
    /// How often a copy had failed when that was known.
    failures_seen: u64,
    /// How many checkpoints have been committed.
    commits: u64,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    dir: StateDir,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: Option<Order>,
    busy: bool,
    closing: bool,
    last: (Epoch, u64),
    failed: u64,
    failure: Option<String>,
}

/// What one copy is made of.
struct Order {
    epoch: Epoch,
    /// The number of its commit.
    commit: u64,
    manifest: ManifestPart,
    /// All files that are needed.
    names: HashSet<String>,
    /// Those that the thread may not have yet.
    new: Vec<(String, Arc<dyn DiskFile>, u64)>,
}

impl Replica {
    /// Takes the directory, which is new, empty, or holds an earlier copy of the same state.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        identity: &JobIdentity,
    ) -> Result<Replica, StateDirError> {
        let (dir, existing) = StateDir::open(disk.clone(), path)?;
        if existing {
            let (found, ..) = read_manifest(&dir, identity)?;
            if found.hash_seed != identity.hash_seed {
                return Err(StateDirError::OtherLife { dir: path.to_owned(), job: identity.job.clone() });
            }
        }
        dir.create_delta_dir()?;
        let shared = Arc::new(Shared { disk, dir, state: Mutex::default(), changed: Condvar::new() });
        let for_thread = shared.clone();
        let thread = spawn_beside("mill-replica", move || for_thread.run()).map_err(|error| {
            StateDirError::disk(path, "cannot start a thread that copies to", path, &error)
        })?;
        let has = HashSet::new();
        Ok(Replica { shared, has, failures_seen: 0, commits: 0, thread: Some(thread) })
    }

    /// A checkpoint has been committed.
    pub(super) fn count_commit(&mut self) {
        self.commits += 1;
    }

    /// Has the newest checkpoint copied if the thread has nothing to do; otherwise a later one will hold all that it does.
    pub(super) fn offer(
        &mut self,
        epoch: Epoch,
        delta_dir: &Path,
        files: impl Iterator<Item = DeltaFile>,
        manifest: ManifestPart,
    ) {
        let state = self.shared.lock();
        if state.busy || state.next.is_some() {
            return;
        }
        let failed = state.failed;
        drop(state);
        if failed != self.failures_seen {
            // What the thread has is not known.
            self.failures_seen = failed;
            self.has.clear();
        }
        match self.collect(epoch, delta_dir, files, manifest) {
            Ok(copy) => {
                self.has = copy.names.clone();
                self.shared.lock().next = Some(copy);
                self.shared.changed.notify_all();
            }
            Err(error) => self.shared.lock().fail(&error),
        }
    }

    fn collect(
        &self,
        epoch: Epoch,
        delta_dir: &Path,
        files: impl Iterator<Item = DeltaFile>,
        manifest: ManifestPart,
    ) -> Result<Order, DiskError> {
        let (mut names, mut new) = (HashSet::new(), Vec::new());
        for file in files {
            let name = delta_file_name(file.epoch, file.shard);
            if !self.has.contains(&name) {
                let path = delta_dir.join(&name);
                let opened = self.shared.disk.open(&path);
                let opened = opened.map_err(|error| DiskError::new("cannot open", &path, &error))?;
                new.push((name.clone(), opened, file.bytes()));
            }
            names.insert(name);
        }
        Ok(Order { epoch, commit: self.commits, manifest, names, new })
    }

    /// Whether the newest checkpoint that was committed is neither copied nor about to be.
    pub(super) fn is_behind(&self) -> bool {
        let state = self.shared.lock();
        !state.busy && state.next.is_none() && state.last.1 < self.commits
    }

    /// Waits until the thread has nothing to do.
    pub(super) fn settle(&self) {
        let mut state = self.shared.lock();
        while state.busy || state.next.is_some() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How far it is.
    pub(super) fn status(&self) -> ReplicaStatus {
        let state = self.shared.lock();
        ReplicaStatus {
            last_epoch: state.last.0.0,
            lag: self.commits - state.last.1,
            failed: state.failed,
            failure: state.failure.clone(),
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}

impl State {
    fn fail(&mut self, error: &DiskError) {
        if self.failure.is_none() {
            tracing::warn!(%error, "the second copy of a checkpoint failed; the job goes on, and tries again with the next one");
        }
        self.failed += 1;
        self.failure = Some(error.to_string());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole or not there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn run(&self) {
        loop {
            let mut state = self.lock();
            let copy = loop {
                match state.next.take() {
                    Some(copy) => break copy,
                    None if state.closing => return,
                    None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            state.busy = true;
            drop(state);
            let copied = self.copy(&copy);
            let mut state = self.lock();
            state.busy = false;
            match copied {
                Ok(()) => {
                    state.last = (copy.epoch, copy.commit);
                    state.failure = None;
                }
                Err(error) => state.fail(&error),
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn copy(&self, copy: &Order) -> Result<(), DiskError> {
        let delta_dir = self.dir.delta_dir();
        for (name, file, bytes) in &copy.new {
            self.copy_file(file.as_ref(), &delta_dir.join(name), *bytes)?;
        }
        let synced = self.disk.sync_dir(&delta_dir);
        synced.map_err(|error| DiskError::new("cannot sync the directory", &delta_dir, &error))?;
        copy.manifest.copy_to(self.disk.as_ref(), &self.dir.path)?;
        // Only now is nothing of the old ones needed.
        let listed = self.disk.list(&delta_dir);
        let listed =
            listed.map_err(|error| DiskError::new("cannot list the directory", &delta_dir, &error))?;
        for name in listed.iter().filter(|name| !copy.names.contains(*name)) {
            let path = delta_dir.join(name);
            self.disk.remove(&path).map_err(|error| DiskError::new("cannot remove", &path, &error))?;
        }
        Ok(())
    }

    /// A file that is there in its full length is whole: it had another name until it was.
    fn copy_file(&self, from: &dyn DiskFile, to: &Path, bytes: u64) -> Result<(), DiskError> {
        if self.disk.open(to).and_then(|there| there.len()).is_ok_and(|len| len == bytes) {
            return Ok(());
        }
        let part = to.with_extension("part");
        let copied = || {
            let into = self.disk.create(&part)?;
            let mut piece = vec![0; PIECE_BYTES];
            let mut at = 0;
            while at < bytes {
                let len = (bytes - at).min(PIECE_BYTES as u64) as usize;
                from.read_exact_at(&mut piece[..len], at)?;
                into.write_all_at(&piece[..len], at)?;
                at += len as u64;
            }
            into.sync()?;
            self.disk.rename(&part, to)
        };
        copied().map_err(|error| DiskError::new("cannot copy a checkpoint to", to, &error))
    }
}
