//! The states that a process function declares, and how it reaches them.

use std::marker::PhantomData;

use super::broadcast::BroadcastMap;
use super::timers::{NamedTimer, Timers};
use crate::arena::Arena;
use crate::checkpoint::codec::Writer;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
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
        Ok(Kept { store: self.opening.finish()?, tables: self.tables, timers: self.timers, overdue })
    }

    /// The parameters of the job; see [`Job::params`](crate::job::Job::params).
    pub fn params(&self) -> &'a Params {
        self.params
    }

    /// One value per key under this name. A state that the checkpoint does not know begins empty.
    pub fn value<V: Record>(&mut self, name: &'static str) -> ValueState<V> {
        let slot = match self.opening.table::<K, V>(name) {
            Ok(table) => Some(self.tables.push(name, table)),
            Err(cause) => {
                self.failed.get_or_insert(cause);
                None
            }
        };
        ValueState { slot, value: PhantomData }
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

    /// The table of a state, and the arena it lies in.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    #[inline]
    fn parts<V: Record>(&mut self, state: &ValueState<V>) -> (&mut Table<K, V>, &mut Arena) {
        (self.tables.of(state.slot), self.store.arena())
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
        self.tables.keys()
    }

    pub(super) fn save(&self, words: Writer) -> OperatorSnapshot {
        let mut contents = Contents::default();
        self.tables.list(&mut contents);
        self.timers.save(&mut contents);
        self.store.snapshot(contents.own(words))
    }
}
