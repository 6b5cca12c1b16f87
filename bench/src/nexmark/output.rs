//! Where the rows of a run go.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use hdrhistogram::Histogram;
use millstream::element::Epoch;
use millstream::io::FileSink;
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::testing::golden::Once;

use super::schedule::Schedule;
use crate::clock::monotonic_nanos;

/// Where rows go.
#[derive(Clone)]
pub struct Output {
    to: To,
    files: PathBuf,
}

#[derive(Clone)]
enum To {
    /// They are made, and forgotten.
    Nowhere(Arc<Latencies>),
    /// They are kept as text, each once.
    Kept(Once<String>),
}

/// How long after they were due rows came, by a schedule.
pub struct Latencies {
    schedule: Option<Schedule>,
    /// In nanoseconds.
    recorded: Mutex<Histogram<u64>>,
}

impl Latencies {
    /// Nothing is recorded without a schedule.
    pub fn by(schedule: Option<Schedule>) -> Latencies {
        Latencies { schedule, recorded: Mutex::new(histogram()) }
    }

    /// What was recorded on all shards, in nanoseconds; none without a schedule.
    pub fn recorded(&self) -> Option<Histogram<u64>> {
        self.schedule.as_ref().map(|_| self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn add(&self, recorded: &Histogram<u64>) {
        let mut all = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        all.add(recorded).expect("all of them have the same bounds");
    }
}

/// The longest latency that is told from longer ones: ten minutes.
const LATENCY_MAX: u64 = 600_000_000_000;

/// To three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX, 3).expect("a maximum above 2, and three digits, are allowed")
}

impl Output {
    /// Rows are made, and forgotten. `files`: where those go that a query writes to files.
    pub fn nowhere(latencies: Arc<Latencies>, files: PathBuf) -> Output {
        Output { to: To::Nowhere(latencies), files }
    }

    /// Rows are kept, or lie in files.
    pub fn kept(rows: Once<String>, files: PathBuf) -> Output {
        Output { to: To::Kept(rows), files }
    }

    /// The end of a job: takes its rows. `show` makes text of them where they are kept.
    pub fn rows<R: ?Sized, F: Fn(&R) -> String + 'static>(&self, show: F) -> RowSink<F> {
        let recorded = match &self.to {
            To::Nowhere(latencies) => latencies.schedule.as_ref().map(|_| histogram()),
            To::Kept(_) => None,
        };
        RowSink { to: self.to.clone(), show, recorded }
    }

    /// The end of a job that writes its rows to files.
    pub fn files(&self) -> FileSink {
        FileSink::lines(&self.files)
    }
}

/// Takes the rows of one shard.
pub struct RowSink<F> {
    to: To,
    show: F,
    recorded: Option<Histogram<u64>>,
}

impl<F> Drop for RowSink<F> {
    fn drop(&mut self) {
        if let (To::Nowhere(latencies), Some(recorded)) = (&self.to, &self.recorded) {
            latencies.add(recorded);
        }
    }
}

impl<R: ?Sized, F: Fn(&R) -> String + 'static> Sink<R> for RowSink<F> {
    fn delivery(&self) -> Delivery {
        match &self.to {
            To::Nowhere(_) => Delivery::Plain,
            To::Kept(once) => once.delivery(),
        }
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        match &mut self.to {
            To::Nowhere(_) => Ok(()),
            To::Kept(once) => once.open(context, recovered),
        }
    }

    #[inline(always)]
    fn write(&mut self, row: &R, at: Timestamp) -> Result<(), SinkError> {
        match &mut self.to {
            To::Nowhere(latencies) => {
                black_box(row);
                if let (Some(recorded), Some(schedule)) = (&mut self.recorded, &latencies.schedule) {
                    recorded.saturating_record(monotonic_nanos().saturating_sub(schedule.due(at)));
                }
                Ok(())
            }
            To::Kept(once) => once.write(&(self.show)(row), at),
        }
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        match &mut self.to {
            To::Nowhere(_) => Ok(()),
            To::Kept(once) => once.prepare(epoch),
        }
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        match &mut self.to {
            To::Nowhere(_) => Poll::Ready(Ok(None)),
            To::Kept(once) => once.poll_prepared(epoch),
        }
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        match &mut self.to {
            To::Nowhere(_) => Ok(()),
            To::Kept(once) => once.commit(epoch),
        }
    }
}
