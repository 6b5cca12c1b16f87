//! Aligned windows as runs of slices.

use super::time_window::TimeWindow;
use crate::element::Timestamp;

/// An aligned window kind: all keys have the same windows, and they follow from the clock alone.
///
/// A slice is named by its end. For every timestamp, the windows it belongs to are exactly the windows of its slice; a window is the
/// run of the slices that lie in it. (Scotty, EDBT 2019, and Flink SQL's slice assigners use the same cut.)
pub trait Slices: Clone + 'static {
    /// The slice a timestamp falls into. Costs one division: an operator keeps the last slice at hand and asks it first.
    fn slice_of(&self, at: Timestamp) -> TimeWindow;

    /// The windows that the slice with this end belongs to, by ascending end. Tumbling: one.
    fn windows_of(&self, slice_end: Timestamp) -> impl Iterator<Item = TimeWindow>;

    /// The ends of the slices that make up a window, ascending. Tumbling: one.
    fn slices_in(&self, window: TimeWindow) -> impl Iterator<Item = Timestamp>;

    /// The first window that is not complete at this watermark: the smallest `end` with `end - 1 > watermark`. `None` once all are.
    fn next_window(&self, watermark: Timestamp) -> Option<TimeWindow>;
}
