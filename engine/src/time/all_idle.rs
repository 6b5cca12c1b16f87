//! Whether all sources of a job are idle, on all shards: what [`advance_on_idle`](super::Watermarks::advance_on_idle) needs to know.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crate::element::{Nanos, Timestamp};
use crate::runtime::Waker;

/// Counts the source instances of a job that are at work. Each is at first.
#[derive(Debug)]
pub(crate) struct AllIdle {
    active: AtomicUsize,
    /// When the last one became idle.
    since: AtomicU64,
    /// The greatest watermark of those that became idle.
    greatest: AtomicI64,
    wakers: Vec<Waker>,
}

impl AllIdle {
    /// For so many instances.
    pub(crate) fn new(instances: usize, wakers: &[Waker]) -> Self {
        AllIdle {
            active: AtomicUsize::new(instances),
            since: AtomicU64::new(0),
            greatest: AtomicI64::new(Timestamp::MIN.0),
            wakers: wakers.to_vec(),
        }
    }

    /// An instance has become idle, or has ended, at this watermark. The last one to do so wakes all shards.
    pub(crate) fn leave(&self, watermark: Timestamp, now: Nanos) {
        self.since.fetch_max(now.0, Ordering::Relaxed);
        // The end of a source is no time that another one should go on from.
        if watermark < Timestamp::MAX {
            self.greatest.fetch_max(watermark.0, Ordering::Relaxed);
        }
        // Release: whoever sees the last one leave sees what all have said before.
        if self.active.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wakers.iter().for_each(Waker::wake);
        }
    }

    /// An instance is at work again.
    pub(crate) fn come_back(&self) {
        self.active.fetch_add(1, Ordering::AcqRel);
    }

    /// Where all are idle: since when, and the greatest watermark among them; none where no source has a watermark.
    pub(crate) fn since(&self) -> Option<(Nanos, Timestamp)> {
        if self.active.load(Ordering::Acquire) > 0 {
            return None;
        }
        let greatest = Timestamp(self.greatest.load(Ordering::Relaxed));
        (greatest > Timestamp::MIN).then(|| (Nanos(self.since.load(Ordering::Relaxed)), greatest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tm_12_time_goes_on_from_the_greatest_watermark_when_the_last_one_is_idle() {
        let waker = Waker::new();
        let idle = AllIdle::new(3, std::slice::from_ref(&waker));
        idle.leave(Timestamp(50), Nanos(10));
        idle.leave(Timestamp(40), Nanos(30));
        assert_eq!((idle.since(), waker.is_notified()), (None, false));
        idle.leave(Timestamp::MAX, Nanos(20));
        assert_eq!((idle.since(), waker.is_notified()), (Some((Nanos(30), Timestamp(50))), true));
        idle.come_back();
        assert_eq!(idle.since(), None);
        idle.leave(Timestamp(60), Nanos(90));
        assert_eq!(idle.since(), Some((Nanos(90), Timestamp(60))));
    }

    #[test]
    fn without_any_watermark_there_is_nothing_to_go_on_from() {
        let idle = AllIdle::new(1, &[]);
        idle.leave(Timestamp::MIN, Nanos(1));
        assert_eq!(idle.since(), None);
    }
}
