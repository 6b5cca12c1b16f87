//! One window of event time.

use std::fmt;

use crate::element::Timestamp;

/// The window `[start, end)`.
///
/// Event time has two ends, and a window that would reach over one is cut off there: the first window begins at [`Timestamp::MIN`], the
/// last one ends at [`Timestamp::MAX`] (and takes records at that very tick, too).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, crate::record::Record)]
#[repr(C)]
pub struct TimeWindow {
    /// The first tick.
    pub start: Timestamp,
    /// One past the last tick.
    pub end: Timestamp,
}

impl TimeWindow {
    /// The largest timestamp that belongs to the window, and the timestamp of its result: `end - 1`.
    #[inline]
    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(self.end.0.saturating_sub(1))
    }

    /// Whether a timestamp lies in the window.
    #[inline]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && (at < self.end || at == Timestamp::MAX && self.end == Timestamp::MAX)
    }

    /// Whether two windows overlap or touch, which makes sessions of them one: two records whose distance is the gap belong together
    /// (Flink's `TimeWindow.intersects`).
    #[inline]
    pub fn touches(&self, other: &TimeWindow) -> bool {
        self.start <= other.end && self.end >= other.start
    }

    /// The smallest window that covers both.
    #[inline]
    pub fn cover(&self, other: &TimeWindow) -> TimeWindow {
        TimeWindow { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether the window is complete, and fires, at this watermark: `watermark >= end - 1`.
    #[inline]
    pub fn fires_at(&self, watermark: Timestamp) -> bool {
        watermark >= self.max_timestamp()
    }

    /// The watermark at which the window's state may go: `end - 1 + lateness`, the end of time where that does not fit. A negative
    /// lateness counts as 0.
    #[inline]
    pub fn cleanup_time(&self, lateness: i64) -> Timestamp {
        Timestamp(self.max_timestamp().0.saturating_add(lateness.max(0)))
    }

    /// Whether a record for this window is late for good: `end - 1 + lateness <= watermark`.
    #[inline]
    pub fn is_gone_at(&self, watermark: Timestamp, lateness: i64) -> bool {
        self.cleanup_time(lateness) <= watermark
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> TimeWindow {
        TimeWindow { start: Timestamp(start), end: Timestamp(end) }
    }

    #[test]
    fn wn_01_start_belongs_and_end_does_not() {
        let window = window(0, 5000);
        assert!(window.contains(Timestamp(0)) && window.contains(Timestamp(4999)));
        assert!(!window.contains(Timestamp(-1)) && !window.contains(Timestamp(5000)));
        assert_eq!(window.max_timestamp(), Timestamp(4999));
        assert_eq!(window.to_string(), "[0,5000)");
    }

    #[test]
    fn wn_09_state_goes_at_end_minus_one_plus_lateness() {
        let window = window(0, 5000);
        assert_eq!(window.cleanup_time(3000), Timestamp(7999));
        assert!(!window.is_gone_at(Timestamp(7998), 3000));
        assert!(window.is_gone_at(Timestamp(7999), 3000));
        assert!(window.is_gone_at(Timestamp(4999), 0));
        assert_eq!(window.cleanup_time(i64::MAX), Timestamp::MAX);
        assert!(!window.is_gone_at(Timestamp(i64::MAX - 1), i64::MAX));
    }

    #[test]
    fn wn_10_fires_at_end_minus_one() {
        // The watermarks of the trace of TM-03.
        let fired = [-2001, 4998, 4999].map(|watermark| window(0, 5000).fires_at(Timestamp(watermark)));
        assert_eq!(fired, [false, false, true]);
    }

    #[test]
    fn wn_04_windows_that_touch_are_covered_by_one() {
        let (a, b, c) = (window(0, 10), window(10, 20), window(21, 31));
        assert!(a.touches(&b) && b.touches(&a) && !b.touches(&c) && !c.touches(&a));
        assert_eq!(a.cover(&b), window(0, 20));
        assert_eq!(c.cover(&a), window(0, 31));
    }

    #[test]
    fn the_ends_of_time() {
        let last = window(i64::MAX - 10, i64::MAX);
        assert!(last.contains(Timestamp::MAX));
        assert!(last.fires_at(Timestamp::MAX));
        let first = window(i64::MIN, 5);
        assert!(first.contains(Timestamp::MIN));
        assert_eq!(first.to_string(), "[-inf,5)");
    }
}
