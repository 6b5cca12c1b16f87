//! Buckets of event time, and how long they are kept.

use crate::element::Timestamp;
use crate::window::TimeWindow;

/// Cuts event time into buckets of one length, which are waited for equally long.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The length of a bucket, in ticks; at least 1.
    pub(super) length: i64,
    /// How long after a record its last possible partner may come; at least 0.
    pub(super) waits: i64,
}

impl Grid {
    /// The bucket of an event time. The first one there is may be shorter, as may the last.
    pub(super) fn bucket_of(self, at: Timestamp) -> TimeWindow {
        let behind = at.0.rem_euclid(self.length);
        let (start, end) = (at.0.saturating_sub(behind), at.0.saturating_add(self.length - behind));
        TimeWindow { start: Timestamp(start), end: Timestamp(end) }
    }

    /// When a record that came at `at`, or a bucket whose last record could, is waited for no longer.
    pub(super) fn over_at(self, at: Timestamp) -> Timestamp {
        // Event time comes to no more than this before the stream ends.
        Timestamp(at.0.saturating_add(self.waits).min(i64::MAX - 1))
    }

    /// The first time of a record that is still waited for at this watermark. A bucket may keep what is over: whether that meets anybody must
    /// not depend on the others in it.
    pub(super) fn waited_from(self, seen: Timestamp) -> Timestamp {
        let over = seen.0.checked_sub(self.waits);
        over.map_or(Timestamp::MIN, |over| Timestamp(over.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_at_the_ends_of_time_too() {
        let grid = Grid { length: 10, waits: 5 };
        let bucket = |at| {
            let TimeWindow { start, end } = grid.bucket_of(Timestamp(at));
            (start.0, end.0)
        };
        assert_eq!(bucket(-1), (-10, 0));
        assert_eq!(bucket(0), (0, 10));
        assert_eq!(bucket(9), (0, 10));
        // i64::MIN is -9223372036854775808, which lies in a bucket that would begin before all time.
        assert_eq!(bucket(i64::MIN), (i64::MIN, i64::MIN + 8));
        assert_eq!(bucket(i64::MAX - 1), (i64::MAX - 7, i64::MAX));
        assert_eq!(grid.over_at(Timestamp(i64::MAX - 1)), Timestamp(i64::MAX - 1));
    }
}
