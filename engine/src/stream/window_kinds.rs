//! Which operator keeps which windows: slices where that is possible, buckets otherwise.

use super::windows_note::{WindowsPlanned, planned};
use crate::graph::GraphBuilder;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::buckets::{self, Accumulated, AddedUp, Finished, FromOne, KeptElements};
use crate::operator::keyed::{Fed, Operator};
use crate::operator::window::WindowAggregate;
use crate::operator::window::finish::{Finish, OnLate};
use crate::operator::window::note::note;
use crate::operator::window::rule::WindowRule;
use crate::record::{Record, View};
use crate::time::{Span, Tick};
use crate::window::{
    Aligned, AssignedBy, AtEnd, DynamicSession, DynamicSessionWindows, Evictor, Global, GlobalWindow,
    KeepAll, OnClock, Session, SessionWindows, Trigger, WindowAssigner, WindowError, lateness,
};

/// Windows as a program states them.
///
/// [`Tumbling`](crate::window::Tumbling), [`Sliding`](crate::window::Sliding), [`Cumulative`](crate::window::Cumulative), [`Session`],
/// [`Global`], [`AssignedBy`], and each of them by the clock of the machine.
pub trait WindowKind: Sized + 'static {
    /// The same windows by processing time, instead of event time: a record belongs to the windows at which it arrives, and they fire when
    /// the clock has come to their end.
    fn on_clock(self) -> OnClock<Self> {
        OnClock(self)
    }
}

impl<W: Aligned> WindowKind for W {}
impl WindowKind for Session {}
impl<F: 'static> WindowKind for DynamicSession<F> {}
impl WindowKind for Global {}
impl<A: 'static> WindowKind for AssignedBy<A> {}
impl<W: WindowKind> WindowKind for OnClock<W> {}

/// A kind of windows that gives records their windows, once it knows the job's tick.
pub trait AssignsTo<T: Record>: WindowKind {
    /// The assigner.
    type Assigner: WindowAssigner<T>;

    /// Checks the windows and puts them into ticks of the job.
    fn assigner(self, tick: Tick) -> Result<Self::Assigner, WindowError>;
}

impl<T: Record, W: Aligned> AssignsTo<T> for W {
    type Assigner = W::Windows;

    fn assigner(self, tick: Tick) -> Result<W::Windows, WindowError> {
        self.build(tick)
    }
}

impl<T: Record> AssignsTo<T> for Session {
    type Assigner = SessionWindows;

    fn assigner(self, tick: Tick) -> Result<SessionWindows, WindowError> {
        self.build(tick)
    }
}

impl<T: Record, G: Into<Span> + 'static, F: Fn(&View<T>) -> G + 'static> AssignsTo<T> for DynamicSession<F> {
    type Assigner = DynamicSessionWindows<F>;

    fn assigner(self, tick: Tick) -> Result<DynamicSessionWindows<F>, WindowError> {
        Ok(self.build(tick))
    }
}

impl<T: Record> AssignsTo<T> for Global {
    type Assigner = GlobalWindow;

    fn assigner(self, _: Tick) -> Result<GlobalWindow, WindowError> {
        Ok(self.build())
    }
}

impl<T: Record, A: WindowAssigner<T>> AssignsTo<T> for AssignedBy<A> {
    type Assigner = A;

    fn assigner(self, _: Tick) -> Result<A, WindowError> {
        Ok(self.0)
    }
}

impl<T: Record, W: AssignsTo<T>> AssignsTo<T> for OnClock<W> {
    type Assigner = OnClock<W::Assigner>;

    fn assigner(self, tick: Tick) -> Result<OnClock<W::Assigner>, WindowError> {
        Ok(OnClock(self.0.assigner(tick)?))
    }
}

/// Windows `W` with a trigger `G`: what [`Windowed::trigger`](super::Windowed::trigger) makes.
pub struct Buckets<W, G> {
    pub(super) window: W,
    pub(super) trigger: G,
}

/// Windows `W` with an evictor `E`: what [`Windowed::evictor`](super::Windowed::evictor) makes.
pub struct Evicted<W, E> {
    pub(super) window: W,
    pub(super) evictor: E,
}

/// Windows that can be kept one by one. [`Global`] ones need a trigger for that: nothing else would ever fire them.
#[diagnostic::on_unimplemented(
    message = "these windows never fire, or cannot take these records",
    note = "windows without an end fire only where a trigger says so: add `.trigger(..)` after `.window(Global)`",
    note = "a trigger has to be a `Trigger<T>`, and an evictor an `Evictor<T>`, of the stream's records"
)]
pub trait BucketsOf<T: Record>: Sized + 'static {
    /// Gives records their windows.
    type Assigner: WindowAssigner<T>;
    /// Decides when windows fire.
    type Trigger: Trigger<T>;
    /// Takes elements out.
    type Evictor: Evictor<T>;

    /// Checks the windows, and says what is to be known of them.
    #[doc(hidden)]
    fn plan(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
    ) -> WindowsPlanned<Self::Assigner, Self::Trigger, Self::Evictor>;
}

/// Kinds that fire by themselves.
macro_rules! fires_at_end {
    ($([$($generics:tt)*] $kind:ty),* $(,)?) => {$(
        impl<T: Record, $($generics)*> BucketsOf<T> for $kind
        where
            $kind: AssignsTo<T>,
        {
            type Assigner = <$kind as AssignsTo<T>>::Assigner;
            type Trigger = AtEnd;
            type Evictor = KeepAll;

            fn plan(
                self,
                op: OpId,
                graph: &mut GraphBuilder,
                timed: bool,
                late: Span,
            ) -> WindowsPlanned<Self::Assigner, AtEnd, KeepAll> {
                planned::<T, _, _, _>((self, AtEnd, KeepAll), op, graph, timed, late)
            }
        }
    )*};
}
fires_at_end!([W: Aligned] W, [] Session, [F: 'static] DynamicSession<F>, [A: 'static] AssignedBy<A>);
fires_at_end!([W: WindowKind] OnClock<W>);

impl<T: Record, W: AssignsTo<T>, G: Trigger<T>> BucketsOf<T> for Buckets<W, G> {
    type Assigner = W::Assigner;
    type Trigger = G;
    type Evictor = KeepAll;

    fn plan(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
    ) -> WindowsPlanned<W::Assigner, G, KeepAll> {
        planned::<T, _, _, _>((self.window, self.trigger, KeepAll), op, graph, timed, late)
    }
}

impl<T: Record, W: BucketsOf<T>, E: Evictor<T>> BucketsOf<T> for Evicted<W, E> {
    type Assigner = W::Assigner;
    type Trigger = W::Trigger;
    type Evictor = E;

    fn plan(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
    ) -> WindowsPlanned<W::Assigner, W::Trigger, E> {
        let WindowsPlanned { windows, trigger, words, .. } = self.window.plan(op, graph, timed, late);
        WindowsPlanned { windows, trigger, evictor: self.evictor, words }
    }
}

/// Windows that can be aggregated, and the operator that does.
#[diagnostic::on_unimplemented(
    message = "these windows never fire, or cannot take these records",
    note = "windows without an end fire only where a trigger says so: add `.trigger(..)` after `.window(Global)`",
    note = "a trigger has to be a `Trigger<T>`, and an evictor an `Evictor<T>`, of the stream's records"
)]
pub trait WindowPlan<T: Record, K: Key + ?Sized>: Sized + 'static {
    /// The operator for an aggregate `R`, what becomes of its results `F`, and of late records `L`.
    type Operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>>: Operator + Fed<Record = F::Out>;

    /// Makes it.
    #[doc(hidden)]
    #[allow(clippy::too_many_arguments)] // what a program has said of a window, one by one
    fn operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>>(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
        rule: R,
        finish: F,
        on_late: L,
    ) -> Self::Operator<R, F, L>;
}

impl<T: Record, K: Key + ?Sized, W: Aligned> WindowPlan<T, K> for W {
    type Operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>> =
        WindowAggregate<T, K, W::Windows, R, F, L>;

    fn operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>>(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
        rule: R,
        finish: F,
        on_late: L,
    ) -> Self::Operator<R, F, L> {
        let tick = graph.tick();
        if !timed {
            graph.no_event_time(op);
        }
        // Where a setting is refused, the graph is; until then it needs some.
        let windows = self.build(tick).unwrap_or_else(|error| {
            graph.bad_setting(op, error.to_string());
            W::of_one_tick()
        });
        let late = lateness(late, tick).unwrap_or_else(|error| {
            graph.bad_setting(op, error.to_string());
            0
        });
        graph.note(op, note::<K, R::Acc, W>(&windows, late));
        WindowAggregate::new(op, windows, late, rule, finish, on_late)
    }
}

/// Kinds that are no slices: one accumulator per key and window.
macro_rules! accumulates {
    ($([$($generics:tt)*] $kind:ty),* $(,)?) => {$(
        impl<T: Record, K: Key + ?Sized, $($generics)*> WindowPlan<T, K> for $kind
        where
            $kind: BucketsOf<T>,
        {
            type Operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>> = buckets::Buckets<
                FromOne<T>,
                K,
                <$kind as BucketsOf<T>>::Assigner,
                <$kind as BucketsOf<T>>::Trigger,
                Accumulated<T, K, R>,
                Finished<F>,
                L,
            >;

            fn operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>>(
                self,
                op: OpId,
                graph: &mut GraphBuilder,
                timed: bool,
                late: Span,
                rule: R,
                finish: F,
                on_late: L,
            ) -> Self::Operator<R, F, L> {
                let plan = self.plan(op, graph, timed, late);
                let (contents, function) = (Accumulated::new(rule), Finished(finish));
                buckets::Buckets::new(op, plan.windows, plan.trigger, contents, function, on_late)
            }
        }
    )*};
}
accumulates!([] Session, [D: 'static] DynamicSession<D>, [A: 'static] AssignedBy<A>, [W: WindowKind] OnClock<W>);
accumulates!([W: 'static, G: 'static] Buckets<W, G>);

impl<T: Record, K: Key + ?Sized, W: BucketsOf<T>, E: Evictor<T>> WindowPlan<T, K> for Evicted<W, E> {
    type Operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>> =
        buckets::Buckets<FromOne<T>, K, W::Assigner, W::Trigger, KeptElements<T, K, E>, AddedUp<R, F>, L>;

    fn operator<R: WindowRule<T>, F: Finish<K, R::Out>, L: OnLate<T>>(
        self,
        op: OpId,
        graph: &mut GraphBuilder,
        timed: bool,
        late: Span,
        rule: R,
        finish: F,
        on_late: L,
    ) -> Self::Operator<R, F, L> {
        let plan = self.plan(op, graph, timed, late);
        plan.warn_of_evictor::<T, K>(op, graph);
        let (contents, function) = (KeptElements::new(plan.evictor), AddedUp::new(rule, finish));
        buckets::Buckets::new(op, plan.windows, plan.trigger, contents, function, on_late)
    }
}
