//! Process functions without keys: records, clocks and side outputs, but neither state nor timers.

use std::marker::PhantomData;

use super::context::Clocks;
use crate::element::Timestamp;
use crate::operator::failure::{Blame, Cursor, Failure};
use crate::operator::inputs::{EitherBatch, One, Two};
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::side::Tag;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};

/// What a process function without keys can do while it handles a record.
pub struct ProcessContext<'a, U> {
    op: OpId,
    at: Timestamp,
    clocks: Clocks,
    out: &'a mut Vec<U>,
}

impl<U> ProcessContext<'_, U> {
    /// The event time of the record. `None` where the stream has none.
    pub fn timestamp(&self) -> Option<Timestamp> {
        (self.at > Timestamp::MIN).then_some(self.at)
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.clocks.watermark > Timestamp::MIN).then_some(self.clocks.watermark)
    }

    /// Processing time at the beginning of the shard's step: ticks of the job since the Unix epoch.
    pub fn processing_time(&self) -> Timestamp {
        self.clocks.processing
    }

    /// Gives a record out, with the event time of the record at hand.
    pub fn emit(&mut self, record: U) {
        self.out.push(record);
    }

    /// Gives a record out beside the main output (Flink's `ctx.output`).
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.at);
    }
}

/// A function per record of any stream (Flink's `ProcessFunction` without state). Timers and state need a key: they are what a
/// [`KeyedProcess`](super::KeyedProcess) has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of records `{T}` without a key",
    note = "a function with state or timers is a `KeyedProcess`: it needs a key, as in `.key_by(..).process(..)`"
)]
pub trait Process<T: Record>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Handles a record.
    fn process(&mut self, record: &View<T>, ctx: &mut ProcessContext<'_, Self::Out>);
}

/// A function per record of two streams without keys (Flink's `CoProcessFunction`). There is no order between the two.
pub trait CoProcess<A: Record, B: Record>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Handles a record of the first stream.
    fn first(&mut self, record: &View<A>, ctx: &mut ProcessContext<'_, Self::Out>);

    /// Handles a record of the second stream.
    fn second(&mut self, record: &View<B>, ctx: &mut ProcessContext<'_, Self::Out>);
}

/// What functions without keys run on.
pub(super) struct Calls<U> {
    pub(super) op: OpId,
    clocks: Clocks,
    out: Vec<U>,
}

impl<U> Calls<U> {
    pub(super) fn new(op: OpId) -> Self {
        let clocks = Clocks { watermark: Timestamp::MIN, processing: Timestamp::MIN };
        Calls { op, clocks, out: Vec::new() }
    }

    /// Event time has come to `at`.
    pub(super) fn watermark(&mut self, at: Timestamp) {
        self.clocks.watermark = self.clocks.watermark.max(at);
    }

    pub(super) fn set_clock(&mut self, now: Timestamp) {
        self.clocks.processing = now;
    }

    #[inline(always)]
    pub(super) fn batch<T: Record>(
        &mut self,
        batch: &BatchOf<'_, T>,
        mut call: impl FnMut(&View<T>, &mut ProcessContext<'_, U>),
        mut give: impl FnMut(U, Timestamp),
    ) {
        let (op, clocks) = (self.op, self.clocks);
        let mut cursor = Cursor::new();
        for (index, &at) in batch.timestamps().iter().enumerate() {
            (cursor.index, cursor.at) = (index, at);
            let mut context = ProcessContext { op, at, clocks, out: &mut self.out };
            Blame::on(op, || call(batch.record(index), &mut context));
            self.out.drain(..).for_each(|record| give(record, at));
        }
    }
}

/// The parts of [`Operator`] that are the same for both shapes.
macro_rules! calls {
    () => {
        const HAS_CLOCK: bool = true;

        fn op(&self) -> OpId {
            self.calls.op
        }

        fn open(&mut self, _: &OpenContext) -> Result<(), Box<Failure>> {
            Ok(())
        }

        fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, _: &mut P) -> Firing {
            self.calls.watermark(at);
            Firing::Done
        }

        fn set_clock(&mut self, now: Timestamp) {
            self.calls.set_clock(now);
        }
    };
}

/// Runs a [`Process`].
pub struct Processing<T: Record, F: Process<T>> {
    function: F,
    calls: Calls<F::Out>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record, F: Process<T>> Processing<T, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        Processing { function, calls: Calls::new(op), types: PhantomData }
    }
}

impl<T: Record, F: Process<T>> Fed for Processing<T, F> {
    owned_items!(F::Out);
}

impl<T: Record, F: Process<T>> Operator for Processing<T, F> {
    type In = One<T>;

    calls!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let function = &mut self.function;
        self.calls.batch(
            batch,
            |record, ctx| function.process(record, ctx),
            |record, at| push.push(record, at),
        );
    }
}

/// Runs a [`CoProcess`].
pub struct CoProcessing<A: Record, B: Record, F: CoProcess<A, B>> {
    function: F,
    calls: Calls<F::Out>,
    types: PhantomData<fn() -> (A, B)>,
}

impl<A: Record, B: Record, F: CoProcess<A, B>> CoProcessing<A, B, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        CoProcessing { function, calls: Calls::new(op), types: PhantomData }
    }
}

impl<A: Record, B: Record, F: CoProcess<A, B>> Fed for CoProcessing<A, B, F> {
    owned_items!(F::Out);
}

impl<A: Record, B: Record, F: CoProcess<A, B>> Operator for CoProcessing<A, B, F> {
    type In = Two<A, B>;

    calls!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, A, B>, push: &mut P) {
        let function = &mut self.function;
        match batch {
            EitherBatch::First(batch) => self.calls.batch(
                batch,
                |record, ctx| function.first(record, ctx),
                |record, at| push.push(record, at),
            ),
            EitherBatch::Second(batch) => self.calls.batch(
                batch,
                |record, ctx| function.second(record, ctx),
                |record, at| push.push(record, at),
            ),
        }
    }
}

/// Two closures that give one record for each of theirs.
pub struct MapBoth<F, G, U> {
    first: F,
    second: G,
    out: PhantomData<fn() -> U>,
}

impl<F, G, U> MapBoth<F, G, U> {
    pub(crate) fn new(first: F, second: G) -> Self {
        MapBoth { first, second, out: PhantomData }
    }
}

impl<A, B, F, G, U> CoProcess<A, B> for MapBoth<F, G, U>
where
    A: Record,
    B: Record,
    F: FnMut(&View<A>) -> U + 'static,
    G: FnMut(&View<B>) -> U + 'static,
    U: 'static,
{
    type Out = U;

    fn first(&mut self, record: &View<A>, ctx: &mut ProcessContext<'_, U>) {
        ctx.emit((self.first)(record));
    }

    fn second(&mut self, record: &View<B>, ctx: &mut ProcessContext<'_, U>) {
        ctx.emit((self.second)(record));
    }
}

/// Two closures that give any number of records for each of theirs.
pub struct FlatMapBoth<F, G, I> {
    first: F,
    second: G,
    out: PhantomData<fn() -> I>,
}

impl<F, G, I> FlatMapBoth<F, G, I> {
    pub(crate) fn new(first: F, second: G) -> Self {
        FlatMapBoth { first, second, out: PhantomData }
    }
}

impl<A, B, F, G, I> CoProcess<A, B> for FlatMapBoth<F, G, I>
where
    A: Record,
    B: Record,
    F: FnMut(&View<A>) -> I + 'static,
    G: FnMut(&View<B>) -> I + 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
{
    type Out = I::Item;

    fn first(&mut self, record: &View<A>, ctx: &mut ProcessContext<'_, I::Item>) {
        (self.first)(record).into_iter().for_each(|record| ctx.emit(record));
    }

    fn second(&mut self, record: &View<B>, ctx: &mut ProcessContext<'_, I::Item>) {
        (self.second)(record).into_iter().for_each(|record| ctx.emit(record));
    }
}
