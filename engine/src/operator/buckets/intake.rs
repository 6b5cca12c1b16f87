//! What is put into windows: the records of one stream, or of two.

use std::marker::PhantomData;

use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::inputs::{EitherBatch, Inputs, One, Two};
use crate::operator::typed::BatchOf;
use crate::operator::views::Viewed;
use crate::operator::window::finish::OnLate;
use crate::record::Record;
use crate::window::{TimeWindow, Trigger, TriggerContext, TriggerResult, WindowAssigner, WindowError};

/// The records that windows are made of.
pub trait Intake: 'static {
    /// The streams they come from.
    type In: Inputs;
    /// A record as it lies in its frame.
    type Item<'a>: Copy;

    /// Hands the records of a batch out: each with its number, the hash and the encoding of its key, and its timestamp.
    fn each<K: Key + ?Sized>(
        batch: &<Self::In as Inputs>::Batch<'_>,
        take: impl FnMut(usize, (KeyHash, &[u8]), Timestamp, Self::Item<'_>),
    );
}

/// The records of one stream.
pub struct FromOne<T>(PhantomData<fn() -> T>);

impl<T: Record> Intake for FromOne<T> {
    type In = One<T>;
    type Item<'a> = Viewed<'a, T>;

    #[inline(always)]
    fn each<K: Key + ?Sized>(
        batch: &BatchOf<'_, T>,
        mut take: impl FnMut(usize, (KeyHash, &[u8]), Timestamp, Viewed<'_, T>),
    ) {
        for (index, &at) in batch.timestamps().iter().enumerate() {
            let item = Viewed { view: batch.record(index), bytes: batch.record_bytes(index) };
            take(index, (batch.hashes()[index], batch.key_bytes::<K>(index)), at, item);
        }
    }
}

/// The records of two streams.
pub struct FromTwo<A, B>(PhantomData<fn() -> (A, B)>);

/// A record of one of two streams.
pub enum EitherItem<'a, A: Record, B: Record> {
    /// Of the first.
    First(Viewed<'a, A>),
    /// Of the second.
    Second(Viewed<'a, B>),
}

impl<A: Record, B: Record> Clone for EitherItem<'_, A, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A: Record, B: Record> Copy for EitherItem<'_, A, B> {}

impl<A: Record, B: Record> Intake for FromTwo<A, B> {
    type In = Two<A, B>;
    type Item<'a> = EitherItem<'a, A, B>;

    fn each<K: Key + ?Sized>(
        batch: &EitherBatch<'_, A, B>,
        mut take: impl FnMut(usize, (KeyHash, &[u8]), Timestamp, EitherItem<'_, A, B>),
    ) {
        match batch {
            EitherBatch::First(batch) => FromOne::each::<K>(batch, |index, key, at, item| {
                take(index, key, at, EitherItem::First(item));
            }),
            EitherBatch::Second(batch) => FromOne::each::<K>(batch, |index, key, at, item| {
                take(index, key, at, EitherItem::Second(item));
            }),
        }
    }
}

/// Gives the records of an intake their windows: a [`WindowAssigner`] of every type of record.
pub trait Assign<I: Intake>: 'static {
    /// See [`WindowAssigner::assign`].
    fn assign(
        &self,
        at: Timestamp,
        item: I::Item<'_>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError>;
}

impl<T: Record, W: WindowAssigner<T>> Assign<FromOne<T>> for W {
    #[inline(always)]
    fn assign(
        &self,
        at: Timestamp,
        item: Viewed<'_, T>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError> {
        WindowAssigner::assign(self, at, item.view, windows)
    }
}

impl<A: Record, B: Record, W: WindowAssigner<A> + WindowAssigner<B>> Assign<FromTwo<A, B>> for W {
    fn assign(
        &self,
        at: Timestamp,
        item: EitherItem<'_, A, B>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError> {
        match item {
            EitherItem::First(item) => WindowAssigner::<A>::assign(self, at, item.view, windows),
            EitherItem::Second(item) => WindowAssigner::<B>::assign(self, at, item.view, windows),
        }
    }
}

/// Decides when windows of an intake fire: a [`Trigger`] of every type of record.
pub trait Decide<I: Intake>: 'static {
    /// See [`Trigger::State`].
    type State: Record + Clone + Default;

    /// See [`Trigger::on_element`].
    fn on_element(&self, item: I::Item<'_>, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult;
    /// See [`Trigger::on_event_time`].
    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult;
    /// See [`Trigger::on_processing_time`].
    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult;
    /// See [`Trigger::on_merge`].
    fn on_merge(&self, absorbed: Option<&Self::State>, ctx: &mut TriggerContext<'_, Self::State>);
}

/// What triggers do beside looking at records.
macro_rules! decides_as {
    ($record:ty) => {
        fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult {
            Trigger::<$record>::on_event_time(self, at, ctx)
        }
        fn on_processing_time(
            &self,
            at: Timestamp,
            ctx: &mut TriggerContext<'_, Self::State>,
        ) -> TriggerResult {
            Trigger::<$record>::on_processing_time(self, at, ctx)
        }
        fn on_merge(&self, absorbed: Option<&Self::State>, ctx: &mut TriggerContext<'_, Self::State>) {
            Trigger::<$record>::on_merge(self, absorbed, ctx);
        }
    };
}

impl<T: Record, G: Trigger<T>> Decide<FromOne<T>> for G {
    type State = G::State;

    #[inline(always)]
    fn on_element(&self, item: Viewed<'_, T>, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        Trigger::on_element(self, item.view, ctx)
    }
    decides_as!(T);
}

impl<A, B, G> Decide<FromTwo<A, B>> for G
where
    A: Record,
    B: Record,
    G: Trigger<A> + Trigger<B, State = <G as Trigger<A>>::State>,
{
    type State = <G as Trigger<A>>::State;

    fn on_element(
        &self,
        item: EitherItem<'_, A, B>,
        ctx: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult {
        match item {
            EitherItem::First(item) => Trigger::<A>::on_element(self, item.view, ctx),
            EitherItem::Second(item) => Trigger::<B>::on_element(self, item.view, ctx),
        }
    }
    decides_as!(A);
}

/// Takes the records of an intake that came too late for all their windows.
pub trait Late<I: Intake>: 'static {
    /// Takes one of them, which was late for `op`.
    fn late(&mut self, op: OpId, item: I::Item<'_>, at: Timestamp);
}

impl<T: Record, L: OnLate<T>> Late<FromOne<T>> for L {
    fn late(&mut self, op: OpId, item: Viewed<'_, T>, at: Timestamp) {
        OnLate::late(self, op, item.view, at);
    }
}

/// What becomes of late records of either stream.
pub struct LateOfEach<L, M>(pub(crate) L, pub(crate) M);

impl<A: Record, B: Record, L: OnLate<A>, M: OnLate<B>> Late<FromTwo<A, B>> for LateOfEach<L, M> {
    fn late(&mut self, op: OpId, item: EitherItem<'_, A, B>, at: Timestamp) {
        match item {
            EitherItem::First(item) => self.0.late(op, item.view, at),
            EitherItem::Second(item) => self.1.late(op, item.view, at),
        }
    }
}
