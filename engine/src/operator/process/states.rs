//! The states that a process function declares, and how it reaches them.

use std::marker::PhantomData;
use std::rc::Rc;

use super::broadcast::BroadcastMap;
use super::folding_state::{AggregatingState, ReducingState};
use super::list_state::{Head, ListSlots, ListState};
use super::map_state::{MapKey, MapSlots, MapState};
use super::timers::{NamedTimer, Timers};
use crate::arena::Arena;
use crate::checkpoint::codec::Writer;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::operator::OpId;
use crate::operator::failure::Cause;
use crate::operator::segment::OpenContext;
use crate::operator::store::{Contents, Opening, Store};
use crate::operator::tables::Tables;
use crate::params::Params;
use crate::record::Record;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::{StateError, Table};
use crate::timers::Overdue;
use crate::window::{Aggregate, TimeDomain};

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
    pub(super) opening: Opening<'a>,
    tables: Tables,
    timers: Timers<K>,
    overdue: Overdue,
    params: &'a Params,
    /// The first thing that went wrong.
    failed: Option<Cause>,
}

impl<'a, K: Key + ?Sized> States<'a, K> {
    pub(super) fn new(context: &'a OpenContext, op: OpId) -> Result<Self, Cause> {
        let mut opening = Opening::new(context, op)?;
        let timers = Timers::open(&mut opening)?;
        let (tables, overdue, params) = (Tables::default(), Overdue::default(), &context.params);
        Ok(States { opening, tables, timers, overdue, params, failed: None })
    }

    /// All is declared.
    pub(super) fn finish(self) -> Result<Kept<K>, Cause> {
        if let Some(cause) = self.failed {
            return Err(cause);
        }
        let overdue = Some(self.overdue);
        let store = self.opening.finish()?;
        Ok(Kept { store, tables: self.tables, timers: self.timers, overdue, sub_key: Vec::new() })
    }

    /// The parameters of the job; see [`Job::params`](crate::job::Job::params).
    pub fn params(&self) -> &'a Params {
        self.params
    }

    /// One value per key under this name. A state that the checkpoint does not know begins empty.
    pub fn value<V: Record>(&mut self, name: &'static str) -> ValueState<V> {
        ValueState { slot: self.table::<K, V>(name), value: PhantomData }
    }

    /// A list per key under this name.
    pub fn list<T: Record>(&mut self, name: &'static str) -> ListState<T> {
        let heads = self.table::<K, Head>(name);
        let elements = self.table::<Sub<K, u64>, T>(&format!("{name} elements"));
        let slots = heads.zip(elements).map(|(heads, elements)| ListSlots { heads, elements });
        ListState { slots, element: PhantomData }
    }

    /// A map per key under this name.
    pub fn map<Q: MapKey, V: Record>(&mut self, name: &'static str) -> MapState<Q, V> {
        let values = self.table::<Sub<K, Q>, V>(name);
        let numbers = self.table::<Sub<K, Q>, u64>(&format!("{name} numbers"));
        let order = self.table::<Sub<K, u64>, Q>(&format!("{name} order"));
        let sizes = self.table::<K, u64>(&format!("{name} sizes"));
        let slots = match (values, numbers, order, sizes) {
            (Some(values), Some(numbers), Some(order), Some(sizes)) => {
                Some(MapSlots { values, numbers, order, sizes })
            }
            _ => None,
        };
        MapState { slots, types: PhantomData }
    }

    /// What the values of a key are reduced to, under this name: the first value, changed by `reduce` for each further one.
    pub fn reducing<V: Record>(
        &mut self,
        name: &'static str,
        reduce: impl Fn(&mut V, V) + 'static,
    ) -> ReducingState<V> {
        ReducingState { slot: self.table::<K, V>(name), reduce: Some(Rc::new(reduce)) }
    }

    /// What the values of a key are aggregated to, under this name.
    pub fn aggregating<T: Record, A: Aggregate<T>>(
        &mut self,
        name: &'static str,
        aggregate: A,
    ) -> AggregatingState<T, A> {
        let slot = self.table::<K, A::Acc>(name);
        AggregatingState { slot, aggregate: Some(Rc::new(aggregate)), value: PhantomData }
    }

    /// A table of this name, by its number.
    fn table<Q: Key + ?Sized, V: Record>(&mut self, name: &str) -> Option<usize> {
        match self.opening.table::<Q, V>(name) {
            Ok(table) => Some(self.tables.push(name, table)),
            Err(cause) => {
                self.failed.get_or_insert(cause);
                None
            }
        }
    }

    /// A map under this name of which every shard has a copy, for a [`KeyedBroadcastProcess`](super::KeyedBroadcastProcess).
    pub fn broadcast_map<Q: Key, V: Record>(&mut self, name: &'static str) -> BroadcastMap<Q, V> {
        let slot = match self.opening.copied_table::<Q, V>(name) {
            Ok(table) => Some(self.tables.push(name, table)),
            Err(cause) => {
                self.failed.get_or_insert(cause);
                None
            }
        };
        BroadcastMap { slot, types: PhantomData }
    }

    /// What becomes of timers of processing time that fell due while the job was not running: they [fire](Overdue::Fire) unless said
    /// otherwise.
    pub fn overdue(&mut self, policy: Overdue) {
        self.overdue = policy;
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
        let named = self.timers.named(domain, name);
        named.unwrap_or_else(|error| {
            self.failed.get_or_insert(Cause::fatal(error));
            NamedTimer::default()
        })
    }
}

/// All that a function keeps on one shard: its states and its timers.
pub(super) struct Kept<K: Key + ?Sized> {
    pub(super) store: Store,
    pub(super) tables: Tables,
    pub(super) timers: Timers<K>,
    /// What becomes of timers that are overdue when the clock is first looked at.
    overdue: Option<Overdue>,
    /// A sub-key on its way into a table.
    sub_key: Vec<u8>,
}

impl<K: Key + ?Sized> Kept<K> {
    /// The clock is looked at: for the first time, that is what decides which timers are overdue.
    #[inline]
    pub(super) fn look_at_clock(&mut self, now: Timestamp) -> Result<(), StateError> {
        if let Some(policy) = self.overdue.take() {
            self.timers.of(TimeDomain::Processing).apply_overdue(self.store.arena(), policy, now)?;
        }
        Ok(())
    }

    /// All tables, the arena they lie in, and room for a sub-key.
    #[inline]
    pub(super) fn parts(&mut self) -> (&mut Tables, &mut Arena, &mut Vec<u8>) {
        (&mut self.tables, self.store.arena(), &mut self.sub_key)
    }

    /// The table of a state, and the arena it lies in.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    #[inline]
    fn value<V: Record>(&mut self, state: &ValueState<V>) -> (&mut Table<K, V>, &mut Arena) {
        (self.tables.of(state.slot), self.store.arena())
    }

    pub(super) fn get<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<Option<V>, StateError> {
        let (table, arena) = self.value(state);
        table.get(arena, hash, key, V::owned)
    }

    pub(super) fn set<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
        value: &V,
    ) -> Result<(), StateError> {
        let (table, arena) = self.value(state);
        table.insert(arena, hash, key, value).map(drop)
    }

    pub(super) fn remove<V: Record>(
        &mut self,
        state: &ValueState<V>,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let (table, arena) = self.value(state);
        table.remove(arena, hash, key)
    }

    pub(super) fn keys(&self) -> u64 {
        self.tables.keys()
    }

    pub(super) fn save(&self, words: Writer) -> OperatorSnapshot {
        let mut contents = Contents::default();
        self.tables.list(&mut contents);
        self.timers.save(&mut contents);
        self.store.snapshot(contents.own(words))
    }
}
