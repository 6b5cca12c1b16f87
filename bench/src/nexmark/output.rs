//! Where the rows of a run go.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use hdrhistogram::Histogram;
use millstream::element::Epoch;
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::testing::golden::Once;

use super::schedule::Schedule;
use crate::clock::monotonic_nanos;

/// Where rows go.
#[derive(Clone)]
pub enum Output {
    /// Nowhere: they are made and counted.
    Nowhere(Arc<Tallied>),
    /// They are kept as text, each once.
    Kept(Once<String>),
}

/// What is known of rows that went nowhere.
#[derive(Default)]
pub struct Tallied {
    rows: AtomicU64,
    schedule: Option<Schedule>,
    late_by: Mutex<Option<Histogram<u64>>>,
}

impl Tallied {
    /// With a schedule, how long after they were due rows came is recorded.
    pub fn by(schedule: Option<Schedule>) -> Tallied {
        Tallied { schedule, ..Tallied::default() }
    }

    /// How many rows there were.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How long after they were due rows came, in nanoseconds; none without a schedule.
    pub fn latencies(&self) -> Option<Histogram<u64>> {
        self.late_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, rows: u64, latencies: Option<&Histogram<u64>>) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let Some(latencies) = latencies else { return };
        let mut all = self.late_by.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *all {
            // Of the same kind, so that every value has its place.
            Some(all) => all.add(latencies).expect("both grow as they have to"),
            None => *all = Some(latencies.clone()),
        }
    }
}

/// A histogram of nanoseconds, to three digits.
fn latencies() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

impl Output {
    /// The end of a job: takes its rows. `show` makes text of them where they are kept.
    pub fn rows<R: ?Sized, F: Fn(&R) -> String + 'static>(&self, show: F) -> RowSink<F> {
        let latencies = match self {
            Output::Nowhere(tallied) => tallied.schedule.as_ref().map(|_| latencies()),
            Output::Kept(_) => None,
        };
        RowSink { output: self.clone(), show, rows: 0, latencies }
    }
}

/// Takes the rows of one shard.
pub struct RowSink<F> {
    output: Output,
    show: F,
    rows: u64,
    latencies: Option<Histogram<u64>>,
}

impl<F> Drop for RowSink<F> {
    fn drop(&mut self) {
        if let Output::Nowhere(tallied) = &self.output {
            tallied.add(self.rows, self.latencies.as_ref());
        }
    }
}

impl<R: ?Sized, F: Fn(&R) -> String + 'static> Sink<R> for RowSink<F> {
    fn delivery(&self) -> Delivery {
        match &self.output {
            Output::Nowhere(_) => Delivery::Plain,
            Output::Kept(once) => once.delivery(),
        }
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        match &mut self.output {
            Output::Nowhere(_) => Ok(()),
            Output::Kept(once) => once.open(context, recovered),
        }
    }

    #[inline(always)]
    fn write(&mut self, row: &R, at: Timestamp) -> Result<(), SinkError> {
        match &mut self.output {
            Output::Nowhere(tallied) => {
                black_box(row);
                self.rows += 1;
                if let (Some(latencies), Some(schedule)) = (&mut self.latencies, &tallied.schedule) {
                    latencies.saturating_record(monotonic_nanos().saturating_sub(schedule.due(at)));
                }
                Ok(())
            }
            Output::Kept(once) => once.write(&(self.show)(row), at),
        }
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        match &mut self.output {
            Output::Nowhere(_) => Ok(()),
            Output::Kept(once) => once.prepare(epoch),
        }
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        match &mut self.output {
            Output::Nowhere(_) => Poll::Ready(Ok(None)),
            Output::Kept(once) => once.poll_prepared(epoch),
        }
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        match &mut self.output {
            Output::Nowhere(_) => Ok(()),
            Output::Kept(once) => once.commit(epoch),
        }
    }
}
