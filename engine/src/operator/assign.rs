//! How records get their event time at the source, and which of them let a watermark out.

use std::marker::PhantomData;

use super::segment::StepContext;
use crate::element::Timestamp;
use crate::time::SourceClock;

/// Gives a record its event time.
pub trait Assign<T>: 'static {
    /// Whether [`Assign::marks`] is to be asked.
    const MARKS: bool = false;

    /// A partition is about to be polled.
    #[inline(always)]
    fn begin(&mut self, context: &StepContext, clock: &SourceClock, partition: usize) {
        let _ = (context, clock, partition);
    }

    /// The record's event time, given what the source says of it.
    fn at(&self, record: &T, from_source: Timestamp) -> Timestamp;

    /// Whether the watermark is to be let out after this record.
    #[inline(always)]
    fn marks(&self, record: &T) -> bool {
        let _ = record;
        false
    }
}

/// Event time is what the source says, if it says anything.
pub struct Untimed;

impl<T> Assign<T> for Untimed {
    #[inline(always)]
    fn at(&self, _: &T, from_source: Timestamp) -> Timestamp {
        from_source
    }
}

/// Event time is what a closure says.
pub struct Assigned<F, A> {
    timestamp: F,
    answer: PhantomData<fn() -> A>,
}

impl<F, A> Assigned<F, A> {
    pub(crate) fn new(timestamp: F) -> Self {
        Assigned { timestamp, answer: PhantomData }
    }
}

impl<T, A: Into<Timestamp> + 'static, F: Fn(&T) -> A + 'static> Assign<T> for Assigned<F, A> {
    #[inline(always)]
    fn at(&self, record: &T, _: Timestamp) -> Timestamp {
        (self.timestamp)(record).into()
    }
}

/// Event time is the processing time at which a record is taken from the source.
pub struct Ingestion {
    now: Timestamp,
}

impl Ingestion {
    pub(crate) fn new() -> Self {
        Ingestion { now: Timestamp::MIN }
    }
}

impl<T> Assign<T> for Ingestion {
    fn begin(&mut self, context: &StepContext, clock: &SourceClock, partition: usize) {
        // After a restart the clock on the wall may have been set back: what comes now is not late all the same.
        let passed = clock.progress(partition);
        self.now = context.processing_time().max(Timestamp(passed.0.saturating_add(1)));
    }

    #[inline(always)]
    fn at(&self, _: &T, _: Timestamp) -> Timestamp {
        self.now
    }
}

/// Some records, picked by a closure, let the watermark out.
pub struct Marked<A, M> {
    assign: A,
    marks: M,
}

impl<A, M> Marked<A, M> {
    pub(crate) fn new(assign: A, marks: M) -> Self {
        Marked { assign, marks }
    }
}

impl<T, A: Assign<T>, M: Fn(&T) -> bool + 'static> Assign<T> for Marked<A, M> {
    const MARKS: bool = true;

    #[inline(always)]
    fn begin(&mut self, context: &StepContext, clock: &SourceClock, partition: usize) {
        self.assign.begin(context, clock, partition);
    }

    #[inline(always)]
    fn at(&self, record: &T, from_source: Timestamp) -> Timestamp {
        self.assign.at(record, from_source)
    }

    #[inline(always)]
    fn marks(&self, record: &T) -> bool {
        (self.marks)(record)
    }
}
