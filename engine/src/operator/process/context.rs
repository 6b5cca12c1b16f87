//! What a process function can do while it handles a record or a timer.

use std::marker::PhantomData;

use super::broadcast::BroadcastMap;
use super::folding_state::{AggregatingAt, AggregatingState, ReducingAt, ReducingState};
use super::kept::Kept;
use super::list_state::{ListAt, ListState};
use super::lives::Moment;
use super::map_state::{MapAt, MapKey, MapState};
use super::timers::NamedTimer;
use super::value_state::{ValueState, declared};
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::operator::side::Tag;
use crate::record::{Record, View};
use crate::state::StateError;
use crate::window::{Aggregate, TimeDomain};

/// The key at hand, its states, timers and clocks, and where output goes: given to a [`KeyedProcess`](super::KeyedProcess) with each record
/// and each timer.
pub struct KeyedContext<'a, K: Key + ?Sized, U> {
    pub(super) op: OpId,
    pub(super) seed: HashSeed,
    pub(super) hash: KeyHash,
    pub(super) key: &'a [u8],
    pub(super) at: Timestamp,
    pub(super) clocks: Clocks,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) out: &'a mut Vec<(U, Timestamp)>,
}

/// What time it is.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    pub(super) watermark: Timestamp,
    pub(super) processing: Timestamp,
}

impl Clocks {
    /// What time it is for state, where what is at hand has this event time.
    pub(super) fn moment(self, at: Timestamp) -> Moment {
        Moment { at, watermark: self.watermark, processing: self.processing }
    }
}

impl<'a, K: Key + ?Sized, U> KeyedContext<'a, K, U> {
    /// The key of the record, or of the timer.
    pub fn key(&self) -> K::Owned {
        K::decode(self.hash, self.key, self.seed)
    }

    /// The event time of the record; of a timer, the time that it was set for. `None` where the stream has none.
    pub fn timestamp(&self) -> Option<Timestamp> {
        (self.at > Timestamp::MIN).then_some(self.at)
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.clocks.watermark > Timestamp::MIN).then_some(self.clocks.watermark)
    }

    /// Processing time at the beginning of the shard's step: ticks of the job since the Unix epoch.
    pub fn processing_time(&self) -> Timestamp {
        self.clocks.processing
    }

    /// Gives a record out, with the event time of the record or timer at hand.
    pub fn emit(&mut self, record: U) {
        self.out.push((record, self.at));
    }

    /// Gives a record out beside the main output (Flink's `ctx.output`).
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.at);
    }

    /// What is kept for the key, if anything.
    pub fn get<V: Record>(&mut self, state: &ValueState<V>) -> Option<V> {
        let (at, moment) = self.at_hand();
        let got = self.kept.get(declared(state.slot), &moment, at);
        self.check(got)
    }

    /// Keeps a value for the key.
    pub fn set<V: Record>(&mut self, state: &ValueState<V>, value: V) {
        let (at, moment) = self.at_hand();
        let set = self.kept.set(declared(state.slot), &moment, at, &value);
        self.check(set);
    }

    /// Shows what is kept for the key, where it lies, and gives back what `show` does; `None` where nothing is kept.
    pub fn view<V: Record, R>(
        &mut self,
        state: &ValueState<V>,
        show: impl FnOnce(&View<V>) -> R,
    ) -> Option<R> {
        let (at, moment) = self.at_hand();
        let shown = self.kept.view::<V, R>(declared(state.slot), &moment, at, show);
        self.check(shown)
    }

    /// Changes what is kept for the key, which is put in as `init` gives it where there is nothing, and gives back what `change` does. That is one
    /// look-up; [`get`](Self::get) and [`set`](Self::set) are two. Values of plain bytes are changed where they lie, others are written anew.
    pub fn update<V: Record, R>(
        &mut self,
        state: &ValueState<V>,
        init: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let (at, moment) = self.at_hand();
        let updated = self.kept.update(declared(state.slot), &moment, at, init, change);
        self.check(updated)
    }

    /// Keeps nothing for the key any more. Says whether there was something.
    pub fn clear<V: Record>(&mut self, state: &ValueState<V>) -> bool {
        let (at, moment) = self.at_hand();
        let removed = self.kept.remove::<V>(declared(state.slot), &moment, at);
        self.check(removed)
    }

    /// Takes out what is kept for the key, leaving nothing.
    pub fn take<V: Record>(&mut self, state: &ValueState<V>) -> Option<V> {
        let value = self.get(state)?;
        self.clear(state);
        Some(value)
    }

    /// The key's list.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    pub fn list<T: Record>(&mut self, state: &ListState<T>) -> ListAt<'_, K, T> {
        let (op, slots, (key, moment)) = (self.op, declared(state.slots), self.at_hand());
        ListAt { op, kept: self.kept, slots, key, moment, element: PhantomData }
    }

    /// The key's map.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    pub fn map<Q: MapKey, V: Record>(&mut self, state: &MapState<Q, V>) -> MapAt<'_, K, Q, V> {
        let (op, slots, (key, moment)) = (self.op, declared(state.slots), self.at_hand());
        MapAt { op, kept: self.kept, slots, key, moment, types: PhantomData }
    }

    /// What the key's values are reduced to.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    pub fn reducing<'b, V: Record>(&'b mut self, state: &'b ReducingState<V>) -> ReducingAt<'b, K, V> {
        let at_hand = self.at_hand();
        ReducingAt::new(self.op, self.kept, at_hand, state)
    }

    /// What the key's values are aggregated to.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    pub fn aggregating<'b, T: Record, A: Aggregate<T>>(
        &'b mut self,
        state: &'b AggregatingState<T, A>,
    ) -> AggregatingAt<'b, K, T, A> {
        let at_hand = self.at_hand();
        AggregatingAt::new(self.op, self.kept, at_hand, state)
    }

    /// What a broadcast map holds under a key. Only a broadcast record can change it.
    pub fn look_up<Q: Key, V: Record>(&mut self, map: &BroadcastMap<Q, V>, key: &Q) -> Option<V> {
        let got = self.kept.look_up(map, key, self.seed);
        self.check(got)
    }

    /// Shows all that a broadcast map holds, in an order that is the same on every shard.
    pub fn each_of<Q: Key, V: Record>(
        &mut self,
        map: &BroadcastMap<Q, V>,
        each: impl FnMut(Q::Owned, &View<V>),
    ) {
        let shown = self.kept.each_of(map, self.seed, each);
        self.check(shown);
    }

    /// Registers a timer of event time for the key: it fires when the watermark has come to `at`, or at the next watermark if that has
    /// passed. Says whether it is new: a key has at most one for each time.
    pub fn register_event_timer(&mut self, at: Timestamp) -> bool {
        self.register(TimeDomain::Event, at)
    }

    /// Registers a timer of processing time for the key. One for the past fires in the next step.
    pub fn register_processing_timer(&mut self, at: Timestamp) -> bool {
        self.register(TimeDomain::Processing, at)
    }

    /// Deletes a timer of event time. Says whether there was one.
    pub fn delete_event_timer(&mut self, at: Timestamp) -> bool {
        self.delete(TimeDomain::Event, at)
    }

    /// Deletes a timer of processing time. Says whether there was one.
    pub fn delete_processing_timer(&mut self, at: Timestamp) -> bool {
        self.delete(TimeDomain::Processing, at)
    }

    /// Sets the key's timer of this name, in the place of the one there is. Gives the time that one was set for.
    pub fn reset(&mut self, timer: NamedTimer, at: Timestamp) -> Option<Timestamp> {
        let (domain, name) = timer.declared();
        if self.kept.is_over(domain) {
            return None;
        }
        let Kept { store, timers, .. } = &mut *self.kept;
        let reset = timers.of(domain).reset(store.arena(), name, at, self.hash, self.key);
        self.check(reset)
    }

    /// Deletes the key's timer of this name. Gives the time it was set for.
    pub fn cancel(&mut self, timer: NamedTimer) -> Option<Timestamp> {
        let (domain, name) = timer.declared();
        let Kept { store, timers, .. } = &mut *self.kept;
        let canceled = timers.of(domain).cancel(store.arena(), name, self.hash, self.key);
        self.check(canceled)
    }

    /// When the key's timer of this name is due.
    pub fn set_for(&mut self, timer: NamedTimer) -> Option<Timestamp> {
        let (domain, name) = timer.declared();
        let Kept { store, timers, .. } = &mut *self.kept;
        let at = timers.of(domain).set_for(store.arena(), name, self.hash, self.key);
        self.check(at)
    }

    fn register(&mut self, domain: TimeDomain, at: Timestamp) -> bool {
        if self.kept.is_over(domain) {
            return false;
        }
        let Kept { store, timers, .. } = &mut *self.kept;
        let new = timers.of(domain).register(store.arena(), at, self.hash, self.key);
        self.check(new)
    }

    fn delete(&mut self, domain: TimeDomain, at: Timestamp) -> bool {
        let Kept { store, timers, .. } = &mut *self.kept;
        let deleted = timers.of(domain).delete(store.arena(), at, self.hash, self.key);
        self.check(deleted)
    }

    /// The key at hand, and what time it is for its state.
    fn at_hand(&self) -> ((KeyHash, &'a [u8]), Moment) {
        ((self.hash, self.key), self.clocks.moment(self.at))
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}
