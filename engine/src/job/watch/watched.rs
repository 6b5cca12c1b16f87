//! The keys that are watched, and looking them up in a checkpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::WatchError;
use super::slot::Slot;
use crate::element::{Epoch, KeyHash};
use crate::job::{CommittedState, CommittedStateError, StateReadError};
use crate::key::{HashSeed, Key};
use crate::record::Record;

/// What a state has for some keys: [`CommittedState::raw_values`] for the types that somebody has named.
type Read =
    fn(&CommittedState, &str, &str, &[(KeyHash, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, CommittedStateError>;

/// A key that somebody watches.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) operator: String,
    pub(super) state: String,
    /// Fingerprints of what keys and values are to look like: they name `read`.
    layouts: (u64, u64),
    read: Read,
    hash: KeyHash,
    key: Vec<u8>,
    pub(super) slot: Slot,
}

impl Watched {
    pub(super) fn new<K: Key + ?Sized, V: Record>(
        operator: &str,
        state: &str,
        key: &K,
        seed: HashSeed,
    ) -> Watched {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        Watched {
            operator: operator.to_owned(),
            state: state.to_owned(),
            layouts: (K::layout().fingerprint, V::layout().fingerprint),
            read: CommittedState::raw_values::<K, V>,
            hash: key.hash(seed),
            key: bytes,
            slot: Slot::default(),
        }
    }
}

/// All keys of a job that are watched. The handle adds to them; each goes when nobody holds it any more.
#[derive(Debug, Default)]
pub(in crate::job) struct Watches(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    watched: Vec<Weak<Watched>>,
    /// Some have come since a checkpoint was looked at.
    fresh: bool,
    /// The newest checkpoint that was looked at.
    seen: Epoch,
    over: bool,
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, Keys> {
        // Fields are set in single steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a key more, from the newest checkpoint on.
    pub(super) fn add(&self, watched: &Arc<Watched>) {
        let mut keys = self.lock();
        if keys.over {
            drop(keys);
            watched.slot.end(None);
            return;
        }
        keys.watched.push(Arc::downgrade(watched));
        keys.fresh = true;
    }

    /// Whether there is something to be found in this checkpoint, which is the newest.
    pub(super) fn want(&self, newest: Epoch) -> bool {
        let mut keys = self.lock();
        keys.watched.retain(|watched| watched.strong_count() > 0);
        newest > Epoch(0) && !keys.watched.is_empty() && (keys.fresh || newest > keys.seen)
    }

    /// The keys that there are now, to be looked up in this checkpoint.
    fn to_look_up(&self, epoch: Epoch) -> Vec<Arc<Watched>> {
        let mut keys = self.lock();
        (keys.fresh, keys.seen) = (false, epoch);
        keys.watched.iter().filter_map(Weak::upgrade).collect()
    }

    /// This checkpoint cannot be looked at.
    pub(super) fn pass_over(&self, epoch: Epoch) {
        drop(self.to_look_up(epoch));
    }

    /// Tells all who watch what the checkpoint has for their keys. `is_own`: this run of the job has made it.
    pub(super) fn look_into(
        &self,
        epoch: Epoch,
        committed: Result<CommittedState, CommittedStateError>,
        is_own: bool,
    ) {
        let mut states: BTreeMap<_, Vec<Arc<Watched>>> = BTreeMap::new();
        for watched in self.to_look_up(epoch) {
            let state = (watched.operator.clone(), watched.state.clone(), watched.layouts);
            states.entry(state).or_default().push(watched);
        }
        let committed = match committed {
            Ok(committed) => committed,
            Err(error) => return tell(states.into_values().flatten(), error, epoch, is_own),
        };
        for ((operator, state, _), watched) in states {
            let keys: Vec<_> = watched.iter().map(|watched| (watched.hash, watched.key.as_slice())).collect();
            match (watched[0].read)(&committed, &operator, &state, &keys) {
                Ok(values) => {
                    let values = watched.iter().zip(values);
                    values.for_each(|(watched, value)| watched.slot.put(epoch, value));
                }
                Err(error) => tell(watched.into_iter(), error, epoch, is_own),
            }
        }
    }

    /// The job goes on from a checkpoint: where somebody has seen a younger one, which it has dropped, it is told.
    pub(in crate::job) fn go_on_from(&self, from: Epoch) {
        let mut keys = self.lock();
        let seen = keys.seen;
        if from < seen {
            keys.seen = from;
            let error = WatchError::WentBack { seen, to: from };
            let watched: Vec<_> = keys.watched.drain(..).filter_map(|watched| watched.upgrade()).collect();
            drop(keys);
            watched.iter().for_each(|watched| watched.slot.end(Some(error.clone())));
        }
    }

    /// Nothing more will come.
    pub(in crate::job) fn close(&self, error: Option<WatchError>) {
        let mut keys = self.lock();
        keys.over = true;
        let watched: Vec<_> = keys.watched.drain(..).filter_map(|watched| watched.upgrade()).collect();
        drop(keys);
        watched.iter().for_each(|watched| watched.slot.end(error.clone()));
    }
}

/// A state cannot be read. That it is not there, or of another type, will not change; a file that cannot be read is another one next time.
fn tell(all: impl Iterator<Item = Arc<Watched>>, error: CommittedStateError, epoch: Epoch, is_own: bool) {
    match error {
        // The program that made the checkpoint had no such state yet.
        CommittedStateError::Read(
            StateReadError::NoSuchOperator { .. } | StateReadError::NoSuchState { .. },
        ) if !is_own => {}
        error @ CommittedStateError::Read(_) => {
            let error = WatchError::from(error);
            all.for_each(|watched| watched.slot.end(Some(error.clone())));
        }
        error => tracing::debug!(%epoch, %error, "watched keys are looked up in the next checkpoint"),
    }
}
