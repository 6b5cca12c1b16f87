//! The states that a process function declares.

use std::marker::PhantomData;
use std::rc::Rc;

use super::bounds::{Bound, Bounds};
use super::broadcast::BroadcastMap;
use super::budget::{Policy, StateBudget};
use super::evictor::Evict;
use super::folding_state::{AggregatingState, ReducingState};
use super::kept::Kept;
use super::list_state::{ListSlots, ListState, clear_list, cut_all, forget_chunk};
use super::lives::{Forget, Life, Lives};
use super::map_state::{MapKey, MapSlots, MapState, clear_map, forget_entry};
use super::states_with::StatesWith;
use super::timers::{NamedTimer, Timers};
use super::ttl::Ttl;
use super::value_state::{ValueSlot, ValueState};
use crate::key::{Key, Sub};
use crate::operator::OpId;
use crate::operator::failure::Cause;
use crate::operator::segment::OpenContext;
use crate::operator::store::Opening;
use crate::operator::tables::Tables;
use crate::params::Params;
use crate::record::Record;
use crate::state::{Chunk, List, StateError};
use crate::timers::Overdue;
use crate::window::{Aggregate, TimeDomain};

/// Where a function declares what it keeps. The names are the identity of states in checkpoints.
pub struct States<'a, K: Key + ?Sized> {
    pub(super) opening: Opening<'a>,
    tables: Tables,
    timers: Timers<K>,
    overdue: Overdue,
    params: &'a Params,
    lives: Lives,
    bounds: Bounds,
    /// The tables of which every shard has a copy.
    copied: Vec<usize>,
    /// The states that can be read from outside: single values, and entries of maps.
    readable: Vec<String>,
    /// How long the entries of the states live that are declared next.
    pub(super) ttl: Option<Ttl>,
    /// How much the states may hold that are declared next, each.
    pub(super) budget: Option<StateBudget>,
    /// The first thing that went wrong.
    failed: Option<Cause>,
}

impl<'a, K: Key + ?Sized> States<'a, K> {
    pub(super) fn new(context: &'a OpenContext, op: OpId) -> Result<Self, Cause> {
        let mut opening = Opening::new(context, op)?;
        let timers = Timers::open(&mut opening)?;
        let (tables, overdue, params) = (Tables::default(), Overdue::default(), &context.params);
        let (lives, bounds) = (Lives::default(), Bounds::default());
        let (copied, readable, ttl, budget, failed) = (Vec::new(), Vec::new(), None, None, None);
        Ok(States {
            opening,
            tables,
            timers,
            overdue,
            params,
            lives,
            bounds,
            copied,
            readable,
            ttl,
            budget,
            failed,
        })
    }

    /// All is declared.
    pub(super) fn finish(self) -> Result<Kept<K>, Cause> {
        if let Some(cause) = self.failed {
            return Err(cause);
        }
        let overdue = Some(self.overdue);
        let store = self.opening.finish()?;
        let States { tables, timers, lives, bounds, copied, readable, .. } = self;
        let (sub_key, last_call) = (Vec::new(), false);
        Ok(Kept { store, tables, timers, lives, bounds, copied, readable, overdue, sub_key, last_call })
    }

    /// The parameters of the job; see [`Job::params`](crate::job::Job::params).
    pub fn params(&self) -> &'a Params {
        self.params
    }

    /// The entries of states that are declared through what this gives live so long:
    /// `states.expiring(Ttl::of(Duration::from_secs(60))).value("last seen")`.
    ///
    /// A state may get a time to live, lose it or get another one between two runs. Entries that had none live from the restart on.
    pub fn expiring(&mut self, ttl: Ttl) -> StatesWith<'_, 'a, K> {
        StatesWith { states: self, ttl: Some(ttl), budget: None }
    }

    /// States that are declared through what this gives hold no more than that, each:
    /// `states.bounded(StateBudget::of_keys(1_000_000)).map("seen")`.
    pub fn bounded(&mut self, budget: StateBudget) -> StatesWith<'_, 'a, K> {
        StatesWith { states: self, ttl: None, budget: Some(budget) }
    }

    /// One value per key under this name. A state that the checkpoint does not know begins empty.
    pub fn value<V: Record>(&mut self, name: &'static str) -> ValueState<V> {
        ValueState { slot: self.values::<V>(name), value: PhantomData }
    }

    /// A list per key under this name.
    pub fn list<T: Record>(&mut self, name: &'static str) -> ListState<T> {
        let first = self.tables.count();
        let lists = self.table::<K, List<T>>(name);
        let chunks = self.table::<Sub<K, u64>, Chunk<T>>(&format!("{name} chunks"));
        let uses = self.uses(name);
        let slots = lists.zip(chunks).map(|(lists, chunks)| {
            let slots = ListSlots { lists, chunks, life: None, uses, bound: None };
            let of_chunks = format!("{name} chunks");
            if self.ttl.is_some() && !self.opening.knows(&times_of(&of_chunks)) {
                let cut = cut_all::<K, T>(slots, &mut self.tables, self.opening.arena());
                self.note(cut);
            }
            let forget: Forget =
                Box::new(move |tables, arena, at| forget_chunk::<K, T>(slots, tables, arena, at));
            let life = self.life::<Sub<K, u64>>(&of_chunks, chunks, forget);
            let slots = ListSlots { life, ..slots };
            let evict: Evict = Box::new(move |tables, arena, lives, at| {
                clear_list::<K, T>(slots, (tables, arena, lives), &mut Vec::new(), at)
            });
            ListSlots { bound: self.bound(name, (lists, first), (uses, evict)), ..slots }
        });
        ListState { slots, element: PhantomData }
    }

    /// A map per key under this name.
    pub fn map<Q: MapKey, V: Record>(&mut self, name: &'static str) -> MapState<Q, V> {
        let first = self.tables.count();
        self.readable.push(name.to_owned());
        let values = self.table::<Sub<K, Q>, V>(name);
        let numbers = self.table::<Sub<K, Q>, u64>(&format!("{name} numbers"));
        let order = self.table::<Sub<K, u64>, Q>(&format!("{name} order"));
        let sizes = self.table::<K, u64>(&format!("{name} sizes"));
        let uses = self.uses(name);
        let slots = match (values, numbers, order, sizes) {
            (Some(values), Some(numbers), Some(order), Some(sizes)) => {
                let slots = MapSlots { values, numbers, order, sizes, life: None, uses, bound: None };
                let forget: Forget = Box::new(move |tables, arena, (hash, key)| {
                    match tables.remove(values, arena, hash, key)? {
                        true => forget_entry::<K, Q>(slots, tables, arena, hash, key),
                        false => Ok(()),
                    }
                });
                let slots = MapSlots { life: self.life::<Sub<K, Q>>(name, values, forget), ..slots };
                let evict: Evict = Box::new(move |tables, arena, lives, at| {
                    clear_map::<K, Q>(slots, (tables, arena, lives), &mut Vec::new(), at)
                });
                Some(MapSlots { bound: self.bound(name, (sizes, first), (uses, evict)), ..slots })
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
        ReducingState { slot: self.values::<V>(name), reduce: Some(Rc::new(reduce)) }
    }

    /// What the values of a key are aggregated to, under this name.
    pub fn aggregating<T: Record, A: Aggregate<T>>(
        &mut self,
        name: &'static str,
        aggregate: A,
    ) -> AggregatingState<T, A> {
        let slot = self.values::<A::Acc>(name);
        AggregatingState { slot, aggregate: Some(Rc::new(aggregate)), value: PhantomData }
    }

    /// A table of one value per key.
    fn values<V: Record>(&mut self, name: &str) -> Option<ValueSlot> {
        let first = self.tables.count();
        self.readable.push(name.to_owned());
        let table = self.table::<K, V>(name)?;
        let uses = self.uses(name);
        let forget: Forget =
            Box::new(move |tables, arena, (hash, key)| match tables.remove(table, arena, hash, key)? {
                true => tables.remove_from(uses, arena, hash, key),
                false => Ok(()),
            });
        let life = self.life::<K>(name, table, forget);
        let evict: Evict = Box::new(move |tables, arena, lives, (hash, key)| {
            tables.remove(table, arena, hash, key)?;
            lives.removed(life, tables, arena, (hash, key))?;
            tables.remove_from(uses, arena, hash, key)
        });
        let bound = self.bound(name, (table, first), (uses, evict));
        Some(ValueSlot { table, life, uses, bound })
    }

    /// The table of the times at which keys of a state were last used, if it gives up keys that were not.
    fn uses(&mut self, name: &str) -> Option<usize> {
        let uses = format!("{name} last touched");
        match self.budget {
            Some(StateBudget { policy: Policy::Evict, .. }) => self.table::<K, i64>(&uses),
            _ => {
                self.opening.let_go(uses);
                None
            }
        }
    }

    /// Lets the entries of a table expire, if that is what is asked for.
    fn life<Q: Key + ?Sized>(&mut self, name: &str, entries: usize, forget: Forget) -> Option<usize> {
        let times = times_of(name);
        let Some(ttl) = self.ttl else {
            self.opening.let_go(times);
            return None;
        };
        let ticks = ttl.span.in_ticks(self.opening.tick()).map_err(|error| error.to_string());
        let ticks = ticks.and_then(|ticks| match ticks {
            1.. => Ok(ticks),
            _ => Err("it is not longer than 0".to_owned()),
        });
        match ticks {
            Ok(ticks) => {
                let times = self.table::<Q, i64>(&times)?;
                let is_empty = self.tables.is_empty(entries) && self.tables.is_empty(times);
                Some(self.lives.push(Life::new(ttl, ticks, (entries, times), forget, is_empty)))
            }
            Err(problem) => {
                self.refuse("time to live", name, problem);
                None
            }
        }
    }

    /// Gives a budget to the state that was just declared, if that is what is asked for: its tables are those from `first` on, and `keyed` has
    /// a row for each key.
    fn bound(
        &mut self,
        name: &str,
        (keyed, first): (usize, usize),
        evicts: (Option<usize>, Evict),
    ) -> Option<usize> {
        let budget = self.budget?;
        let tables = first..self.tables.count();
        match Bound::new(budget, &self.opening, name, (keyed, tables), evicts) {
            Ok(bound) => Some(self.bounds.push(bound)),
            Err(problem) => {
                self.refuse("budget", name, problem);
                None
            }
        }
    }

    /// State that cannot be read or written is the first thing that went wrong, unless something else did.
    fn note(&mut self, result: Result<(), StateError>) {
        if let Err(error) = result {
            self.failed.get_or_insert(Cause::state(error));
        }
    }

    fn refuse(&mut self, what: &'static str, name: &str, problem: String) {
        self.failed.get_or_insert(Cause::fatal(BadLimit { what, state: name.to_owned(), problem }));
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
            Ok(table) => {
                let slot = self.tables.push(name, table);
                self.copied.push(slot);
                Some(slot)
            }
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

/// The name of the table of the times at which entries of a state were last used.
fn times_of(name: &str) -> String {
    format!("{name} last used")
}

/// A time to live or a budget that is none.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of state `{state}`: {problem}")]
struct BadLimit {
    what: &'static str,
    state: String,
    problem: String,
}
