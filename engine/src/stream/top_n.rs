//! The best few results of each window.

use std::panic::Location;

use super::Stream;
use super::windows::Aggregated;
use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::Chain;
use crate::operator::OpId;
use crate::operator::window::finish::{DropLate, Finish};
use crate::operator::window::rule::ByAggregate;
use crate::record::Record;
use crate::window::{
    AssignedBy, Best, Candidate, Firing, OfResult, Ranked, TimeWindow, WindowContext, WindowResult,
};

/// The stream of the best results of windows.
pub type Top<K, V, F> = Stream<
    Ranked<K, V>,
    Aggregated<WindowResult<K, V>, (i64, i64), AssignedBy<OfResult>, ByAggregate<Best<F>>, InOrder, DropLate>,
>;

impl<K, V, C> Stream<WindowResult<K, V>, C>
where
    K: Ord + Clone + 'static,
    V: Clone + 'static,
    WindowResult<K, V>: Record,
    Vec<Candidate<K, V>>: Record,
    C: Chain<Record = WindowResult<K, V>, Ref = WindowResult<K, V>>,
{
    /// The `n` best results of each window over all keys, by what the closure gives for a value; of equal ones, those with the lesser keys. They
    /// come out with their ranks, best first, when the window is complete. To be called on the results of windows:
    /// `.window(..).count().top_n(3, |count| *count)`.
    ///
    /// What a window gives out early is left out. What it gives out late comes after its results were ranked, and is counted as late.
    #[track_caller]
    pub fn top_n<S, F>(self, n: usize, score: F) -> Top<K, V, F>
    where
        S: PartialOrd,
        F: Fn(&V) -> S + 'static,
    {
        self.filter(|result: &WindowResult<K, V>| result.firing != Firing::Early)
            .key_by(|result: &WindowResult<K, V>| (result.window.start.0, result.window.end.0))
            .window(AssignedBy(OfResult))
            .finished("top_n", Location::caller(), ByAggregate(Best { count: n, score }), InOrder)
    }
}

/// Gives the best of a window out with their ranks.
pub struct InOrder;

impl<K: 'static, V: 'static> Finish<(i64, i64), Vec<Candidate<K, V>>> for InOrder {
    type Out = Ranked<K, V>;

    fn finish(
        &mut self,
        _: OpId,
        context: WindowContext<<(i64, i64) as Key>::Owned>,
        best: Vec<Candidate<K, V>>,
        mut give: impl FnMut(Ranked<K, V>),
    ) {
        let (start, end) = *context.key();
        let window = TimeWindow { start: Timestamp(start), end: Timestamp(end) };
        for (rank, Candidate { key, value }) in (1..).zip(best) {
            give(Ranked { window, rank, key, value });
        }
    }
}
