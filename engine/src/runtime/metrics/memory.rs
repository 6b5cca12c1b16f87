//! What memory a job takes, by what it is taken for.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory that a job takes, by what for. What counts is what the engine has had from the system, be it in use or kept for the next use.
///
/// It is nearly all of what a job adds to the resident memory of its process: what is left out is named in
/// [the guide](https://github.com/millstream/millstream/blob/main/docs/guide/running-jobs.md). The page cache is no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Pages of state: tables, windows, timers, and copies of pages that a running checkpoint has not saved yet.
    pub state: u64,
    /// What is kept for each page beside what it holds.
    pub page_index: u64,
    /// Rings between shards: [`Job::ring_bytes`](crate::job::Job::ring_bytes) each.
    pub rings: u64,
    /// Batches that are being filled, and those on the way from a shard to itself.
    pub batches: u64,
    /// Records that wait for room: [`Job::overflow_bytes`](crate::job::Job::overflow_bytes) at most.
    pub overflow: u64,
    /// Checkpoints: buffers on their way to disk, and where on disk each page of the retained ones lies.
    pub checkpoints: u64,
    /// In batch mode: records that are being sorted, [`Job::sort_bytes`](crate::job::Job::sort_bytes) at most.
    pub sorting: u64,
    /// Buffers that are registered with the kernel.
    pub io: u64,
    /// What counts towards [`Job::memory_limit`](crate::job::Job::memory_limit): pages of state, and what is set aside for sorting; with
    /// [`Job::spill_state`](crate::job::Job::spill_state) also what is kept for each page. It is no part of the sum: it is there already.
    pub limited: u64,
    /// That limit, if there is one.
    pub limit: Option<u64>,
}

impl MemoryUse {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The parts that the sum is made of, with their names.
    pub fn parts(&self) -> [(&'static str, u64); 8] {
        [
            ("state", self.state),
            ("page index", self.page_index),
            ("rings", self.rings),
            ("batches", self.batches),
            ("overflow", self.overflow),
            ("checkpoints", self.checkpoints),
            ("sorting", self.sorting),
            ("io", self.io),
        ]
    }

    /// Which part of the limit is used (0 to 1, and a little more where state is left on disk); none without a limit.
    pub fn part_of_limit(&self) -> Option<f64> {
        self.limit.map(|limit| self.limited as f64 / limit.max(1) as f64)
    }
}

impl Add for MemoryUse {
    type Output = MemoryUse;

    fn add(self, other: MemoryUse) -> MemoryUse {
        MemoryUse {
            state: self.state + other.state,
            page_index: self.page_index + other.page_index,
            rings: self.rings + other.rings,
            batches: self.batches + other.batches,
            overflow: self.overflow + other.overflow,
            checkpoints: self.checkpoints + other.checkpoints,
            sorting: self.sorting + other.sorting,
            io: self.io + other.io,
            limited: self.limited + other.limited,
            limit: self.limit.or(other.limit),
        }
    }
}

impl Sum for MemoryUse {
    fn sum<I: Iterator<Item = MemoryUse>>(all: I) -> MemoryUse {
        all.fold(MemoryUse::default(), MemoryUse::add)
    }
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Bytes(self.total()))?;
        let mut before = " (";
        for (name, bytes) in self.parts().into_iter().filter(|(_, bytes)| *bytes > 0) {
            write!(f, "{before}{name} {}", Bytes(bytes))?;
            before = ", ";
        }
        f.write_str(if before == " (" { "" } else { ")" })?;
        match self.limit {
            Some(limit) => write!(f, "; {} of the limit of {}", Bytes(self.limited), Bytes(limit)),
            None => Ok(()),
        }
    }
}

/// A number of bytes, for people to read.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >> shift > 0) {
            Some((shift, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / (1u64 << shift) as f64),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A shard's part of it, written by the shard and read by others.
#[derive(Debug, Default)]
pub(super) struct MemoryCounters {
    state: AtomicU64,
    page_index: AtomicU64,
    rings: AtomicU64,
    batches: AtomicU64,
    checkpoints: AtomicU64,
    sorting: AtomicU64,
}

impl MemoryCounters {
    pub(super) fn store(&self, memory: &MemoryUse) {
        self.state.store(memory.state, Ordering::Relaxed);
        self.page_index.store(memory.page_index, Ordering::Relaxed);
        self.rings.store(memory.rings, Ordering::Relaxed);
        self.batches.store(memory.batches, Ordering::Relaxed);
        self.checkpoints.store(memory.checkpoints, Ordering::Relaxed);
        self.sorting.store(memory.sorting, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> MemoryUse {
        MemoryUse {
            state: self.state.load(Ordering::Relaxed),
            page_index: self.page_index.load(Ordering::Relaxed),
            rings: self.rings.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            checkpoints: self.checkpoints.load(Ordering::Relaxed),
            sorting: self.sorting.load(Ordering::Relaxed),
            ..MemoryUse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_parts_and_reads_well() {
        let shard = MemoryUse { state: 3 << 20, page_index: 1 << 10, ..MemoryUse::default() };
        let job = MemoryUse { overflow: 100, limited: 6 << 20, limit: Some(8 << 20), ..MemoryUse::default() };
        let all = [shard, shard].into_iter().sum::<MemoryUse>() + job;
        assert_eq!(all.total(), (6 << 20) + (2 << 10) + 100);
        assert_eq!(
            all.to_string(),
            "6.0 MiB (state 6.0 MiB, page index 2.0 KiB, overflow 100 bytes); 6.0 MiB of the limit of 8.0 MiB"
        );
        assert_eq!(all.part_of_limit(), Some(0.75));
        assert_eq!(MemoryUse::default().to_string(), "0 bytes");
        assert_eq!(Bytes(5 << 29).to_string(), "2.5 GiB");
    }

    #[test]
    fn counters_give_back_what_was_stored() {
        let counters = MemoryCounters::default();
        let of_a_shard = MemoryUse {
            state: 1,
            page_index: 2,
            rings: 3,
            batches: 4,
            checkpoints: 5,
            sorting: 6,
            ..MemoryUse::default()
        };
        counters.store(&of_a_shard);
        assert_eq!(counters.read(), of_a_shard);
    }
}
