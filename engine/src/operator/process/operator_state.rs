//! State of an operator rather than of a key: lists in memory that are dealt out anew when the number of shards changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::ShardId;
use crate::key::Key;
use crate::operator::failure::Cause;
use crate::operator::segment::OpenContext;
use crate::params::Params;
use crate::record::{Record, RecordBuf, RecordError};
use crate::runtime::restored::RestoreFailure;
use crate::runtime::snapshot::{OperatorSnapshot, StateSnapshot};
use crate::savepoint::{Form, RecordType};

/// What becomes of the entries of an [`OperatorState`] when a job goes on from a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redistribution {
    /// Each entry goes to one shard. With the same number of shards each has its own again; with another number they are dealt out in turn
    /// (Flink's `getListState`).
    Split,
    /// Every shard gets the entries of all (Flink's `getUnionListState`).
    Union,
}

/// Entries that an operator keeps on a shard, whatever the key (Flink's operator state,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/state/#operator-state>): what
/// [`OperatorStates::list`] gives. They are kept in memory as they are and written whole with each checkpoint: for offsets, buffers and
/// the like, not for many entries.
pub struct OperatorState<T> {
    entries: Rc<RefCell<Vec<T>>>,
}

impl<T> Default for OperatorState<T> {
    fn default() -> Self {
        OperatorState { entries: Rc::default() }
    }
}

impl<T> OperatorState<T> {
    /// Adds an entry.
    pub fn add(&self, entry: T) {
        self.entries.borrow_mut().push(entry);
    }

    /// Puts other entries in the place of all there are.
    pub fn replace(&self, entries: impl IntoIterator<Item = T>) {
        let entries = entries.into_iter().collect();
        *self.entries.borrow_mut() = entries;
    }

    /// Takes all entries out.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.entries.borrow_mut())
    }

    /// Works on the entries in place.
    pub fn with<R>(&self, work: impl FnOnce(&mut Vec<T>) -> R) -> R {
        work(&mut self.entries.borrow_mut())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }
}

/// Where a function declares the state of its operator. The names are the identity of states in checkpoints.
pub struct OperatorStates<'a> {
    context: &'a OpenContext,
    operator: String,
    kept: Kept,
    failed: Option<Cause>,
}

/// An operator has two states of one name.
#[derive(Debug, thiserror::Error)]
#[error(
    "operator `{operator}` has two states named `{state}`; names are the identity of state, give it another"
)]
struct StateTwice {
    operator: String,
    state: String,
}

/// An entry of a checkpoint that is none of its type.
#[derive(Debug, thiserror::Error)]
enum BadEntry {
    #[error("what shard {shard} saved of the state of operator `{operator}` cannot be read: {cause}")]
    Words { operator: String, shard: ShardId, cause: CodecError },
    #[error("an entry of state `{state}` of operator `{operator}` cannot be read: {cause}")]
    Record { operator: String, state: String, cause: RecordError },
}

impl<'a> OperatorStates<'a> {
    pub(super) fn new(context: &'a OpenContext, operator: &str) -> Self {
        OperatorStates { context, operator: operator.to_owned(), kept: Kept::default(), failed: None }
    }

    /// The number of this shard among those that the operator runs on, from 0.
    pub fn shard(&self) -> u16 {
        self.context.instance().0.0
    }

    /// How many shards the operator runs on.
    pub fn shards(&self) -> u16 {
        self.context.instance().1
    }

    /// Whether the job goes on from a checkpoint (Flink's `isRestored`).
    pub fn is_restored(&self) -> bool {
        self.context.restored.is_some()
    }

    /// The parameters of the job; see [`Job::params`](crate::job::Job::params).
    pub fn params(&self) -> &'a Params {
        &self.context.params
    }

    /// Entries under this name: those of the checkpoint that fall to this shard, or none.
    pub fn list<T: Record>(&mut self, name: &str, redistribution: Redistribution) -> OperatorState<T> {
        let state = OperatorState::default();
        if let Err(cause) = self.declare(name, redistribution, &state) {
            self.failed.get_or_insert(cause);
        }
        state
    }

    fn declare<T: Record>(
        &mut self,
        name: &str,
        redistribution: Redistribution,
        state: &OperatorState<T>,
    ) -> Result<(), Cause> {
        let operator = || self.operator.clone();
        if self.kept.declared.iter().any(|(known, _)| known.state == name) {
            return Err(Cause::fatal(StateTwice { operator: operator(), state: name.to_owned() }));
        }
        let now = StateSnapshot { state: name.to_owned(), key: <() as Key>::layout(), value: T::layout() };
        let restored = self.context.restored.iter();
        let portable = restored.clone().find_map(|restored| restored.portable());
        self.context.types.records(&self.operator, name, RecordType::of::<T>());
        if let Some(portable) = portable {
            let changes = portable.changes(&self.operator, name, &<() as Key>::schema(), &T::schema());
            changes.map_err(Cause::fatal)?;
        }
        let saved: Vec<_> =
            restored.clone().flat_map(|restored| restored.operators(&self.operator)).collect();
        let by_layout = saved.iter().filter(|_| portable.is_none());
        for then in by_layout.flat_map(|(_, snapshot)| &snapshot.states).filter(|then| then.state == name) {
            if then.value.fingerprint != now.value.fingerprint {
                return Err(Cause::fatal(RestoreFailure::LayoutChanged {
                    operator: operator(),
                    state: name.to_owned(),
                    what: "entries",
                    then: then.value.text.clone(),
                    now: now.value.text.clone(),
                }));
            }
        }
        let (instance, instances) = self.context.instance();
        let same_shards = restored.clone().all(|restored| restored.keeps_place(self.context, &self.operator));
        let mut number = 0;
        for (of, snapshot) in saved {
            let lists = saved_lists(&snapshot.data)
                .map_err(|cause| Cause::fatal(BadEntry::Words { operator: operator(), shard: of, cause }))?;
            for bytes in lists.into_iter().filter(|(list, _)| list == name).flat_map(|(_, entries)| entries) {
                let is_mine = match redistribution {
                    Redistribution::Union => true,
                    Redistribution::Split if same_shards => of == self.context.shard,
                    Redistribution::Split => number % usize::from(instances) == instance.index(),
                };
                number += 1;
                if is_mine {
                    state.add(match portable {
                        Some(portable) => {
                            portable.record(&self.operator, name, &bytes).map_err(Cause::fatal)?
                        }
                        None => read::<T>(&bytes).map_err(|cause| {
                            let (operator, state) = (operator(), name.to_owned());
                            Cause::fatal(BadEntry::Record { operator, state, cause })
                        })?,
                    });
                }
            }
        }
        self.kept.declared.push((now, Box::new(List(state.entries.clone()))));
        Ok(())
    }

    /// All is declared: whatever else the checkpoint holds would be lost.
    pub(super) fn finish(self) -> Result<Kept, Cause> {
        if let Some(cause) = self.failed {
            return Err(cause);
        }
        let OperatorStates { context, operator, kept, .. } = self;
        let saved = context.restored.iter().flat_map(|restored| restored.operators(&operator));
        let mut states = saved.flat_map(|(_, snapshot)| &snapshot.states);
        let is_unknown = |then: &&StateSnapshot| kept.declared.iter().all(|(now, _)| now.state != then.state);
        let leaves_behind = context.restored.iter().any(|restored| restored.leaves_behind());
        if let Some(unknown) = states.find(is_unknown).filter(|_| !leaves_behind) {
            let (operator, state) = (operator.clone(), unknown.state.clone());
            return Err(Cause::fatal(RestoreFailure::UnknownState { operator, state }));
        }
        drop(states);
        let types = kept.declared.iter().map(|(state, list)| (state.state.clone(), list.record())).collect();
        let words = move |words: &[u8]| portable_lists(words, &types);
        context.types.form(&operator, Form::Words(Arc::new(words)));
        Ok(Kept { operator, ..kept })
    }
}

/// The states of an operator on one shard.
#[derive(Default)]
pub(super) struct Kept {
    operator: String,
    declared: Vec<(StateSnapshot, Box<dyn AnyList>)>,
}

impl Kept {
    pub(super) fn snapshot(&self) -> OperatorSnapshot {
        let mut out = Writer::new();
        out.put_list(&self.declared, |out, (state, list)| {
            out.put_str(&state.state);
            list.save(out);
        });
        OperatorSnapshot {
            operator: self.operator.clone(),
            states: self.declared.iter().map(|(state, _)| state.clone()).collect(),
            data: out.into_bytes(),
            arena: 0,
        }
    }
}

/// The entries of each state, archived.
type Saved = Vec<(String, Vec<Vec<u8>>)>;

/// What an operator's words say, in a checkpoint (archived) or a savepoint (as values).
pub(crate) fn saved_lists(bytes: &[u8]) -> Result<Saved, CodecError> {
    let mut input = Reader::new(bytes);
    let lists = input.list("states", 16, |input| {
        let name = input.str("state")?.to_owned();
        Ok((name, input.list("entries", 8, |input| Ok(input.bytes("entry")?.to_vec()))?))
    })?;
    input.finish()?;
    Ok(lists)
}

/// The words with values in the place of archived entries.
fn portable_lists(words: &[u8], types: &BTreeMap<String, RecordType>) -> Result<Vec<u8>, String> {
    let mut lists = saved_lists(words).map_err(|error| error.to_string())?;
    for (name, entries) in &mut lists {
        let of = types.get(name).ok_or_else(|| format!("nobody has declared the state `{name}`"))?;
        for entry in entries {
            let mut value = Writer::new();
            of.save(entry, &mut value).map_err(|error| error.to_string())?;
            *entry = value.into_bytes();
        }
    }
    let mut out = Writer::new();
    out.put_list(&lists, |out, (name, entries)| {
        out.put_str(name).put_list(entries, |out, entry| {
            out.put_bytes(entry);
        });
    });
    Ok(out.into_bytes())
}

fn read<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    // Archived records are looked at where they are aligned.
    let mut aligned = RecordBuf::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    T::view(&aligned).map(T::owned)
}

/// A list whose type only its handle knows.
trait AnyList {
    fn save(&self, out: &mut Writer);
    fn record(&self) -> RecordType;
}

struct List<T>(Rc<RefCell<Vec<T>>>);

impl<T: Record> AnyList for List<T> {
    fn save(&self, out: &mut Writer) {
        let mut bytes = RecordBuf::new();
        out.put_list(self.0.borrow().iter(), |out, entry| {
            bytes.clear();
            entry.encode(&mut bytes);
            out.put_bytes(&bytes);
        });
    }

    fn record(&self) -> RecordType {
        RecordType::of::<T>()
    }
}
