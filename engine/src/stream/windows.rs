//! Aggregates per key and aligned window of event time.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::Out;
use crate::operator::fold::{Count, Reduce};
use crate::operator::keyed::FromExchange;
use crate::operator::side::Tag;
use crate::operator::window::WindowAggregate;
use crate::operator::window::finish::{DropLate, Finish, LateTo, OnLate, Whole, With};
use crate::operator::window::note::note;
use crate::operator::window::rule::{
    Addend, ByAggregate, ExtremeOf, FoldParts, MeanOf, Merge, OnePart, SumOf, WindowRule,
};
use crate::record::{Record, View};
use crate::time::{Span, Ticks};
use crate::window::{Aggregate, Aligned, Tumbling, WindowContext, WindowResult, lateness};

/// A keyed stream cut into windows `W` of event time. `L` takes the records that come too late.
#[must_use = "windows without an aggregate do nothing"]
pub struct Windowed<T, K: ?Sized, W, L = DropLate> {
    keyed: Keyed<T, K>,
    window: W,
    lateness: Span,
    on_late: L,
    types: PhantomData<fn() -> T>,
}

/// The chain after a window's aggregate, which gives out [`WindowResult`]s.
pub type Aggregated<T, K, W, R, L> =
    FromExchange<WindowAggregate<T, K, <W as Aligned>::Windows, R, Whole, L>>;

/// The stream of a window's results.
pub type Results<T, K, W, R, L> =
    Stream<WindowResult<<K as Key>::Owned, <R as WindowRule<T>>::Out>, Aggregated<T, K, W, R, L>>;

/// The chain after a window's aggregate and a finishing function.
pub type Finished<T, K, W, R, F, U, L> =
    FromExchange<WindowAggregate<T, K, <W as Aligned>::Windows, R, With<F, U>, L>>;

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Cuts the stream into windows of event time: [`Tumbling`], [`Sliding`](crate::window::Sliding) or
    /// [`Cumulative`](crate::window::Cumulative).
    ///
    /// A window's result is given out when the watermark passes its last tick, with the window's last tick as event time. A record that
    /// comes later is dropped and counted, unless [`allowed_lateness`](Windowed::allowed_lateness) says otherwise. Windows in which a key
    /// has no record give out nothing for it.
    pub fn window<W: Aligned>(self, window: W) -> Windowed<T, K, W> {
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
}

impl<T: Record, K: Key + ?Sized, W: Aligned, L: OnLate<T>> Windowed<T, K, W, L> {
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

    /// Combines the records of the key and window into one, beginning with the first. Where windows overlap, records are combined in
    /// parts, so that the closure must not care how they are grouped.
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

    /// Folds the records of the key and window, beginning with `init`, where windows overlap: records are folded in parts, each from
    /// `init`, and `merge` puts a later part into an earlier one.
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
    ) -> Stream<U, Finished<T, K, W, ByAggregate<A>, F, U, L>>
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

    fn finished<R: WindowRule<T>, F: Finish<K, R::Out>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        rule: R,
        finish: F,
    ) -> Stream<F::Out, FromExchange<WindowAggregate<T, K, W::Windows, R, F, L>>> {
        let Windowed { keyed, window, lateness: late, on_late, .. } = self;
        let graph = keyed.flow.graph.clone();
        let (timed, tick) = (keyed.timed, keyed.flow.tick());
        keyed.begin(kind, true, built_at, move |op| {
            let mut graph = graph.borrow_mut();
            if !timed {
                graph.no_event_time(op);
            }
            // Where a setting is refused, the graph is; until then it needs some.
            let windows = window.build(tick).unwrap_or_else(|error| {
                graph.bad_setting(op, error.to_string());
                W::of_one_tick()
            });
            let late = lateness(late, tick).unwrap_or_else(|error| {
                graph.bad_setting(op, error.to_string());
                0
            });
            graph.note(op, note::<K, R::Acc, W>(&windows, late));
            WindowAggregate::new(op, windows, late, rule, finish, on_late)
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
