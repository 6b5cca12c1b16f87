//! The states that a process function declares, and how it reaches them.

use std::any::Any;
use std::marker::PhantomData;

use super::timers::{NamedTimer, Timers};
use crate::arena::Arena;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::failure::Cause;
use crate::operator::keyed_state::{OperatorState, put_table, table};
use crate::operator::segment::OpenContext;
use crate::record::Record;
use crate::state::{StateError, Table, TableMeta};
use crate::window::TimeDomain;

/// One value per key (Flink's `ValueState`): what [`States::value`] gives, to be kept in a field of the function.
pub struct ValueState<V> {
    slot: Option<usize>,
    value: PhantomData<fn() -> V>,
}

impl<V> Default for ValueState<V> {
    /// Not declared yet.
    fn default() -> Self {
        ValueState { slot: None, value: PhantomData }
    }
}

/// Where a function declares what it keeps. The names are the identity of states in checkpoints.
pub struct States<'a, K: Key + ?Sized> {
    pub(super) kept: &'a mut Kept<K>,
    pub(super) context: &'a OpenContext,
    pub(super) saved: &'a SavedStates,
    /// The first thing that went wrong.
    pub(super) failed: Option<Cause>,
}

impl<K: Key + ?Sized> States<'_, K> {
    /// One value per key under this name. A state that the checkpoint does not know begins empty.
    pub fn value<V: Record>(&mut self, name: &'static str) -> ValueState<V> {
        let slot = self.kept.tables.len();
        match self.kept.table::<V>(self.context, self.saved, name) {
            Ok(table) => self.kept.tables.push((name, Box::new(table))),
            Err(cause) => {
                self.failed.get_or_insert(cause);
            }
        }
        ValueState { slot: Some(slot), value: PhantomData }
    }

    /// A timer of event time of which each key has at most one: setting it replaces the one there is.
    pub fn event_timer(&mut self, name: &'static str) -> NamedTimer {
        self.timer(TimeDomain::Event, name)
    }

    /// A timer of processing time of which each key has at most one.
    pub fn processing_timer(&mut self, name: &'static str) -> NamedTimer {
        self.timer(TimeDomain::Processing, name)
    }

    fn timer(&mut self, domain: TimeDomain, name: &'static str) -> NamedTimer {
        let named = self.kept.timers.named(domain, name);
        named.unwrap_or_else(|error| {
            self.failed.get_or_insert(Cause::fatal(error));
            NamedTimer::default()
        })
    }
}

/// A table whose type of values only its handle knows.
trait AnyTable {
    fn meta(&self) -> TableMeta;
    fn len(&self) -> u64;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<K: Key + ?Sized, V: Record> AnyTable for Table<K, V> {
    fn meta(&self) -> TableMeta {
        Table::meta(self)
    }
    fn len(&self) -> u64 {
        Table::len(self)
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// All that a function keeps on one shard: its states and its timers.
pub(super) struct Kept<K: Key + ?Sized> {
    pub(super) states: OperatorState,
    tables: Vec<(&'static str, Box<dyn AnyTable>)>,
    pub(super) timers: Timers<K>,
}

impl<K: Key + ?Sized> Kept<K> {
    pub(super) fn new(states: OperatorState, timers: Timers<K>) -> Self {
        Kept { states, tables: Vec::new(), timers }
    }

    fn table<V: Record>(
        &mut self,
        context: &OpenContext,
        saved: &SavedStates,
        name: &'static str,
    ) -> Result<Table<K, V>, Cause> {
        let state = self.states.declare::<K, V>(context, name)?;
        let meta_of = |tables: &[(String, TableMeta)]| {
            tables.iter().find(|(saved, _)| saved == name).map(|(_, meta)| *meta)
        };
        let Some(restored) = &context.restored else { return Ok(self.states.create(&state)) };
        if restored.fits(context) {
            return match meta_of(&saved.tables) {
                Some(meta) => self.states.restore(&state, meta).map_err(Cause::state),
                None => Ok(self.states.create(&state)),
            };
        }
        let mut table = self.states.create(&state);
        let operator = self.states.operator().to_owned();
        for (shard, snapshot) in restored.operators(&operator) {
            let old_saved = SavedStates::decode_tables(&snapshot.data).map_err(Cause::fatal)?;
            if let Some(meta) = meta_of(&old_saved) {
                let mut old = self.states.old_shard(restored, shard, snapshot).map_err(Cause::state)?;
                self.states.import(&state, &mut table, &mut old, meta, None).map_err(Cause::state)?;
            }
        }
        Ok(table)
    }

    /// The table of a state, and the arena it lies in.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    #[inline]
    fn parts<V: Record>(&mut self, state: &ValueState<V>) -> (&mut Table<K, V>, &mut Arena) {
        let slot = state
            .slot
            .expect("a state is used that was not declared: do so in `open`, with states.value(..)");
        let table = self.tables[slot].1.as_any().downcast_mut();
        (table.expect("a handle has the type of its table"), self.states.arena())
    }

    pub(super) fn get<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<Option<V>, StateError> {
        let (table, arena) = self.parts(state);
        table.get(arena, hash, key, V::owned)
    }

    pub(super) fn set<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
        value: &V,
    ) -> Result<(), StateError> {
        let (table, arena) = self.parts(state);
        table.insert(arena, hash, key, value).map(drop)
    }

    pub(super) fn remove<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let (table, arena) = self.parts(state);
        table.remove(arena, hash, key)
    }

    pub(super) fn keys(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.len()).max().unwrap_or(0)
    }

    pub(super) fn save(&self, watermark: Timestamp) -> Vec<u8> {
        let mut out = Writer::new();
        out.put_list(&self.tables, |out, (name, table)| {
            out.put_str(name);
            put_table(out, &table.meta());
        });
        out.put_i64(watermark.0);
        self.timers.save(&mut out);
        out.into_bytes()
    }
}

/// What a checkpoint holds of a function beside pages, but for its timers.
#[derive(Default)]
pub(super) struct SavedStates {
    tables: Vec<(String, TableMeta)>,
}

impl SavedStates {
    pub(super) fn read(input: &mut Reader<'_>) -> Result<(Self, Timestamp), CodecError> {
        let tables = Self::read_tables(input)?;
        Ok((SavedStates { tables }, Timestamp(input.i64("watermark")?)))
    }

    fn read_tables(input: &mut Reader<'_>) -> Result<Vec<(String, TableMeta)>, CodecError> {
        input.list("states", 20, |input| Ok((input.str("state")?.to_owned(), table(input)?)))
    }

    fn decode_tables(data: &[u8]) -> Result<Vec<(String, TableMeta)>, CodecError> {
        Self::read_tables(&mut Reader::new(data))
    }
}
