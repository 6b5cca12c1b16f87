//! Reading the state of a job as its newest checkpoint has it: of one that runs, in this process or another, or that has ended.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JobHandle;
use super::state_reads::{StateReadError, listed};
use crate::arena::{Arena, ArenaBacking, ArenaConfig, StateName};
use crate::checkpoint::codec::CodecError;
use crate::checkpoint::{NewestError, RestoredJob, newest};
use crate::disk::{Disk, RealDisk};
use crate::element::{Epoch, KeyHash, ShardId};
use crate::graph::ShardRange;
use crate::key::{HashSeed, Key};
use crate::operator::store::Contents;
use crate::record::Record;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::restored::old_arena;
use crate::runtime::snapshot::{ShardSnapshot, StateSnapshot};
use crate::state::{StateError, Table};

/// How many pages are looked at before what they hold is given out.
const PAGES_PER_PIECE: usize = 16;

/// Why committed state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CommittedStateError {
    /// The job keeps no checkpoints.
    #[error("the job has no state directory, and so no checkpoints to read; give it one with Job::state_dir")]
    NoStateDir,
    /// There is no checkpoint yet.
    #[error("{} holds no complete checkpoint yet", dir.display())]
    NoCheckpoint {
        /// The state directory.
        dir: PathBuf,
    },
    /// The directory or the checkpoint cannot be read.
    #[error(transparent)]
    Newest(#[from] NewestError),
    /// What the checkpoint says of itself cannot be read.
    #[error("checkpoint {epoch} in {}: {cause}", dir.display())]
    Metadata {
        /// The state directory.
        dir: PathBuf,
        /// The checkpoint.
        epoch: Epoch,
        /// What is wrong.
        cause: CodecError,
    },
    /// There is no such state, or it has other types.
    #[error(transparent)]
    Read(#[from] StateReadError),
    /// A page cannot be read, or is damaged.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The state of a job as its newest checkpoint has it. All of it is of one moment, and none of it will be undone: what a failure undoes is in
/// no checkpoint. Nothing of the job is stopped for it, and the job need not run.
///
/// In an unaligned checkpoint a record can be on its way between two shards: it is in the checkpoint, but not in the state yet, so that keys of
/// different shards can be some records apart. With aligned checkpoints nothing is on its way.
///
/// ```
/// use millstream_engine::job::CommittedState;
/// use millstream_engine::prelude::*;
/// use millstream_engine::testing::script;
///
/// let state = tempfile::tempdir()?;
/// Job::new("words").state_dir(state.path()).run(|flow| {
///     let words = flow.source("words", script(["a", "b", "a"].map(str::to_owned)));
///     words.key_by(|word| word.clone()).count().name("counts").discard();
/// })?;
/// let committed = CommittedState::open(state.path(), "words")?;
/// let mut counts = committed.state::<String, u64>("counts", "value")?;
/// assert_eq!(counts.get(&"a".to_owned())?, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A checkpoint that the job drops while it is read gives an error for pages that were not read yet: open it again. Of a state whose entries
/// expire, those that have and were not taken out yet are there.
pub struct CommittedState {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    job: RestoredJob,
    snapshots: Vec<ShardSnapshot>,
    chains: Vec<(String, ShardRange)>,
}

impl CommittedState {
    /// The newest checkpoint of the job of this name, in its state directory. A process may be writing to it.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(dir: impl AsRef<Path>, job: &str) -> Result<CommittedState, CommittedStateError> {
        CommittedState::on(Arc::new(RealDisk), dir.as_ref(), job)
    }

    fn on(disk: Arc<dyn Disk>, dir: &Path, job: &str) -> Result<CommittedState, CommittedStateError> {
        let dir = dir.to_owned();
        let Some(job) = newest(disk.as_ref(), &dir, job)? else {
            return Err(CommittedStateError::NoCheckpoint { dir });
        };
        CommittedState::of(disk, dir, job)
    }

    /// The state of a checkpoint that has been loaded from this directory.
    pub(super) fn of(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        job: RestoredJob,
    ) -> Result<CommittedState, CommittedStateError> {
        let unreadable = |cause| CommittedStateError::Metadata { dir: dir.clone(), epoch: job.epoch, cause };
        let JobMeta { chains, .. } = JobMeta::decode(&job.meta).map_err(unreadable)?;
        let snapshots = job.shards.iter().map(|shard| ShardSnapshot::decode(&shard.meta));
        let snapshots = snapshots.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(CommittedState { disk, dir, job, snapshots, chains })
    }

    /// Which checkpoint it is.
    pub fn epoch(&self) -> Epoch {
        self.job.epoch
    }

    /// A state of a keyed operator: of a process function by the name that it was declared with, of a running fold as `value`.
    ///
    /// # Errors
    /// There is none of this name, or it has other types.
    pub fn state<K: Key + ?Sized, V: Record>(
        &self,
        operator: &str,
        state: &str,
    ) -> Result<CommittedValues<K, V>, CommittedStateError> {
        let parts = self.shards_of(operator).shards().map(|shard| self.part(shard, operator, state));
        Ok(CommittedValues { parts: parts.collect::<Result<_, _>>()?, seed: self.job.hash_seed })
    }

    /// What a state keeps for some keys, archived. Only the shards that these belong to are looked at.
    pub(super) fn raw_values<K: Key + ?Sized, V: Record>(
        &self,
        operator: &str,
        state: &str,
        keys: &[(KeyHash, &[u8])],
    ) -> Result<Vec<Option<Vec<u8>>>, CommittedStateError> {
        let on = self.shards_of(operator);
        let mut parts = BTreeMap::new();
        let values = keys.iter().map(|(hash, key)| {
            let shard = on.nth(hash.shard(on.count).index());
            let Part { arena, table } = match parts.entry(shard) {
                Entry::Occupied(part) => part.into_mut(),
                Entry::Vacant(place) => place.insert(self.part::<K, V>(shard, operator, state)?),
            };
            Ok(table.get_raw(arena, *hash, key, <[u8]>::to_vec)?)
        });
        values.collect()
    }

    /// The shards that the chain of an operator ran on.
    fn shards_of(&self, operator: &str) -> ShardRange {
        let on = self.chains.iter().find(|(head, _)| head == operator).map(|(_, on)| *on);
        on.unwrap_or(ShardRange::all(self.snapshots.len() as u16))
    }

    fn part<K: Key + ?Sized, V: Record>(
        &self,
        shard: ShardId,
        operator: &str,
        state: &str,
    ) -> Result<Part<K, V>, CommittedStateError> {
        let kept = self.snapshots[shard.index()].operators.iter().find(|of| of.operator == operator);
        let Some(kept) = kept else { return Err(self.no_such(operator, state)) };
        let declared = kept.states.iter().find(|declared| declared.state == state);
        // What is no table, such as a window's, says in words of its own what it is.
        let contents = Contents::decode(&kept.data).ok();
        let meta = contents.and_then(|contents| contents.meta_of(state));
        let (Some(StateSnapshot { key, value, .. }), Some(meta)) = (declared, meta) else {
            return Err(self.no_such(operator, state));
        };
        if (key.fingerprint, value.fingerprint) != (K::layout().fingerprint, V::layout().fingerprint) {
            return Err(StateReadError::OtherTypes {
                operator: operator.to_owned(),
                state: state.to_owned(),
                key: key.text.clone(),
                value: value.text.clone(),
            }
            .into());
        }
        // Pages come in one by one, as somebody asks for them.
        let backing = ArenaBacking::default().by_small_pages();
        let config = ArenaConfig { backing, ..ArenaConfig::new(operator) };
        let mut arena = old_arena(&self.job, self.disk.clone(), shard, kept.arena, config)?;
        let table = Table::restore(&mut arena, meta, &StateName::new(operator, state))?;
        Ok(Part { arena, table })
    }

    fn no_such(&self, operator: &str, state: &str) -> CommittedStateError {
        let kept = self.snapshots.iter().flat_map(|snapshot| &snapshot.operators);
        let readable = kept.filter(|kept| Contents::decode(&kept.data).is_ok());
        let names: BTreeSet<&str> = readable.clone().map(|kept| kept.operator.as_str()).collect();
        if !names.contains(operator) {
            let known = listed(names.into_iter());
            return StateReadError::NoSuchOperator { operator: operator.to_owned(), known }.into();
        }
        let of_operator = readable.filter(|kept| kept.operator == operator);
        let states: BTreeSet<&str> =
            of_operator.flat_map(|kept| &kept.states).map(|declared| declared.state.as_str()).collect();
        let (operator, state, known) = (operator.to_owned(), state.to_owned(), listed(states.into_iter()));
        StateReadError::NoSuchState { operator, state, known }.into()
    }
}

impl fmt::Debug for CommittedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommittedState({} of {})", self.epoch(), self.dir.display())
    }
}

impl JobHandle {
    /// The state of the job as its newest checkpoint has it, also after its end. For what the job has at the moment, see
    /// [`JobHandle::state`].
    ///
    /// # Errors
    /// The job has no state directory, or no checkpoint yet.
    pub fn committed_state(&self) -> Result<CommittedState, CommittedStateError> {
        let (dir, job) = self.shared.state_dir().ok_or(CommittedStateError::NoStateDir)?;
        CommittedState::open(dir, job)
    }
}

/// What one shard has of a state.
struct Part<K: Key + ?Sized, V: Record> {
    arena: Arena,
    table: Table<K, V>,
}

/// A state in a checkpoint: see [`CommittedState::state`].
pub struct CommittedValues<K: Key + ?Sized, V: Record> {
    parts: Vec<Part<K, V>>,
    seed: HashSeed,
}

impl<K: Key + ?Sized, V: Record> CommittedValues<K, V> {
    /// What is kept for a key, if anything. Reads one page or a few.
    ///
    /// # Errors
    /// A page cannot be read, or is damaged.
    pub fn get(&mut self, key: &K) -> Result<Option<V>, CommittedStateError> {
        let hash = key.hash(self.seed);
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        let shard = hash.shard(self.parts.len() as u16);
        let Part { arena, table } = &mut self.parts[shard.index()];
        Ok(table.get(arena, hash, &bytes, V::owned)?)
    }

    /// Shows all keys and what is kept for them, in the order of their hashes. Reads all pages.
    ///
    /// # Errors
    /// As [`CommittedValues::get`].
    pub fn each(&mut self, mut each: impl FnMut(K::Owned, V)) -> Result<(), CommittedStateError> {
        for Part { arena, table } in &mut self.parts {
            let mut next = Some(KeyHash(0));
            while let Some(from) = next {
                next = table.walk(arena, from, KeyHash(u64::MAX), PAGES_PER_PIECE, |hash, key, value| {
                    each(K::decode(hash, key, self.seed), V::owned(value));
                })?;
            }
        }
        Ok(())
    }

    /// How many keys there are.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.table.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Key + ?Sized, V: Record> fmt::Debug for CommittedValues<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommittedValues({} keys)", self.len())
    }
}
