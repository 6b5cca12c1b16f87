//! Joins of two keyed streams by window.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::begin;
use super::window_kinds::{BucketsOf, WindowKind};
use super::{Buckets, Keyed, Stream};
use crate::key::Key;
use crate::operator::Out;
use crate::operator::buckets::{self, AppliedToBoth, Elements, FromTwo, LateOfEach, Pair, each_pair};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::finish::{DropLate, LateTo, OnLate};
use crate::record::Record;
use crate::time::{Span, Ticks};
use crate::window::{Trigger, WindowAssigner, WindowContext};

/// Two keyed streams, whose records meet where key and window are the same. `L` and `M` take late records of either.
#[must_use = "windows without a join do nothing"]
pub struct WindowJoin<A, B, K: ?Sized, W, L = DropLate, M = DropLate> {
    first: Keyed<A, K>,
    second: Keyed<B, K>,
    window: W,
    lateness: Span,
    late: (L, M),
    types: PhantomData<fn() -> (A, B)>,
}

/// The chain after a join by window.
pub type WindowJoined<A, B, K, W, F, U, L, M> = FromExchange<
    buckets::Buckets<
        FromTwo<A, B>,
        K,
        <W as BucketsOf<A>>::Assigner,
        <W as BucketsOf<A>>::Trigger,
        Pair<A, B, K>,
        AppliedToBoth<F, U>,
        LateOfEach<L, M>,
    >,
>;

impl<A: Record, K: Key + ?Sized> Keyed<A, K> {
    /// Brings the records of this stream and another one together that have the same key and fall into the same window (Flink's `join` and
    /// `coGroup` with a window,
    /// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/joining/#window-join>). Records whose partner falls
    /// into another window do not meet it: see [`interval_join`](Keyed::interval_join) where that matters.
    pub fn window_join<B: Record, W: WindowKind>(
        self,
        other: Keyed<B, K>,
        window: W,
    ) -> WindowJoin<A, B, K, W> {
        WindowJoin {
            first: self,
            second: other,
            window,
            lateness: Ticks(0).into(),
            late: (DropLate, DropLate),
            types: PhantomData,
        }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized, W, L, M> WindowJoin<A, B, K, W, L, M> {
    /// Takes records in that come after their window has fired, which then fires again: see
    /// [`Windowed::allowed_lateness`](super::Windowed::allowed_lateness).
    pub fn allowed_lateness(mut self, lateness: impl Into<Span>) -> Self {
        self.lateness = lateness.into();
        self
    }

    /// Gives records that come too late out beside: those of the first stream under one tag, those of the second under the other.
    pub fn late_to(self, first: &Tag<A>, second: &Tag<B>) -> WindowJoin<A, B, K, W, LateTo<A>, LateTo<B>> {
        let late = (LateTo(first.clone()), LateTo(second.clone()));
        let WindowJoin { first, second, window, lateness, types, .. } = self;
        WindowJoin { first, second, window, lateness, late, types }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized, W: WindowKind, L, M> WindowJoin<A, B, K, W, L, M> {
    /// Lets a [trigger](crate::window::Trigger) decide when a window gives out a result.
    pub fn trigger<G>(self, trigger: G) -> WindowJoin<A, B, K, Buckets<W, G>, L, M> {
        let WindowJoin { first, second, window, lateness, late, types } = self;
        WindowJoin { first, second, window: Buckets { window, trigger }, lateness, late, types }
    }
}

impl<A, B, K, W, L, M> WindowJoin<A, B, K, W, L, M>
where
    A: Record,
    B: Record,
    K: Key + ?Sized,
    W: BucketsOf<A>,
    W::Assigner: WindowAssigner<B>,
    W::Trigger: Trigger<B, State = <W::Trigger as Trigger<A>>::State>,
    L: OnLate<A>,
    M: OnLate<B>,
{
    /// Gives all records of both streams that fell into a window to a closure: either list may be empty (Flink's `coGroup`).
    #[track_caller]
    pub fn co_group<U, F>(self, f: F) -> Stream<U, WindowJoined<A, B, K, W, F, U, L, M>>
    where
        U: 'static,
        F: FnMut(&WindowContext<K::Owned>, Elements<'_, A>, Elements<'_, B>, &mut Out<U>) + 'static,
    {
        self.both("co_group", Location::caller(), f)
    }

    /// Makes a record of every pair of records of both streams that fell into a window. What finds no partner is left out.
    #[track_caller]
    pub fn join<U, F>(
        self,
        mut f: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, impl CoGroup<A, B, K, U>, U, L, M>>
    where
        U: 'static,
        F: FnMut(&A, &B) -> U + 'static,
    {
        self.paired("window_join", Location::caller(), move |left, right, out| {
            if let (Some(left), Some(right)) = (left, right) {
                out.emit(f(left, right));
            }
        })
    }

    /// As [`join`](WindowJoin::join), with the records of the first stream that find no partner as well.
    #[track_caller]
    pub fn left_join<U, F>(
        self,
        mut f: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, impl CoGroup<A, B, K, U>, U, L, M>>
    where
        U: 'static,
        F: FnMut(&A, Option<&B>) -> U + 'static,
    {
        self.paired("window_join", Location::caller(), move |left, right, out| {
            if let Some(left) = left {
                out.emit(f(left, right));
            }
        })
    }

    /// As [`join`](WindowJoin::join), with the records of the second stream that find no partner as well.
    #[track_caller]
    pub fn right_join<U, F>(
        self,
        mut f: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, impl CoGroup<A, B, K, U>, U, L, M>>
    where
        U: 'static,
        F: FnMut(Option<&A>, &B) -> U + 'static,
    {
        self.paired("window_join", Location::caller(), move |left, right, out| {
            if let Some(right) = right {
                out.emit(f(left, right));
            }
        })
    }

    /// As [`join`](WindowJoin::join), with the records of both streams that find no partner as well.
    #[track_caller]
    pub fn full_join<U, F>(
        self,
        mut f: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, impl CoGroup<A, B, K, U>, U, L, M>>
    where
        U: 'static,
        F: FnMut(Option<&A>, Option<&B>) -> U + 'static,
    {
        self.paired("window_join", Location::caller(), move |left, right, out| out.emit(f(left, right)))
    }

    /// Hands out all pairs, and what finds no partner alone.
    fn paired<U, F>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        mut each: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, impl CoGroup<A, B, K, U>, U, L, M>>
    where
        U: 'static,
        F: FnMut(Option<&A>, Option<&B>, &mut Out<U>) + 'static,
    {
        let pairs = move |_: &WindowContext<K::Owned>,
                          first: Elements<'_, A>,
                          second: Elements<'_, B>,
                          out: &mut Out<U>| {
            each_pair(first, second, |left, right| each(left, right, out));
        };
        self.both(kind, built_at, pairs)
    }

    fn both<U, F>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        f: F,
    ) -> Stream<U, WindowJoined<A, B, K, W, F, U, L, M>>
    where
        U: 'static,
        F: FnMut(&WindowContext<K::Owned>, Elements<'_, A>, Elements<'_, B>, &mut Out<U>) + 'static,
    {
        let WindowJoin { first, second, window, lateness, late, .. } = self;
        let (flow, timed) = (first.flow.clone(), first.timed && second.timed);
        begin(vec![first.input(), second.input()], kind, true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            let plan = window.plan(op, &mut graph, timed, lateness);
            plan.note_elements(op, &mut graph);
            let late = LateOfEach(late.0, late.1);
            let (contents, function) = (Pair::<A, B, K>::new(), AppliedToBoth::<F, U>::new(f));
            buckets::Buckets::<FromTwo<A, B>, K, _, _, _, _, _>::new(
                op,
                plan.windows,
                plan.trigger,
                contents,
                function,
                late,
            )
        })
    }
}

/// A closure that [`WindowJoin::co_group`] takes.
pub trait CoGroup<A, B, K: Key + ?Sized, U>:
    FnMut(&WindowContext<K::Owned>, Elements<'_, A>, Elements<'_, B>, &mut Out<U>) + 'static
{
}

impl<A, B, K: Key + ?Sized, U, F> CoGroup<A, B, K, U> for F where
    F: FnMut(&WindowContext<K::Owned>, Elements<'_, A>, Elements<'_, B>, &mut Out<U>) + 'static
{
}
