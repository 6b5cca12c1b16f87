//! Windows of a keyed stream, and what is made of them.
//!
//! ```text
//! .window(..)   .trigger(..)   .evictor(..)   .allowed_lateness(..)   .late_to(..)      what the windows are
//! .count() .sum(..) .reduce(..) .aggregate(..) .aggregate_with(..) .apply(..) .process(..)   what they give out
//! ```

use std::marker::PhantomData;
use std::panic::Location;

use super::window_kinds::{Buckets, BucketsOf, Evicted, WindowKind, WindowPlan};
use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::Out;
use crate::operator::buckets::{
    self, Applied, Elements, FromOne, KeptElements, ProcessWindow, Processed, WindowFunction,
};
use crate::operator::fold::{Count, Reduce};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::finish::{DropLate, Finish, LateTo, OnLate, Whole, With};
use crate::operator::window::rule::{
    Addend, ByAggregate, ExtremeOf, FoldParts, MeanOf, Merge, OnePart, SumOf, WindowRule,
};
use crate::record::{Record, View};
use crate::time::{Span, Ticks};
use crate::window::{Aggregate, KeepAll, Tumbling, WindowContext, WindowResult};

/// A keyed stream cut into windows `W`. `L` takes the records that come too late.
#[must_use = "windows without an aggregate do nothing"]
pub struct Windowed<T, K: ?Sized, W, L = DropLate> {
    keyed: Keyed<T, K>,
    window: W,
    lateness: Span,
    on_late: L,
    types: PhantomData<fn() -> T>,
}

/// The stream of a window's results.
pub type Results<T, K, W, R, L> =
    Stream<WindowResult<<K as Key>::Owned, <R as WindowRule<T>>::Out>, Aggregated<T, K, W, R, Whole, L>>;

/// The chain after a window's aggregate `R` and what becomes of its results, `F`.
pub type Aggregated<T, K, W, R, F, L> = FromExchange<<W as WindowPlan<T, K>>::Operator<R, F, L>>;

/// The chain after a window with a function `F` of its elements.
pub type Viewing<T, K, W, F, L> = FromExchange<
    buckets::Buckets<
        FromOne<T>,
        K,
        <W as BucketsOf<T>>::Assigner,
        <W as BucketsOf<T>>::Trigger,
        KeptElements<T, K, <W as BucketsOf<T>>::Evictor>,
        F,
        L,
    >,
>;

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Cuts the stream into windows: [`Tumbling`], [`Sliding`](crate::window::Sliding), [`Cumulative`](crate::window::Cumulative),
    /// [`Session`](crate::window::Session), [`Global`](crate::window::Global), or windows by any
    /// [assigner](crate::window::AssignedBy); by event time, or [by the clock](WindowKind::on_clock).
    ///
    /// A window's result is given out when the watermark passes its last tick, with the window's last tick as event time. A record that
    /// comes later is dropped and counted, unless [`allowed_lateness`](Windowed::allowed_lateness) says otherwise. Windows in which a key
    /// has no record give out nothing for it.
    pub fn window<W: WindowKind>(self, window: W) -> Windowed<T, K, W> {
        Windowed { keyed: self, window, lateness: Ticks(0).into(), on_late: DropLate, types: PhantomData }
    }
}

impl<T: Record, K: Key + ?Sized, W, L> Windowed<T, K, W, L> {
    /// Takes records in that come after their window has fired, as long as the watermark is less than this far past the window's last
    /// tick. Such a record fires the window again at once, for its key, with a result that is marked
    /// [`Firing::Late`](crate::window::Firing::Late). State is kept for so much longer.
    pub fn allowed_lateness(mut self, lateness: impl Into<Span>) -> Self {
        self.lateness = lateness.into();
        self
    }

    /// Gives the records that come too late for all their windows out beside the results (Flink's `sideOutputLateData`): read them with
    /// [`Stream::side_output`].
    pub fn late_to(self, tag: &Tag<T>) -> Windowed<T, K, W, LateTo<T>> {
        let Windowed { keyed, window, lateness, types, .. } = self;
        Windowed { keyed, window, lateness, on_late: LateTo(tag.clone()), types }
    }

    fn with<X>(self, change: impl FnOnce(W) -> X) -> Windowed<T, K, X, L> {
        let Windowed { keyed, window, lateness, on_late, types } = self;
        Windowed { keyed, window: change(window), lateness, on_late, types }
    }
}

impl<T: Record, K: Key + ?Sized, W: WindowKind, L> Windowed<T, K, W, L> {
    /// Lets a [trigger](crate::window::Trigger) decide when a window gives out a result, in the place of the end of the window.
    ///
    /// Windows with a trigger are kept one by one, so that a record that belongs to many of them is added to each.
    pub fn trigger<G>(self, trigger: G) -> Windowed<T, K, Buckets<W, G>, L> {
        self.with(|window| Buckets { window, trigger })
    }
}

impl<T: Record, K: Key + ?Sized, W, G, L> Windowed<T, K, Buckets<W, G>, L> {
    /// Lets an [evictor](crate::window::Evictor) take elements out of a window before its function sees them, or after. Elements are all
    /// kept then, and aggregated only when the window fires.
    pub fn evictor<E>(self, evictor: E) -> Windowed<T, K, Evicted<Buckets<W, G>, E>, L> {
        self.with(|window| Evicted { window, evictor })
    }
}

impl<T: Record, K: Key + ?Sized, W: WindowKind, L> Windowed<T, K, W, L> {
    /// Lets an [evictor](crate::window::Evictor) take elements out of a window before its function sees them, or after. Elements are all
    /// kept then, and aggregated only when the window fires.
    pub fn evictor<E>(self, evictor: E) -> Windowed<T, K, Evicted<W, E>, L> {
        self.with(|window| Evicted { window, evictor })
    }
}

impl<T: Record, K: Key + ?Sized, W: WindowPlan<T, K>, L: OnLate<T>> Windowed<T, K, W, L> {
    /// How many records of the key fell into the window.
    #[track_caller]
    pub fn count(self) -> Results<T, K, W, Count, L> {
        self.rule("window_count", Location::caller(), Count)
    }

    /// The sum of what the closure gives for each record: `.sum(|order| order.price)`.
    #[track_caller]
    pub fn sum<N: Addend, F: Fn(&View<T>) -> N + 'static>(self, of: F) -> Results<T, K, W, SumOf<N, F>, L> {
        self.rule("window_sum", Location::caller(), SumOf::new(of))
    }

    /// The least of what the closure gives for each record.
    #[track_caller]
    pub fn min<N, F>(self, of: F) -> Results<T, K, W, ExtremeOf<N, F, false>, L>
    where
        N: Record + PartialOrd + Clone,
        F: Fn(&View<T>) -> N + 'static,
    {
        self.rule("window_min", Location::caller(), ExtremeOf::new(of))
    }

    /// The greatest of what the closure gives for each record.
    #[track_caller]
    pub fn max<N, F>(self, of: F) -> Results<T, K, W, ExtremeOf<N, F, true>, L>
    where
        N: Record + PartialOrd + Clone,
        F: Fn(&View<T>) -> N + 'static,
    {
        self.rule("window_max", Location::caller(), ExtremeOf::new(of))
    }

    /// The mean of what the closure gives for each record.
    #[track_caller]
    pub fn avg<F: Fn(&View<T>) -> f64 + 'static>(self, of: F) -> Results<T, K, W, MeanOf<F>, L> {
        self.rule("window_avg", Location::caller(), MeanOf(of))
    }

    /// Combines the records of the key and window into one, beginning with the first. Where windows overlap or merge, records are combined
    /// in parts, so that the closure must not care how they are grouped.
    #[track_caller]
    pub fn reduce<F>(self, f: F) -> Results<T, K, W, Reduce<F>, L>
    where
        T: Clone,
        F: Fn(&mut T, T) + 'static,
    {
        self.rule("window_reduce", Location::caller(), Reduce(f))
    }

    /// The record with the least value of what the closure gives; of equal ones, the first.
    #[track_caller]
    pub fn min_by<N: PartialOrd + 'static, F>(
        self,
        by: F,
    ) -> Results<T, K, W, Reduce<impl Fn(&mut T, T) + 'static>, L>
    where
        T: Clone,
        F: Fn(&T) -> N + 'static,
    {
        let least = move |acc: &mut T, record: T| {
            if by(&record) < by(acc) {
                *acc = record;
            }
        };
        self.rule("window_min_by", Location::caller(), Reduce(least))
    }

    /// The record with the greatest value of what the closure gives; of equal ones, the first.
    #[track_caller]
    pub fn max_by<N: PartialOrd + 'static, F>(
        self,
        by: F,
    ) -> Results<T, K, W, Reduce<impl Fn(&mut T, T) + 'static>, L>
    where
        T: Clone,
        F: Fn(&T) -> N + 'static,
    {
        let greatest = move |acc: &mut T, record: T| {
            if by(&record) > by(acc) {
                *acc = record;
            }
        };
        self.rule("window_max_by", Location::caller(), Reduce(greatest))
    }

    /// Folds the records of the key and window, beginning with `init`, where windows overlap or merge: records are folded in parts, each
    /// from `init`, and `merge` puts a later part into an earlier one.
    #[track_caller]
    pub fn fold_parts<A, F, M>(self, init: A, f: F, merge: M) -> Results<T, K, W, FoldParts<A, F, M>, L>
    where
        A: Record + Clone,
        F: Fn(&mut A, &View<T>) + 'static,
        M: Merge<A>,
    {
        self.rule("window_fold", Location::caller(), FoldParts { init, f, merge })
    }

    /// What the records of the key and window add up to, by an [`Aggregate`] of the program's own.
    #[track_caller]
    pub fn aggregate<A: Aggregate<T>>(self, aggregate: A) -> Results<T, K, W, ByAggregate<A>, L> {
        self.rule("window_aggregate", Location::caller(), ByAggregate(aggregate))
    }

    /// As [`aggregate`](Windowed::aggregate), with a finishing function, which is given the result with its key and window and gives out
    /// any number of records: `.aggregate_with(Mean, |window, mean, out| out.emit((*window.key(), mean)))`.
    #[track_caller]
    pub fn aggregate_with<A, U, F>(
        self,
        aggregate: A,
        finish: F,
    ) -> Stream<U, Aggregated<T, K, W, ByAggregate<A>, With<F, U>, L>>
    where
        A: Aggregate<T>,
        U: 'static,
        F: FnMut(&WindowContext<K::Owned>, A::Out, &mut Out<U>) + 'static,
    {
        self.finished("window_aggregate", Location::caller(), ByAggregate(aggregate), With::new(finish))
    }

    fn rule<R: WindowRule<T>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        rule: R,
    ) -> Results<T, K, W, R, L> {
        self.finished(kind, built_at, rule, Whole)
    }

    pub(super) fn finished<R: WindowRule<T>, F: Finish<K, R::Out>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        rule: R,
        finish: F,
    ) -> Stream<F::Out, Aggregated<T, K, W, R, F, L>> {
        let Windowed { keyed, window, lateness, on_late, .. } = self;
        let (flow, timed) = (keyed.flow.clone(), keyed.timed);
        keyed.begin(kind, true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            window.operator(op, &mut graph, timed, lateness, rule, finish, on_late)
        })
    }
}

impl<T: Record, K: Key + ?Sized, W: BucketsOf<T>, L: OnLate<T>> Windowed<T, K, W, L> {
    /// Gives all elements of a window to a closure when it fires, with key and window and where to put output (Flink's
    /// `WindowFunction.apply`). Every element is kept until then; what can be aggregated should be.
    #[track_caller]
    pub fn apply<U, F>(self, f: F) -> Stream<U, Viewing<T, K, W, Applied<F, U>, L>>
    where
        U: 'static,
        F: FnMut(&WindowContext<K::Owned>, Elements<'_, T>, &mut Out<U>) + 'static,
    {
        self.viewing("window_apply", Location::caller(), Applied::new(f))
    }

    /// Gives all elements of a window to a function when it fires, which may keep state per key and per window (Flink's
    /// `ProcessWindowFunction`). Every element is kept until then.
    #[track_caller]
    pub fn process<P: ProcessWindow<T, K>>(
        self,
        function: P,
    ) -> Stream<P::Out, Viewing<T, K, W, Processed<P>, L>> {
        self.viewing("window_process", Location::caller(), Processed(function))
    }

    fn viewing<F>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        function: F,
    ) -> Stream<F::Out, Viewing<T, K, W, F, L>>
    where
        F: WindowFunction<K, Vec<crate::window::Timed<T>>>,
    {
        let Windowed { keyed, window, lateness, on_late, .. } = self;
        let (flow, timed) = (keyed.flow.clone(), keyed.timed);
        keyed.begin(kind, true, built_at, move |op| {
            let mut graph = flow.graph.borrow_mut();
            let plan = window.plan(op, &mut graph, timed, lateness);
            plan.note_elements(op, &mut graph);
            buckets::Buckets::new(
                op,
                plan.windows,
                plan.trigger,
                KeptElements::new(plan.evictor),
                function,
                on_late,
            )
        })
    }
}

impl<T: Record, K: Key + ?Sized, W, L: OnLate<T>> Windowed<T, K, W, L>
where
    W: BucketsOf<T, Evictor = KeepAll>,
{
    /// Gives what a window adds up to, by an [`Aggregate`], to a function that may keep state per key and per window: one element, when the
    /// window fires (Flink's `aggregate` with a `ProcessWindowFunction`).
    #[track_caller]
    pub fn aggregate_process<A, P>(
        self,
        aggregate: A,
        function: P,
    ) -> Stream<
        P::Out,
        FromExchange<
            buckets::Buckets<
                FromOne<T>,
                K,
                W::Assigner,
                W::Trigger,
                buckets::Accumulated<T, K, ByAggregate<A>>,
                Processed<P>,
                L,
            >,
        >,
    >
    where
        A: Aggregate<T>,
        P: ProcessWindow<A::Out, K>,
    {
        let Windowed { keyed, window, lateness, on_late, .. } = self;
        let (flow, timed) = (keyed.flow.clone(), keyed.timed);
        keyed.begin("window_aggregate", true, Location::caller(), move |op| {
            let mut graph = flow.graph.borrow_mut();
            let plan = window.plan(op, &mut graph, timed, lateness);
            let contents = buckets::Accumulated::new(ByAggregate(aggregate));
            buckets::Buckets::new(op, plan.windows, plan.trigger, contents, Processed(function), on_late)
        })
    }
}

impl<T: Record, K: Key + ?Sized, L: OnLate<T>> Windowed<T, K, Tumbling, L> {
    /// Folds the records of the key and window, beginning with `init`. Windows that overlap need to know how parts are put together:
    /// see [`fold_parts`](Windowed::fold_parts).
    #[track_caller]
    pub fn fold<A, F>(self, init: A, f: F) -> Results<T, K, Tumbling, FoldParts<A, F, OnePart>, L>
    where
        A: Record + Clone,
        F: Fn(&mut A, &View<T>) + 'static,
    {
        self.rule("window_fold", Location::caller(), FoldParts { init, f, merge: OnePart })
    }
}
