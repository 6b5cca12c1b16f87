//! States of one value per key.

use std::marker::PhantomData;

/// One value per key (Flink's `ValueState`): what [`States::value`](super::States::value) gives, to be kept in a field of the
/// function.
pub struct ValueState<V> {
    pub(super) slot: Option<ValueSlot>,
    pub(super) value: PhantomData<fn() -> V>,
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
    pub(super) table: usize,
    pub(super) life: Option<usize>,
    pub(super) uses: Option<usize>,
    pub(super) bound: Option<usize>,
}

/// The slot of a state that is used.
///
/// # Panics
/// Where it was not declared in `open`.
#[inline]
pub(super) fn declared<S>(slot: Option<S>) -> S {
    slot.expect("a state is used that was not declared: do so in `open`, with states.value(..) or the like")
}
