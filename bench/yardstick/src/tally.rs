//! How far a run is, told by its threads and read by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many records each thread has worked on, read by others without stopping it.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Vec<Line>>);

/// A counter on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Tally {
    /// One counter for each of so many threads.
    pub fn new(threads: u16) -> Tally {
        Tally(Arc::new((0..threads).map(|_| Line::default()).collect()))
    }

    /// Counts for a thread; each has its own number, or several which it counts under by turns.
    #[inline(always)]
    pub fn add(&self, thread: u16, records: u64) {
        let counter = &self.0[usize::from(thread) % self.0.len()].0;
        counter.store(counter.load(Ordering::Relaxed) + records, Ordering::Relaxed);
    }

    /// All threads' together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}
