//! Aligned windows as runs of slices.

use std::fmt;
use std::iter::successors;

use super::error::WindowError;
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::time::Tick;

/// An aligned window kind: all keys have the same windows, and they follow from the clock alone. It shows as a short description, such
/// as `tumbling 5000`.
///
/// A slice is named by its end. For every timestamp, the windows it belongs to are exactly the windows of its slice; a window is the
/// run of the slices that lie in it. (Scotty, EDBT 2019, and Flink SQL's slice assigners use the same cut.)
///
/// A window is named by its end, too. Where several reach over the end of time, they would all end there: only the first of them is
/// counted, since no other could add anything.
pub trait Slices: Clone + fmt::Display + 'static {
    /// The slice a timestamp falls into. Costs one division: an operator keeps the last slice at hand and asks it first.
    fn slice_of(&self, at: Timestamp) -> TimeWindow;

    /// Whether a slice belongs to any window. Only windows with gaps between them have others.
    fn is_assigned(&self, slice: TimeWindow) -> bool {
        let _ = slice;
        true
    }

    /// The windows that the slice with this end belongs to, by ascending end. Tumbling: one.
    fn windows_of(&self, slice_end: Timestamp) -> impl DoubleEndedIterator<Item = TimeWindow>;

    /// The ends of the slices that make up a window, ascending. Tumbling: one.
    fn slices_in(&self, window: TimeWindow) -> impl Iterator<Item = Timestamp> {
        let first = self.slice_of(window.start).end;
        successors(Some(first), move |end| (*end < window.end).then(|| self.slice_of(*end).end))
    }

    /// The first window that is not complete at this watermark: the smallest `end` with `end - 1 > watermark`. `None` once all are.
    fn next_window(&self, watermark: Timestamp) -> Option<TimeWindow>;

    /// The end of the last window that is complete at this watermark, whether or not it holds any records.
    fn last_end(&self, watermark: Timestamp) -> Timestamp;

    /// The distance from the end of one window to the end of the next. All windows begin at multiples of it past [`Slices::phase`].
    fn step(&self) -> i64;

    /// Where one of the windows begins: at least 0, less than the step.
    fn phase(&self) -> i64;

    /// The size of the longest window in ticks.
    fn longest(&self) -> i64;

    /// The most slices that a window has. Tumbling: one.
    fn slices_max(&self) -> u64;
}

/// Aligned windows as a program states them.
pub trait Aligned: 'static {
    /// The same in ticks of the job.
    type Windows: Slices;

    /// Checks the windows and puts them into ticks of the job.
    fn build(&self, tick: Tick) -> Result<Self::Windows, WindowError>;

    /// Windows of one tick: what stands in for refused ones in a graph that will be refused.
    fn of_one_tick() -> Self::Windows;

    /// What a reader of the plan should know of them, where there is anything.
    fn remark(windows: &Self::Windows) -> Option<String> {
        let _ = windows;
        None
    }
}
