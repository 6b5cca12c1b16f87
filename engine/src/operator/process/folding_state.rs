//! States that add up what is given to them: one accumulator per key.

use std::marker::PhantomData;
use std::rc::Rc;

use super::kept::Kept;
use super::lives::Moment;
use super::value_state::{ValueSlot, declared};
use crate::element::KeyHash;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::record::{Record, View};
use crate::state::StateError;
use crate::window::Aggregate;

/// What values are reduced to, per key (Flink's `ReducingState`): what [`States::reducing`](super::States::reducing) gives.
pub struct ReducingState<V> {
    pub(super) slot: Option<ValueSlot>,
    pub(super) reduce: Option<Rc<dyn Fn(&mut V, V)>>,
}

impl<V> Default for ReducingState<V> {
    /// Not declared yet.
    fn default() -> Self {
        ReducingState { slot: None, reduce: None }
    }
}

/// What values are aggregated to, per key (Flink's `AggregatingState`): what [`States::aggregating`](super::States::aggregating) gives.
pub struct AggregatingState<T, A> {
    pub(super) slot: Option<ValueSlot>,
    pub(super) aggregate: Option<Rc<A>>,
    pub(super) value: PhantomData<fn() -> T>,
}

impl<T, A> Default for AggregatingState<T, A> {
    /// Not declared yet.
    fn default() -> Self {
        AggregatingState { slot: None, aggregate: None, value: PhantomData }
    }
}

/// The accumulator of the key at hand.
struct Accumulator<'a, K: Key + ?Sized, V> {
    op: OpId,
    kept: &'a mut Kept<K>,
    slot: ValueSlot,
    key: (KeyHash, &'a [u8]),
    moment: Moment,
    value: PhantomData<fn() -> V>,
}

impl<K: Key + ?Sized, V: Record> Accumulator<'_, K, V> {
    fn update<R>(&mut self, init: impl FnOnce() -> V, change: impl FnOnce(&mut V) -> R) -> R {
        let updated = self.kept.update(self.slot, &self.moment, self.key, init, change);
        self.check(updated)
    }

    fn get(&mut self) -> Option<V> {
        let got = self.kept.get(self.slot, &self.moment, self.key);
        self.check(got)
    }

    fn clear(&mut self) -> bool {
        let removed = self.kept.remove::<V>(self.slot, &self.moment, self.key);
        self.check(removed)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// The reducing state of the key at hand: what [`KeyedContext::reducing`](super::KeyedContext::reducing) gives.
pub struct ReducingAt<'a, K: Key + ?Sized, V> {
    accumulator: Accumulator<'a, K, V>,
    reduce: &'a dyn Fn(&mut V, V),
}

impl<'a, K: Key + ?Sized, V: Record> ReducingAt<'a, K, V> {
    pub(super) fn new(
        op: OpId,
        kept: &'a mut Kept<K>,
        (key, moment): ((KeyHash, &'a [u8]), Moment),
        state: &'a ReducingState<V>,
    ) -> Self {
        let accumulator =
            Accumulator { op, kept, slot: declared(state.slot), key, moment, value: PhantomData };
        let reduce = state.reduce.as_deref();
        ReducingAt {
            accumulator,
            reduce: reduce.expect("a state is used that was not declared: do so in `open`"),
        }
    }

    /// Adds a value.
    pub fn add(&mut self, value: V) {
        let reduce = self.reduce;
        // Given to one of the two.
        let value = std::cell::Cell::new(Some(value));
        self.accumulator.update(
            || value.take().expect("nobody has taken it yet"),
            |acc| {
                if let Some(value) = value.take() {
                    reduce(acc, value);
                }
            },
        );
    }

    /// What the values have been reduced to; none of no values.
    pub fn get(&mut self) -> Option<V> {
        self.accumulator.get()
    }

    /// Forgets them. Says whether there were any.
    pub fn clear(&mut self) -> bool {
        self.accumulator.clear()
    }
}

/// The aggregating state of the key at hand: what [`KeyedContext::aggregating`](super::KeyedContext::aggregating) gives.
pub struct AggregatingAt<'a, K: Key + ?Sized, T: Record, A: Aggregate<T>> {
    accumulator: Accumulator<'a, K, A::Acc>,
    aggregate: &'a A,
}

impl<'a, K: Key + ?Sized, T: Record, A: Aggregate<T>> AggregatingAt<'a, K, T, A> {
    pub(super) fn new(
        op: OpId,
        kept: &'a mut Kept<K>,
        (key, moment): ((KeyHash, &'a [u8]), Moment),
        state: &'a AggregatingState<T, A>,
    ) -> Self {
        let accumulator =
            Accumulator { op, kept, slot: declared(state.slot), key, moment, value: PhantomData };
        let aggregate = state.aggregate.as_deref();
        let aggregate = aggregate.expect("a state is used that was not declared: do so in `open`");
        AggregatingAt { accumulator, aggregate }
    }

    /// Adds a value.
    pub fn add(&mut self, value: &View<T>) {
        let aggregate = self.aggregate;
        self.accumulator.update(|| aggregate.create(), |acc| aggregate.add(acc, value));
    }

    /// The result for the values so far; none of no values.
    pub fn get(&mut self) -> Option<A::Out> {
        self.accumulator.get().map(|acc| self.aggregate.result(acc))
    }

    /// Forgets them. Says whether there were any.
    pub fn clear(&mut self) -> bool {
        self.accumulator.clear()
    }
}
