//! The memory that all arenas of a job may use together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A limit in bytes and what is used of it. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
    /// How many arenas give pages up where the limit is passed.
    sharers: AtomicU32,
}

/// An arena that has no more than its share gives pages up only where more than this part of the limit is used beyond it.
const SLACK_PART: u64 = 32;

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        MemoryBudget {
            shared: Arc::new(Shared { limit, used: AtomicU64::new(0), sharers: AtomicU32::new(0) }),
        }
    }

    /// A budget that is never exceeded.
    pub fn unlimited() -> Self {
        MemoryBudget::new(u64::MAX)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// The bytes in use.
    pub fn used(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, or takes nothing and says no.
    pub fn take(&self, bytes: u64) -> bool {
        // Relaxed: the counter guards no other memory.
        self.shared
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.shared.limit)
            })
            .is_ok()
    }

    /// Takes `bytes`, even where there are none left: somebody will give them back in a moment.
    pub(super) fn overdraw(&self, bytes: u64) {
        self.shared.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One arena more gives pages up where the limit is passed.
    pub(super) fn join(&self) {
        self.shared.sharers.fetch_add(1, Ordering::Relaxed);
    }

    /// One less does.
    pub(super) fn leave(&self) {
        self.shared.sharers.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many bytes such an arena should give up, of so many that it holds. Those that hold more than their share come first.
    pub(super) fn excess(&self, holds: u64) -> u64 {
        let limit = self.shared.limit;
        let excess = self.used().saturating_sub(limit);
        let share = limit / u64::from(self.shared.sharers.load(Ordering::Relaxed).max(1));
        if holds <= share && excess <= limit / SLACK_PART { 0 } else { excess }
    }

    /// Gives `bytes` back that were taken.
    pub fn give_back(&self, bytes: u64) {
        self.shared.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_no_more_than_it_has() {
        let budget = MemoryBudget::new(10);
        let other = budget.clone();
        assert!(budget.take(6));
        assert!(!other.take(5));
        assert!(other.take(4));
        other.give_back(6);
        assert_eq!(budget.used(), 4);
    }

    #[test]
    fn those_with_more_than_their_share_give_first() {
        let budget = MemoryBudget::new(3200);
        budget.join();
        budget.join();
        assert!(budget.take(3200));
        assert_eq!((budget.excess(3200), budget.excess(0)), (0, 0));
        budget.overdraw(50);
        assert_eq!((budget.excess(1601), budget.excess(1600)), (50, 0));
        budget.overdraw(51);
        assert_eq!((budget.excess(1601), budget.excess(1600)), (101, 101));
        budget.leave();
        budget.give_back(50);
        assert_eq!(budget.excess(3000), 0, "all of it is the share of the one that is left");
    }
}
