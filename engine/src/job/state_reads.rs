//! Reading the state of a running job from outside of it (Flink's queryable state).

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::{JobHandle, JobStatus, NoAnswer};
use crate::element::{KeyHash, ShardId};
use crate::graph::ShardRange;
use crate::key::{HashSeed, Key, Sub};
use crate::operator::OpId;
use crate::operator::process::MapKey;
use crate::record::{Record, RecordBuf};
use crate::runtime::reads::{Read, StateRead};

/// How long a shard has to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is looked whether it still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why state could not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StateReadError {
    /// There is no operator of this name that works by keys.
    #[error("the job has no operator `{operator}` that keeps state by keys; it has {known}")]
    NoSuchOperator {
        /// The name.
        operator: String,
        /// Those that do.
        known: String,
    },
    /// The operator keeps nothing under this name that could be read.
    #[error("operator `{operator}` has no state `{state}` that can be read; it has {known}")]
    NoSuchState {
        /// The operator.
        operator: String,
        /// The name.
        state: String,
        /// Those that can be.
        known: String,
    },
    /// Keys or values are of other types.
    #[error(
        "state `{state}` of operator `{operator}` has the keys `{key}` and the values `{value}`; ask for these"
    )]
    OtherTypes {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// What its keys are.
        key: String,
        /// What its values are.
        value: String,
    },
    /// It is there, and cannot be read.
    #[error("state `{state}` of operator `{operator}` cannot be read: {problem}")]
    Unreadable {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// Why.
        problem: String,
    },
    /// The job does not run, or the shard is busy.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl JobHandle {
    /// A handle on a state of a keyed operator: of a process function by the name that it was declared with, of a running fold (`count`, `sum`,
    /// `reduce`, ..) as `value`. It can be cloned and sent to any thread, and outlives restarts of the job.
    ///
    /// What is read is what the shard has at that moment: records that a failure undoes may be counted in it (Flink's queryable state reads no
    /// other way). [Flink: Queryable State](https://nightlies.apache.org/flink/flink-docs-release-1.18/docs/dev/datastream/fault-tolerance/queryable_state/)
    ///
    /// # Errors
    /// No operator of this name keeps state by keys. Whether it has the state, and of these types, shows when it is read.
    pub fn state<K: Key + ?Sized, V: Record>(
        &self,
        operator: &str,
        state: &str,
    ) -> Result<StateHandle<K, V>, StateReadError> {
        Ok(StateHandle { place: Place::find(&self.shared, operator, state)?, types: PhantomData })
    }

    /// A handle on a map of a process function; otherwise as [`JobHandle::state`].
    ///
    /// # Errors
    /// As [`JobHandle::state`].
    pub fn map_state<K: Key + ?Sized, Q: MapKey, V: Record>(
        &self,
        operator: &str,
        state: &str,
    ) -> Result<MapStateHandle<K, Q, V>, StateReadError> {
        Ok(MapStateHandle { place: Place::find(&self.shared, operator, state)?, types: PhantomData })
    }
}

/// Where a state lies.
#[derive(Clone)]
struct Place {
    shared: Arc<Shared>,
    op: OpId,
    operator: Arc<str>,
    state: Arc<str>,
    on: ShardRange,
}

impl Place {
    fn find(shared: &Arc<Shared>, operator: &str, state: &str) -> Result<Place, StateReadError> {
        let plan = shared.plan();
        let keyed = plan.keyed_heads().collect::<Vec<_>>();
        let Some((op, on)) = keyed.iter().find(|(op, _)| plan.name(*op) == operator) else {
            let known = keyed.iter().map(|(op, _)| plan.name(*op));
            return Err(StateReadError::NoSuchOperator {
                operator: operator.to_owned(),
                known: listed(known),
            });
        };
        Ok(Place { shared: shared.clone(), op: *op, operator: operator.into(), state: state.into(), on: *on })
    }

    /// Asks the shard that the key belongs to. `key` is what the table has it by.
    fn read<K: Key + ?Sized, V: Record>(
        &self,
        hash: KeyHash,
        key: Vec<u8>,
    ) -> Result<Option<V>, StateReadError> {
        let shard = self.on.nth(hash.shard(self.on.count).index());
        let (answer, answers) = sync_channel(1);
        let layouts = (K::layout().fingerprint, V::layout().fingerprint);
        let state = self.state.clone();
        self.shared.read_state(shard, StateRead { op: self.op, state, hash, key, layouts, answer })?;
        let read = self.wait(shard, &answers)?;
        let (operator, state) = (self.operator.to_string(), self.state.to_string());
        match read {
            Read::Value(None) => Ok(None),
            Read::Value(Some(bytes)) => {
                let mut aligned = RecordBuf::with_capacity(bytes.len());
                aligned.extend_from_slice(&bytes);
                let view = V::view(&aligned).map_err(|error| StateReadError::Unreadable {
                    operator,
                    state,
                    problem: error.to_string(),
                })?;
                Ok(Some(V::owned(view)))
            }
            Read::NoSuchState(known) => {
                let known = listed(known.iter().map(String::as_str));
                Err(StateReadError::NoSuchState { operator, state, known })
            }
            Read::OtherTypes { key, value } => {
                Err(StateReadError::OtherTypes { operator, state, key: key.text, value: value.text })
            }
            Read::Failed(problem) => Err(StateReadError::Unreadable { operator, state, problem }),
        }
    }

    /// Waits for the answer. A shard that has taken its last step gives none.
    fn wait(&self, shard: ShardId, answers: &Receiver<Read>) -> Result<Read, NoAnswer> {
        let end = Instant::now() + TIMEOUT;
        loop {
            match answers.recv_timeout(LOOK_EVERY) {
                Ok(read) => return Ok(read),
                Err(RecvTimeoutError::Timeout) if self.shared.status() == JobStatus::Running => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(NoAnswer::NotRunning { status: self.shared.status() });
                }
                // The attempt that was asked is over, and another one has begun.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(NoAnswer::NotRunning { status: JobStatus::Restarting });
                }
            }
            if Instant::now() >= end {
                return Err(NoAnswer::Busy { shard, waited: TIMEOUT });
            }
        }
    }

    fn seed(&self) -> HashSeed {
        self.shared.seed()
    }
}

pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Reads one value per key from a running job: see [`JobHandle::state`].
pub struct StateHandle<K: ?Sized, V> {
    place: Place,
    types: PhantomData<fn() -> (Box<K>, V)>,
}

impl<K: Key + ?Sized, V: Record> StateHandle<K, V> {
    /// What the job keeps for a key now, if anything. The shard that the key belongs to answers between two steps.
    ///
    /// # Errors
    /// [`StateReadError`].
    pub fn get(&self, key: &K) -> Result<Option<V>, StateReadError> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        self.place.read::<K, V>(key.hash(self.place.seed()), bytes)
    }
}

/// Reads entries of maps from a running job: see [`JobHandle::map_state`].
pub struct MapStateHandle<K: ?Sized, Q, V> {
    place: Place,
    types: PhantomData<fn() -> (Box<K>, Q, V)>,
}

impl<K: Key + ?Sized, Q: MapKey, V: Record> MapStateHandle<K, Q, V> {
    /// The value of an entry of a key's map, if there is one.
    ///
    /// # Errors
    /// [`StateReadError`].
    pub fn get(&self, key: &K, of: &Q) -> Result<Option<V>, StateReadError> {
        let (mut bytes, mut sub_key) = (Vec::new(), Vec::new());
        key.encode(&mut bytes);
        let hash = Sub::<K, Q>::encode_parts(key.hash(self.place.seed()), &bytes, of, &mut sub_key);
        self.place.read::<Sub<K, Q>, V>(hash, sub_key)
    }
}

macro_rules! handle {
    ($name:ident<$($of:ident),*>) => {
        impl<K: ?Sized, $($of),*> Clone for $name<K, $($of),*> {
            fn clone(&self) -> Self {
                $name { place: self.place.clone(), types: PhantomData }
            }
        }

        impl<K: ?Sized, $($of),*> fmt::Debug for $name<K, $($of),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}.{})", stringify!($name), self.place.operator, self.place.state)
            }
        }
    };
}

handle!(StateHandle<V>);
handle!(MapStateHandle<Q, V>);
