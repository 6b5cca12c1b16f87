//! The types of what operators keep, as they declared it when they were opened: how archived bytes become values.
//!
//! Types are known to the code of the operators alone. What they leave here are functions, which any thread may call.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::arena::{Arena, StateName};
use crate::channel::BatchShape;
use crate::checkpoint::codec::{CodecError, Writer};
use crate::element::KeyHash;
use crate::key::{Key, Sub};
use crate::record::{Record, RecordBuf, RecordError};
use crate::schema::{KeySchema, Misfit, Schema, Value};
use crate::state::{Table, TableMeta};

/// How many pages a walk through a table reads at a time.
const WALK_PAGES: usize = 64;

/// What all operators of a job keep, by name. The shards declare, and whoever makes a savepoint looks things up.
#[derive(Default)]
pub struct StateTypes(Mutex<BTreeMap<String, OperatorTypes>>);

/// What one operator keeps.
#[derive(Clone, Default)]
pub(crate) struct OperatorTypes {
    /// The records on their way to it, per input.
    pub(crate) inputs: Vec<(RecordType, BatchShape)>,
    pub(crate) states: BTreeMap<String, StateType>,
    pub(crate) form: Form,
}

/// A state of an operator.
#[derive(Clone)]
pub(crate) enum StateType {
    /// Entries in tables.
    Table(Arc<dyn TableType>),
    /// Timers: those without a name, and those with one.
    Timers { plain: Arc<dyn TableType>, named: Arc<dyn TableType> },
    /// Records in the operator's own words.
    Records(RecordType),
}

/// How the words that an operator leaves in a checkpoint are to be read.
#[derive(Clone, Default)]
pub(crate) enum Form {
    /// It has not said.
    #[default]
    Unknown,
    /// They name tables, and are otherwise of this crate's own making: they hold no archived record.
    Tables(fn(&[u8]) -> Result<Vec<TableOfState>, CodecError>),
    /// They hold archived records: this makes values of them.
    Words(Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync>),
}

/// A table in a checkpoint, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableOfState {
    pub(crate) state: String,
    pub(crate) role: TableRole,
    pub(crate) meta: TableMeta,
}

/// What a table is for its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableRole {
    /// It holds the state's entries.
    Entries,
    /// It holds timers without a name.
    Timers,
    /// It holds when timers with a name are due.
    NamedTimers,
}

impl TableRole {
    const ALL: [TableRole; 3] = [TableRole::Entries, TableRole::Timers, TableRole::NamedTimers];

    /// Its number on disk.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<TableRole> {
        TableRole::ALL.get(usize::from(number)).copied()
    }
}

impl StateTypes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, OperatorTypes>> {
        // What is noted is whole, and the same from every shard.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, operator: &str, note: impl FnOnce(&mut OperatorTypes)) {
        let mut all = self.lock();
        match all.get_mut(operator) {
            Some(types) => note(types),
            None => note(all.entry(operator.to_owned()).or_default()),
        }
    }

    /// An operator has inputs of these records.
    pub(crate) fn inputs(&self, operator: &str, inputs: Vec<(RecordType, BatchShape)>) {
        self.note(operator, |types| types.inputs = inputs);
    }

    /// An operator keeps tables of this type under a name.
    pub(crate) fn table<K: Key + ?Sized, V: Record>(&self, operator: &str, state: &str) {
        let table = StateType::Table(TableOf::<K, V>::erased());
        self.note(operator, |types| {
            types.states.insert(state.to_owned(), table);
        });
    }

    /// An operator keeps timers by this type of key under a name.
    pub(crate) fn timers<K: Key + ?Sized>(&self, operator: &str, state: &str) {
        let plain = TableOf::<Sub<K, i64>, ()>::erased();
        let named = TableOf::<Sub<K, u16>, [i64; 2]>::erased();
        self.note(operator, |types| {
            types.states.insert(state.to_owned(), StateType::Timers { plain, named });
        });
    }

    /// An operator keeps records of this type under a name, in its own words.
    pub(crate) fn records(&self, operator: &str, state: &str, record: RecordType) {
        self.note(operator, |types| {
            types.states.insert(state.to_owned(), StateType::Records(record));
        });
    }

    /// How an operator's words are to be read.
    pub(crate) fn form(&self, operator: &str, form: Form) {
        self.note(operator, |types| types.form = form);
    }

    /// What all operators have declared.
    pub(crate) fn all(&self) -> BTreeMap<String, OperatorTypes> {
        self.lock().clone()
    }
}

/// The type of a record: how it becomes a value, and the other way round.
#[derive(Clone, Copy)]
pub struct RecordType {
    pub(crate) schema: fn() -> Schema,
    save: fn(&[u8], &mut Writer) -> Result<(), RecordError>,
    load: fn(Value, &mut RecordBuf) -> Result<(), Misfit>,
}

impl RecordType {
    pub(crate) fn of<T: Record>() -> RecordType {
        RecordType { schema: T::schema, save: save::<T>, load: load::<T> }
    }

    /// Appends the value of archived bytes.
    pub(crate) fn save(&self, archived: &[u8], out: &mut Writer) -> Result<(), RecordError> {
        (self.save)(archived, out)
    }

    /// Puts the archived bytes of a value into an empty buffer.
    pub(crate) fn load(&self, value: Value, into: &mut RecordBuf) -> Result<(), Misfit> {
        (self.load)(value, into)
    }
}

fn save<T: Record>(archived: &[u8], out: &mut Writer) -> Result<(), RecordError> {
    // Archived records are looked at where they are aligned.
    let mut aligned = RecordBuf::with_capacity(archived.len());
    aligned.extend_from_slice(archived);
    T::save_record(T::view(&aligned)?, out);
    Ok(())
}

fn load<T: Record>(value: Value, into: &mut RecordBuf) -> Result<(), Misfit> {
    T::load_record(value)?.encode(into);
    Ok(())
}

/// What is done with an entry of a table: its hash, its key, and its value in portable form.
pub(crate) type EachEntry<'a> = dyn FnMut(KeyHash, &[u8], &[u8]) -> Result<(), super::SavepointError> + 'a;

/// A type of table.
pub(crate) trait TableType: Send + Sync {
    /// Its keys.
    fn key(&self) -> KeySchema;
    /// Its values.
    fn value(&self) -> Schema;
    /// Shows the entries of a table of a restored arena, in the order of the pages' hash ranges.
    fn walk(
        &self,
        arena: &mut Arena,
        table: (&StateName, TableMeta),
        hashes: (KeyHash, KeyHash),
        each: &mut EachEntry<'_>,
    ) -> Result<(), super::SavepointError>;
}

struct TableOf<K: ?Sized, V>(PhantomData<fn() -> (Box<K>, V)>);

impl<K: Key + ?Sized, V: Record> TableOf<K, V> {
    fn erased() -> Arc<dyn TableType> {
        Arc::new(TableOf::<K, V>(PhantomData))
    }
}

impl<K: Key + ?Sized, V: Record> TableType for TableOf<K, V> {
    fn key(&self) -> KeySchema {
        K::schema()
    }

    fn value(&self) -> Schema {
        V::schema()
    }

    fn walk(
        &self,
        arena: &mut Arena,
        (name, meta): (&StateName, TableMeta),
        (first, last): (KeyHash, KeyHash),
        each: &mut EachEntry<'_>,
    ) -> Result<(), super::SavepointError> {
        let table = Table::<K, V>::restore(arena, meta, name)?;
        let (mut next, mut result) = (Some(first), Ok(()));
        while let Some(from) = next.filter(|from| *from <= last) {
            next = table.walk(arena, from, last, WALK_PAGES, |hash, key, view| {
                if result.is_ok() {
                    let mut value = Writer::new();
                    V::save_record(view, &mut value);
                    result = each(hash, key, value.bytes());
                }
            })?;
            if result.is_err() {
                break;
            }
        }
        result
    }
}
