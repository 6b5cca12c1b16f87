//! One golden result, many runs. What comes out of a job may not depend on where its checkpoints fall, on where it was stopped and gone on
//! with, and on how many shards it runs.
//!
//! [`every_way`] runs a whole program
//!
//! | where | how |
//! | --- | --- |
//! | on threads, by the clock on the wall | straight through; with a checkpoint every millisecond on one shard and on two; stopped in the middle and restored on as many shards, on more, and on fewer |
//! | in the test's thread, by hand | with a checkpoint after every record, on one shard and on two; restored after every record on as many shards, and each time on another number; the same with aligned checkpoints, unless the program has iterations; the same by savepoints |
//!
//! The runs by hand let every second checkpoint begin before the record has been handled, so that records are on their way while it is made.
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::testing::golden::every_way;
//! use std::time::Duration;
//!
//! let clicks = [(7u64, Timestamp(1_000)), (7, Timestamp(4_999)), (7, Timestamp(5_000))];
//! every_way(clicks.len(), move |flow, run| {
//!     flow.source("clicks", run.timed(vec![clicks.to_vec()]))
//!         .source_time(Watermarks::monotonous())
//!         .key_by(|user| *user)
//!         .window(Tumbling::of(Duration::from_secs(5)))
//!         .count()
//!         .map(|count| (count.window.start.0, count.value))
//!         .sink("counts", run.sink());
//! })
//! .are(&[(0, 2), (5_000, 1)])
//! .late(0);
//! ```
//!
//! For single operators, and to see what comes of each record, there is the [harness](super::Harness).

mod by_hand;
mod on_threads;
mod once;
mod paused;
mod scratch;

use std::fmt::Debug;
use std::sync::Arc;

pub use once::Once;
pub use paused::{Paused, PausedReader};

use paused::Pauses;

use crate::accumulator::{Accumulator, Accumulators};
use crate::element::Timestamp;
use crate::graph::Flow;
use crate::job::Job;
use crate::record::Record;
use crate::runtime::restart::RestartStrategy;

/// What a program is given for one run: its sources and its sink.
pub struct Run<O> {
    pauses: Arc<Pauses>,
    sink: Once<O>,
}

impl<O: Clone + Send + Sync + 'static> Run<O> {
    /// A run without a pause.
    pub fn straight(sink: Once<O>) -> Self {
        Run { pauses: Arc::new(Pauses::after(usize::MAX)), sink }
    }

    /// A source of one partition. It gives one record at a time, so that a watermark follows each.
    pub fn source<T: Record + Clone>(&self, records: impl IntoIterator<Item = T>) -> Paused<T> {
        self.timed(vec![records.into_iter().map(|record| (record, Timestamp::MIN)).collect()])
    }

    /// A source with these partitions, whose records have event times.
    pub fn timed<T: Record + Clone>(&self, partitions: Vec<Vec<(T, Timestamp)>>) -> Paused<T> {
        Paused::pausing(partitions, self.pauses.clone())
    }

    /// Where the results go, each once.
    pub fn sink(&self) -> Once<O> {
        self.sink.clone()
    }
}

/// What came of one run.
struct Ran<O> {
    way: String,
    /// The most shards that it had.
    shards: u16,
    results: Vec<O>,
    late: u64,
    accumulators: Accumulators,
}

/// The results of a program, which must be the same each way.
#[must_use = "results show something when they are compared: .are(..)"]
pub struct Results<O> {
    runs: Vec<Ran<O>>,
}

/// Runs a program every way. `records` is how many its longest partition has. The program takes its sources and its sink from the [`Run`] that it
/// is given.
///
/// # Panics
/// A run fails, or does not come to its end.
#[track_caller]
pub fn every_way<O, P>(records: usize, program: P) -> Results<O>
where
    O: Clone + Send + Sync + Debug + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let mut runs = on_threads::all(records, &program);
    runs.extend(by_hand::all(records, &program));
    Results { runs }
}

/// The job of a run.
fn job(shards: u16) -> Job {
    Job::new("golden").shards(shards).oversubscribe(true).restart(RestartStrategy::None)
}

impl<O: Clone + Ord + Debug> Results<O> {
    /// On one shard the results come in this order; on several, all of them come.
    ///
    /// # Panics
    /// They do not: says which way.
    #[track_caller]
    pub fn are(&self, expected: &[O]) -> &Self {
        for run in self.runs.iter().filter(|run| run.shards == 1) {
            assert_eq!(run.results, expected, "{}", run.way);
        }
        self.are_in_any_order(expected)
    }

    /// Only the runs on one shard. On several, a record can overtake the watermark that would make it late, since that is the least of
    /// what all shards say.
    pub fn on_one_shard(self) -> Self {
        Results { runs: self.runs.into_iter().filter(|run| run.shards == 1).collect() }
    }

    /// All of these come, in any order.
    ///
    /// # Panics
    /// They do not: says which way.
    #[track_caller]
    pub fn are_in_any_order(&self, expected: &[O]) -> &Self {
        let sorted = |results: &[O]| {
            let mut sorted = results.to_vec();
            sorted.sort();
            sorted
        };
        for run in &self.runs {
            assert_eq!(sorted(&run.results), sorted(expected), "{}", run.way);
        }
        self
    }

    /// An accumulator of the job has come to this.
    ///
    /// # Panics
    /// It has come to something else: says which way.
    #[track_caller]
    pub fn accumulated<A: Accumulator + PartialEq>(&self, name: &str, expected: &A) -> &Self {
        for run in &self.runs {
            assert_eq!(run.accumulators.get::<A>(name), Ok(expected), "{}", run.way);
        }
        self
    }

    /// So many records came too late.
    ///
    /// # Panics
    /// More came, or fewer: says which way.
    #[track_caller]
    pub fn late(&self, expected: u64) -> &Self {
        for run in &self.runs {
            assert_eq!(run.late, expected, "late records: {}", run.way);
        }
        self
    }
}
