//! Joins of two keyed streams by how near event times are.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::begin;
use super::{Keyed, Stream};
use crate::graph::GraphBuilder;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::join::{
    Bounds, FullJoin, InnerJoin, IntervalJoin, JoinFunction, LeftJoin, ProcessJoin, Processed, RightJoin,
};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::finish::{DropLate, LateTo, OnLate};
use crate::record::Record;
use crate::time::Span;

/// Two keyed streams whose records meet where their keys are equal and their event times near: what [`Keyed::interval_join`] gives.
#[must_use = "a join without a function does nothing"]
pub struct IntervalJoined<A, B, K: ?Sized, L = DropLate, M = DropLate> {
    first: Keyed<A, K>,
    second: Keyed<B, K>,
    bounds: [Span; 2],
    exclusive: [bool; 2],
    late: (L, M),
    types: PhantomData<fn() -> (A, B)>,
}

/// The chain after an interval join.
pub type IntervalJoinOf<A, B, K, F, L, M> = FromExchange<IntervalJoin<A, B, K, F, L, M>>;

impl<A: Record, K: Key + ?Sized> Keyed<A, K> {
    /// Brings each record of this stream (the first) together with those of another one (the second) that have the same key and an event
    /// time that is near: `lower <= second - first <= upper` (Flink's `intervalJoin`,
    /// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/joining/#interval-join>). Both bounds may be negative, and
    /// are included unless said otherwise.
    ///
    /// ```text
    ///   first            o-----------x--------------o       event time ->
    ///                          lower | upper
    ///                         [------+---]
    ///   second       o      o    o     o      o
    ///                         |__________|  partners of x
    /// ```
    ///
    /// Pairs come out as soon as both records are there, with the later event time of the two. A record is kept until event time has
    /// passed its last possible partner; one that comes behind the watermark is dropped and counted, or comes out
    /// [beside](IntervalJoined::late_to).
    pub fn interval_join<B: Record>(
        self,
        other: Keyed<B, K>,
        lower: impl Into<Span>,
        upper: impl Into<Span>,
    ) -> IntervalJoined<A, B, K> {
        IntervalJoined {
            first: self,
            second: other,
            bounds: [lower.into(), upper.into()],
            exclusive: [false; 2],
            late: (DropLate, DropLate),
            types: PhantomData,
        }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized, L, M> IntervalJoined<A, B, K, L, M> {
    /// Leaves the lower bound itself out.
    pub fn lower_exclusive(mut self) -> Self {
        self.exclusive[0] = true;
        self
    }

    /// Leaves the upper bound itself out.
    pub fn upper_exclusive(mut self) -> Self {
        self.exclusive[1] = true;
        self
    }

    /// Gives records that come too late out beside: those of the first stream under one tag, those of the second under the other.
    pub fn late_to(self, first: &Tag<A>, second: &Tag<B>) -> IntervalJoined<A, B, K, LateTo<A>, LateTo<B>> {
        let late = (LateTo(first.clone()), LateTo(second.clone()));
        let IntervalJoined { first, second, bounds, exclusive, types, .. } = self;
        IntervalJoined { first, second, bounds, exclusive, late, types }
    }
}

impl<A, B, K, L, M> IntervalJoined<A, B, K, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    L: OnLate<A>,
    M: OnLate<B>,
{
    /// Gives every pair to a function.
    #[track_caller]
    pub fn process<F: ProcessJoin<A, B, K>>(
        self,
        function: F,
    ) -> Stream<F::Out, IntervalJoinOf<A, B, K, Processed<F>, L, M>> {
        self.run(Location::caller(), Processed(function))
    }

    /// Makes a record of every pair.
    #[track_caller]
    pub fn join<U, F>(self, f: F) -> Stream<U, IntervalJoinOf<A, B, K, InnerJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(&A, &B) -> U + 'static,
    {
        self.run(Location::caller(), InnerJoin(f))
    }

    /// As [`join`](IntervalJoined::join), with the records of the first stream that find no partner as well: they come out once event time
    /// has passed their last possible one.
    #[track_caller]
    pub fn left_join<U, F>(self, f: F) -> Stream<U, IntervalJoinOf<A, B, K, LeftJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(&A, Option<&B>) -> U + 'static,
    {
        self.run(Location::caller(), LeftJoin(f))
    }

    /// As [`join`](IntervalJoined::join), with the records of the second stream that find no partner as well: they come out once event time
    /// has passed their last possible one.
    #[track_caller]
    pub fn right_join<U, F>(self, f: F) -> Stream<U, IntervalJoinOf<A, B, K, RightJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(Option<&A>, &B) -> U + 'static,
    {
        self.run(Location::caller(), RightJoin(f))
    }

    /// As [`join`](IntervalJoined::join), with the records of both streams that find no partner as well.
    #[track_caller]
    pub fn full_join<U, F>(self, f: F) -> Stream<U, IntervalJoinOf<A, B, K, FullJoin<F>, L, M>>
    where
        U: 'static,
        F: FnMut(Option<&A>, Option<&B>) -> U + 'static,
    {
        self.run(Location::caller(), FullJoin(f))
    }

    fn run<F: JoinFunction<A, B, K>>(
        self,
        built_at: &'static Location<'static>,
        function: F,
    ) -> Stream<F::Out, IntervalJoinOf<A, B, K, F, L, M>> {
        let IntervalJoined { first, second, bounds, exclusive, late, .. } = self;
        let (flow, timed) = (first.flow.clone(), first.timed && second.timed);
        begin(vec![first.input(), second.input()], "interval_join", true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            if !timed {
                graph.no_event_time(op);
            }
            let bounds = in_ticks(bounds, exclusive, op, &mut graph);
            IntervalJoin::new(op, bounds, function, late)
        })
    }
}

/// The bounds in ticks of the job, both included.
fn in_ticks(
    [lower, upper]: [Span; 2],
    [lower_exclusive, upper_exclusive]: [bool; 2],
    op: OpId,
    graph: &mut GraphBuilder,
) -> Bounds {
    let lower_ticks = graph.in_ticks(op, "lower bound of the interval", lower);
    let upper_ticks = graph.in_ticks(op, "upper bound of the interval", upper);
    let lower_ticks = lower_ticks.saturating_add(i64::from(lower_exclusive));
    let upper_ticks = upper_ticks.saturating_sub(i64::from(upper_exclusive));
    if lower_ticks > upper_ticks {
        graph.bad_setting(
            op,
            format!("the interval from {lower} to {upper} is empty: no two records would ever meet; the lower bound comes first"),
        );
    }
    Bounds { lower: lower_ticks, upper: upper_ticks }
}
