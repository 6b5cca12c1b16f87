//! Declaring states that do not grow without end.

use super::budget::StateBudget;
use super::folding_state::{AggregatingState, ReducingState};
use super::list_state::ListState;
use super::map_state::{MapKey, MapState};
use super::states::States;
use super::ttl::Ttl;
use super::value_state::ValueState;
use crate::key::Key;
use crate::record::Record;
use crate::window::Aggregate;

/// Where a function declares states whose entries expire, or that may hold so much only: what [`States::expiring`] and [`States::bounded`]
/// give.
pub struct StatesWith<'b, 'a, K: Key + ?Sized> {
    pub(super) states: &'b mut States<'a, K>,
    pub(super) ttl: Option<Ttl>,
    pub(super) budget: Option<StateBudget>,
}

impl<'a, K: Key + ?Sized> StatesWith<'_, 'a, K> {
    /// As [`States::expiring`].
    pub fn expiring(self, ttl: Ttl) -> Self {
        StatesWith { ttl: Some(ttl), ..self }
    }

    /// As [`States::bounded`].
    pub fn bounded(self, budget: StateBudget) -> Self {
        StatesWith { budget: Some(budget), ..self }
    }

    fn declare<S>(&mut self, declare: impl FnOnce(&mut States<'a, K>) -> S) -> S {
        (self.states.ttl, self.states.budget) = (self.ttl, self.budget);
        let declared = declare(self.states);
        (self.states.ttl, self.states.budget) = (None, None);
        declared
    }

    /// As [`States::value`]: the value expires.
    pub fn value<V: Record>(&mut self, name: &'static str) -> ValueState<V> {
        self.declare(|states| states.value(name))
    }

    /// As [`States::list`]: each element expires by itself.
    pub fn list<T: Record>(&mut self, name: &'static str) -> ListState<T> {
        self.declare(|states| states.list(name))
    }

    /// As [`States::map`]: each entry expires by itself.
    pub fn map<Q: MapKey, V: Record>(&mut self, name: &'static str) -> MapState<Q, V> {
        self.declare(|states| states.map(name))
    }

    /// As [`States::reducing`]: what the values have been reduced to expires.
    pub fn reducing<V: Record>(
        &mut self,
        name: &'static str,
        reduce: impl Fn(&mut V, V) + 'static,
    ) -> ReducingState<V> {
        self.declare(|states| states.reducing(name, reduce))
    }

    /// As [`States::aggregating`]: what the values have been aggregated to expires.
    pub fn aggregating<T: Record, A: Aggregate<T>>(
        &mut self,
        name: &'static str,
        aggregate: A,
    ) -> AggregatingState<T, A> {
        self.declare(|states| states.aggregating(name, aggregate))
    }
}
