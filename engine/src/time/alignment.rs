//! How far the partitions of one source may drift apart, over all shards: Flink's watermark alignment, without its coordinator.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::element::{ShardId, Timestamp};
use crate::graph::ShardRange;
use crate::runtime::Waker;

/// What the shards tell each other about one source: each, how far its slowest partition has come. The least of it is how far the source has
/// come, and nobody may be ahead of that by more than the drift.
///
/// ```text
/// shard 0: partitions at 10 s, 2 s --> 2 s \
/// shard 1: partition  at  5 s      --> 5 s  > least: 2 s; with a drift of 1 s, all that are at 3 s or more are paused
/// shard 2: none that counts        --> max /
/// ```
///
/// A shard with a paused partition says so before it looks for the last time; who raises its floor says that first and then looks who is
/// paused. So either the one sees the new floor, or the other sees that somebody waits for it and wakes it.
#[derive(Debug)]
pub(crate) struct Alignment {
    shards: Vec<Floor>,
    wakers: Vec<Waker>,
}

/// One shard's word, on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Floor {
    at: AtomicI64,
    paused: AtomicBool,
}

impl Alignment {
    /// Of a source on some of the shards, that none has read yet: nobody runs ahead of those that have not begun.
    pub(crate) fn new(on: ShardRange, wakers: &[Waker]) -> Self {
        let floor = |shard: usize| {
            let at = if on.contains(ShardId(shard as u16)) { Timestamp::MIN } else { Timestamp::MAX };
            Floor { at: AtomicI64::new(at.0), paused: AtomicBool::new(false) }
        };
        Alignment { shards: (0..wakers.len()).map(floor).collect(), wakers: wakers.to_vec() }
    }

    /// The slowest partition of a shard that counts is here; [`Timestamp::MAX`] where none counts.
    pub(crate) fn publish(&self, shard: ShardId, floor: Timestamp) {
        let own = &self.shards[shard.index()];
        if own.at.load(Ordering::Relaxed) == floor.0 {
            return;
        }
        own.at.store(floor.0, Ordering::SeqCst);
        for (other, waker) in self.shards.iter().zip(&self.wakers) {
            if other.paused.load(Ordering::SeqCst) {
                waker.wake();
            }
        }
    }

    /// How far the source has come.
    pub(crate) fn least(&self) -> Timestamp {
        let floors = self.shards.iter().map(|floor| floor.at.load(Ordering::SeqCst));
        floors.min().map_or(Timestamp::MAX, Timestamp)
    }

    /// A shard has paused partitions, or none any more. After it has said that it has, it must look at [`Alignment::least`] again.
    pub(crate) fn set_paused(&self, shard: ShardId, paused: bool) {
        let own = &self.shards[shard.index()].paused;
        if own.load(Ordering::Relaxed) != paused {
            own.store(paused, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_all_shards_counts_and_those_that_wait_are_woken() {
        let wakers = [Waker::new(), Waker::new(), Waker::new()];
        let alignment = Alignment::new(ShardRange::all(3), &wakers);
        alignment.publish(ShardId(0), Timestamp(10));
        alignment.publish(ShardId(2), Timestamp::MAX);
        assert_eq!(alignment.least(), Timestamp::MIN);
        alignment.set_paused(ShardId(0), true);
        assert!(!wakers[0].is_notified());
        alignment.publish(ShardId(1), Timestamp(4));
        assert_eq!(alignment.least(), Timestamp(4));
        assert_eq!([0, 1, 2].map(|shard| wakers[shard].is_notified()), [true, false, false]);
    }
}
