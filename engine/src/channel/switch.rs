//! The switch point: how a consumer shard learns where on a ring its producer switched epoch (Chandy and Lamport's marker, but
//! beside the ring instead of on it, so that it never waits behind data).
//!
//! The producer publishes (epoch, position) before it writes past the position. The consumer asks the ring how much there is
//! *first* and looks at the switch point *second*: whatever it then sees on the ring was written before it looked, so if any of it lies
//! past a switch, the look shows the switch. [`SwitchObserver::observe`] is the only place that has both, in that order.
//!
//! There is one slot, not a queue: epoch `n + 1` is published only after every consumer has switched to `n` and has all positions of `n`.
//! The consumer acknowledges that, and [`SwitchPublisher::publish`] refuses to overwrite what was not acknowledged.

use super::error::ChannelError;
use super::sync::{Arc, AtomicU64, Ordering};
use crate::element::Epoch;

struct SwitchPoint {
    /// The epoch the producer switched to last; 0 before its first switch. Written by the producer, after `position`.
    epoch: AtomicU64,
    /// Where on the ring it did, in words ever written.
    position: AtomicU64,
    /// The last epoch that the consumer has switched to and has the position of. Written by the consumer.
    acknowledged: AtomicU64,
}

/// Where a producer switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switched {
    /// To which epoch. Epoch 0: it never did.
    pub epoch: Epoch,
    /// After how many words ever written to the ring.
    pub position: u64,
}

/// The two ends of a new switch point.
pub fn switch_point() -> (SwitchPublisher, SwitchObserver) {
    let point = Arc::new(SwitchPoint {
        epoch: AtomicU64::new(0),
        position: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
    });
    (SwitchPublisher { point: point.clone() }, SwitchObserver { point, last: Switched::default() })
}

/// The producer's end.
pub struct SwitchPublisher {
    point: Arc<SwitchPoint>,
}

impl SwitchPublisher {
    /// Publishes that the producer has switched to `epoch` after `position` words. To be called before anything is written past it.
    ///
    /// # Errors
    /// Where the epoch is not a later one, or the consumer has not acknowledged the last one yet.
    pub fn publish(&self, epoch: Epoch, position: u64) -> Result<(), ChannelError> {
        let current = Epoch(self.point.epoch.load(Ordering::Relaxed));
        if epoch <= current {
            return Err(ChannelError::SwitchBackwards { epoch, current });
        }
        // Acquire: the consumer's read of the old position comes before our overwriting it.
        if self.point.acknowledged.load(Ordering::Acquire) != current.0 {
            return Err(ChannelError::SwitchTooEarly { epoch, pending: current });
        }
        self.point.position.store(position, Ordering::Relaxed);
        self.point.epoch.store(epoch.0, Ordering::Release);
        Ok(())
    }
}

/// The consumer's end.
pub struct SwitchObserver {
    point: Arc<SwitchPoint>,
    last: Switched,
}

impl SwitchObserver {
    /// Asks the ring how many words were ever written, then looks at the switch point: what lies before the returned end was written before
    /// the producer could switch again.
    #[inline]
    pub fn observe(&mut self, ring_end: impl FnOnce() -> u64) -> (u64, Switched) {
        let end = ring_end();
        (end, self.look())
    }

    /// The producer's last switch. Nothing may be concluded from it about words that the ring is asked for later.
    #[inline]
    pub fn look(&mut self) -> Switched {
        let epoch = self.point.epoch.load(Ordering::Acquire);
        // The position of an epoch seen before must not be read again: once acknowledged, the producer may be overwriting it.
        if epoch != self.last.epoch.0 {
            self.last =
                Switched { epoch: Epoch(epoch), position: self.point.position.load(Ordering::Relaxed) };
        }
        self.last
    }

    /// Says that the consumer has switched to the epoch that the last look showed: the producer may publish the next one.
    pub fn acknowledge(&self) {
        self.point.acknowledged.store(self.last.epoch.0, Ordering::Release);
    }

    /// What the last look showed.
    #[inline]
    pub fn last(&self) -> Switched {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_never_overwritten_before_it_is_acknowledged() {
        let (publisher, mut observer) = switch_point();
        assert_eq!(observer.look(), Switched::default());
        publisher.publish(Epoch(1), 10).unwrap();
        assert_eq!(observer.observe(|| 7), (7, Switched { epoch: Epoch(1), position: 10 }));
        assert_eq!(
            publisher.publish(Epoch(2), 20),
            Err(ChannelError::SwitchTooEarly { epoch: Epoch(2), pending: Epoch(1) })
        );
        observer.acknowledge();
        publisher.publish(Epoch(2), 20).unwrap();
        assert_eq!(observer.last().epoch, Epoch(1));
        assert_eq!(observer.look(), Switched { epoch: Epoch(2), position: 20 });
    }

    #[test]
    fn epochs_only_ascend() {
        let (publisher, mut observer) = switch_point();
        publisher.publish(Epoch(5), 1).unwrap();
        observer.look();
        observer.acknowledge();
        assert!(matches!(publisher.publish(Epoch(5), 2), Err(ChannelError::SwitchBackwards { .. })));
    }
}
