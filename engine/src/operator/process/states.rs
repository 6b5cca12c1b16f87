//! The states that a process function declares, and how it reaches them.

use std::marker::PhantomData;
use std::rc::Rc;

use super::bounds::{Bound, Bounds, Held};
use super::broadcast::BroadcastMap;
use super::budget::{Policy, StateBudget};
use super::evictor::Evict;
use super::folding_state::{AggregatingState, ReducingState};
use super::list_state::{ListSlots, ListState, clear_list, cut_all, forget_chunk};
use super::lives::{Forget, Life, Lives, Moment, Standing};
use super::map_state::{MapKey, MapSlots, MapState, clear_map, forget_entry};
use super::states_with::StatesWith;
use super::timers::{NamedTimer, Timers};
use super::ttl::Ttl;
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
use crate::record::{Record, View};
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::{Chunk, List, StateError};
use crate::timers::Overdue;
use crate::window::{Aggregate, TimeDomain};

/// One value per key (Flink's `ValueState`): what [`States::value`] gives, to be kept in a field of the function.
pub struct ValueState<V> {
    pub(super) slot: Option<ValueSlot>,
    value: PhantomData<fn() -> V>,
}

impl<V> Default for ValueState<V> {
    /// Not declared yet.
    fn default() -> Self {
        ValueState { slot: None, value: PhantomData }
    }
}

/// The numbers of a state's table, of its entries' lives, of the times they were last used, and of its budget.
#[derive(Clone, Copy)]
pub(super) struct ValueSlot {
    table: usize,
    life: Option<usize>,
    uses: Option<usize>,
    bound: Option<usize>,
}

/// The slot of a state that is used.
///
/// # Panics
/// Where it was not declared in `open`.
#[inline]
pub(super) fn declared<S>(slot: Option<S>) -> S {
    slot.expect("a state is used that was not declared: do so in `open`, with states.value(..) or the like")
}

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

/// All that a function keeps on one shard: its states and its timers.
pub(super) struct Kept<K: Key + ?Sized> {
    pub(super) store: Store,
    pub(super) tables: Tables,
    pub(super) timers: Timers<K>,
    lives: Lives,
    bounds: Bounds,
    copied: Vec<usize>,
    /// The states that can be read from outside.
    readable: Vec<String>,
    /// What becomes of timers that are overdue when the clock is first looked at.
    overdue: Option<Overdue>,
    /// A sub-key on its way into a table.
    sub_key: Vec<u8>,
    /// The timers of processing time fire for the last time: none is set any more.
    last_call: bool,
}

/// What states are made of: tables, the arena they lie in, room for a sub-key, and how long entries live.
pub(super) struct Parts<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) arena: &'a mut Arena,
    pub(super) sub_key: &'a mut Vec<u8>,
    pub(super) lives: &'a mut Lives,
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

    /// Records with these keys come next.
    #[inline]
    pub(super) fn expect(&mut self, hashes: &[KeyHash]) {
        self.tables.expect::<K>(self.store.arena(), hashes);
    }

    /// What a state holds under a key, for somebody outside. Nothing is used by that.
    pub(super) fn read(&mut self, read: &StateRead, moment: &Moment) -> Read {
        if let Err(refused) = self.store.check_read(read, self.readable.iter().map(String::as_str)) {
            return refused;
        }
        let table = self.tables.number_of(&read.state).expect("what is declared has a table");
        self.try_read(table, read, moment).map_or_else(|error| Read::Failed(error.to_string()), Read::Value)
    }

    fn try_read(
        &mut self,
        table: usize,
        read: &StateRead,
        moment: &Moment,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let at = (read.hash, read.key.as_slice());
        let Parts { tables, arena, lives, .. } = self.parts();
        if lives.hides(table, tables, arena, moment, at)? {
            return Ok(None);
        }
        let mut value = None;
        tables.get_raw(table, arena, read.hash, &read.key, &mut |bytes| value = Some(bytes.to_vec()))?;
        Ok(value)
    }

    /// All that states are made of.
    #[inline]
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let Kept { store, tables, lives, sub_key, .. } = self;
        Parts { tables, arena: store.arena(), sub_key, lives }
    }

    /// Whether a state has room for what is about to be written under a key.
    #[inline]
    pub(super) fn admits(
        &mut self,
        bound: Option<usize>,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let Some(bound) = bound else { return Ok(true) };
        let Kept { store, tables, lives, bounds, .. } = self;
        bounds.admits(bound, Held { tables, arena: store.arena(), lives }, moment, at)
    }

    /// What is kept under a key is about to be read.
    #[inline]
    pub(super) fn reads(
        &mut self,
        bound: Option<usize>,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        let Some(bound) = bound else { return Ok(()) };
        let Kept { store, tables, lives, bounds, .. } = self;
        bounds.read(bound, Held { tables, arena: store.arena(), lives }, moment, at)
    }

    pub(super) fn get<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<Option<V>, StateError> {
        self.view::<V, V>(slot, moment, at, V::owned)
    }

    /// Shows a value, if there is one.
    pub(super) fn view<V: Record, R>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        at: (KeyHash, &[u8]),
        show: impl FnOnce(&View<V>) -> R,
    ) -> Result<Option<R>, StateError> {
        self.reads(slot.bound, moment, at)?;
        let Parts { tables, arena, lives, .. } = self.parts();
        lives.view::<K, V, R>(tables, arena, (slot.table, slot.life), moment, at, show)
    }

    pub(super) fn set<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        value: &V,
    ) -> Result<(), StateError> {
        if !self.admits(slot.bound, moment, (hash, key))? {
            return Ok(());
        }
        let Parts { tables, arena, lives, .. } = self.parts();
        let new = tables.of::<K, V>(Some(slot.table)).insert(arena, hash, key, value)?;
        lives.written(slot.life, tables, arena, moment, (hash, key), new)
    }

    /// Changes a value, which is put in as `init` gives it where there is none. Where there is no room, what was changed is not kept.
    pub(super) fn update<V: Record, R>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        init: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        if lives.read(slot.life, tables, arena, moment, (hash, key))? == Standing::Expired {
            lives.forget(slot.life, tables, arena, (hash, key))?;
        }
        if !self.admits(slot.bound, moment, (hash, key))? {
            return Ok(change(&mut init()));
        }
        let Parts { tables, arena, lives, .. } = self.parts();
        let mut new = false;
        let init = || {
            new = true;
            init()
        };
        let result = tables.of::<K, V>(Some(slot.table)).update(arena, hash, key, init, change)?;
        lives.written(slot.life, tables, arena, moment, (hash, key), new)?;
        Ok(result)
    }

    /// Takes a value out. Says whether there was one that had not expired.
    pub(super) fn remove<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        let standing = lives.read(slot.life, tables, arena, moment, (hash, key))?;
        if !tables.of::<K, V>(Some(slot.table)).remove(arena, hash, key)? {
            return Ok(false);
        }
        lives.removed(slot.life, tables, arena, (hash, key))?;
        tables.remove_from(slot.uses, arena, hash, key)?;
        Ok(standing != Standing::Expired)
    }

    /// Takes out a bounded number of entries that have expired.
    pub(super) fn sweep(&mut self, moment: &Moment) -> Result<(), StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        lives.sweep(tables, arena, moment)
    }

    /// Whether no timer of this kind of time is set any more.
    pub(super) fn is_over(&self, domain: TimeDomain) -> bool {
        self.last_call && domain == TimeDomain::Processing
    }

    /// All timers of processing time fire now, and none is set any more until the key at hand is forgotten.
    pub(super) fn call_last(&mut self) {
        self.last_call = true;
    }

    /// The key at hand was the only one: nothing is kept any more, except what every shard has a copy of. All timers have fired.
    pub(super) fn forget_key(&mut self) {
        self.last_call = false;
        let Kept { store, tables, lives, copied, .. } = self;
        tables.clear_those(store.arena(), |number| !copied.contains(&number));
        lives.all_gone();
    }

    /// When something falls due by processing time.
    pub(super) fn next_clock(&self) -> Option<Timestamp> {
        self.timers.first_processing().into_iter().chain(self.lives.next_clock()).min()
    }

    pub(super) fn keys(&self) -> u64 {
        self.tables.keys()
    }

    /// How many writes were left out for want of room.
    pub(super) fn shed_writes(&self) -> u64 {
        self.bounds.shed_writes()
    }

    /// How many keys had to go for want of room.
    pub(super) fn evicted_keys(&self) -> u64 {
        self.bounds.evicted_keys()
    }

    pub(super) fn save(&self, words: Writer) -> OperatorSnapshot {
        let mut contents = Contents::default();
        self.tables.list(&mut contents);
        self.timers.save(&mut contents);
        self.store.snapshot(contents.own(words))
    }
}
