//! The memory that all arenas of a job may use together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A limit in bytes and what is used of it. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        MemoryBudget { shared: Arc::new(Shared { limit, used: AtomicU64::new(0) }) }
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
}
