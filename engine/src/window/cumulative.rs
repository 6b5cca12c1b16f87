//! Cumulative windows: within each period, windows that all begin at its start and end one step after the other (Flink SQL's
//! `CUMULATE`).

use std::fmt;

use super::error::{WindowError, offset_below, positive};
use super::grid::{Grid, clamped, show_offset};
use super::slices::{Aligned, Slices};
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::time::{Span, Tick, Ticks};

/// Cumulative windows as a program states them.
///
/// ```
/// use millstream_engine::time::{Tick, Ticks};
/// use millstream_engine::window::{Cumulative, Slices};
///
/// // The day so far, every hour.
/// let days = Cumulative::of(Ticks(24)).every(Ticks(1)).build(Tick::Millisecond).unwrap();
/// let at_noon = days.windows_of(days.slice_of(12.into()).end).next().unwrap();
/// assert_eq!((at_noon.start.0, at_noon.end.0), (0, 13));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cumulative {
    size_max: Span,
    step: Span,
    offset: Span,
}

impl Cumulative {
    /// Windows that grow up to this size (a [`Duration`](std::time::Duration), or [`Ticks`]) and then begin anew, aligned to the epoch.
    /// Say with [`Cumulative::every`] by how much they grow.
    pub fn of(size_max: impl Into<Span>) -> Self {
        let size_max = size_max.into();
        Cumulative { size_max, step: size_max, offset: Ticks(0).into() }
    }

    /// By how much each window is longer than the one before it: how often results come. Divides the largest size.
    pub fn every(mut self, step: impl Into<Span>) -> Self {
        self.step = step.into();
        self
    }

    /// Moves all windows by this much; may be negative, and is smaller than the largest size.
    pub fn offset(mut self, offset: impl Into<Span>) -> Self {
        self.offset = offset.into();
        self
    }

    /// Checks the windows and puts them into ticks of the job.
    pub fn build(&self, tick: Tick) -> Result<CumulativeWindows, WindowError> {
        let size_max = positive("window size", self.size_max, tick)?;
        let step = positive("window step", self.step, tick)?;
        if size_max % step != 0 {
            return Err(WindowError::StepDoesNotDivide {
                step: self.step.to_string(),
                size: self.size_max.to_string(),
            });
        }
        let offset = offset_below(self.offset, "size", self.size_max, tick)?;
        Ok(CumulativeWindows { periods: Grid::through(offset, size_max), steps: Grid::through(offset, step) })
    }
}

impl Aligned for Cumulative {
    type Windows = CumulativeWindows;

    fn build(&self, tick: Tick) -> Result<CumulativeWindows, WindowError> {
        Cumulative::build(self, tick)
    }

    fn of_one_tick() -> CumulativeWindows {
        CumulativeWindows { periods: Grid::through(0, 1), steps: Grid::through(0, 1) }
    }
}

/// [`Cumulative`] windows in ticks of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CumulativeWindows {
    periods: Grid,
    /// Every point of the periods is one of the steps.
    steps: Grid,
}

impl CumulativeWindows {
    /// The size of the largest window in ticks.
    pub fn size_max(&self) -> i64 {
        self.periods.step()
    }

    fn window_ending(&self, end: i128) -> TimeWindow {
        TimeWindow { start: clamped(self.periods.at_or_before(end - 1)), end: clamped(end) }
    }
}

impl fmt::Display for CumulativeWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cumulative {} every {}", self.size_max(), self.step())?;
        show_offset(f, self.periods)
    }
}

impl Slices for CumulativeWindows {
    #[inline]
    fn slice_of(&self, at: Timestamp) -> TimeWindow {
        // The very last tick goes with the one before it: no slice begins at the end of time.
        let at = at.0.min(i64::MAX - 1);
        let past = self.steps.past(Timestamp(at));
        TimeWindow {
            start: Timestamp(at.saturating_sub(past)),
            end: Timestamp(at.saturating_add(self.steps.step() - past)),
        }
    }

    fn windows_of(&self, slice_end: Timestamp) -> impl DoubleEndedIterator<Item = TimeWindow> {
        let step = i128::from(self.steps.step());
        let last_tick = i128::from(slice_end.0) - 1;
        let start = self.periods.at_or_before(last_tick);
        let first = (last_tick - start) / step + 1;
        // The first window that reaches the end of time is the last one.
        let to_the_end = (i128::from(i64::MAX) - start + step - 1) / step;
        let last = i128::from(self.slices_max()).min(to_the_end).max(first);
        // Fits: at most `size / step`.
        (first as u64..last as u64 + 1).map(move |steps| TimeWindow {
            start: clamped(start),
            end: clamped(start + i128::from(steps) * step),
        })
    }

    fn next_window(&self, watermark: Timestamp) -> Option<TimeWindow> {
        let end = self.steps.at_or_before(i128::from(watermark.0) + 1) + i128::from(self.steps.step());
        let window = self.window_ending(end);
        (!window.fires_at(watermark)).then_some(window)
    }

    fn last_end(&self, watermark: Timestamp) -> Timestamp {
        clamped(self.steps.at_or_before(i128::from(watermark.0) + 1))
    }

    fn step(&self) -> i64 {
        self.steps.step()
    }

    fn phase(&self) -> i64 {
        self.steps.phase()
    }

    fn longest(&self) -> i64 {
        self.size_max()
    }

    fn slices_max(&self) -> u64 {
        (self.periods.step() / self.steps.step()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn windows(size_max: i64, step: i64, offset: i64) -> CumulativeWindows {
        let windows = Cumulative::of(Ticks(size_max)).every(Ticks(step)).offset(Ticks(offset));
        windows.build(Tick::Millisecond).unwrap()
    }

    fn of(windows: &CumulativeWindows, at: i64) -> Vec<String> {
        let slice = windows.slice_of(Timestamp(at));
        windows.windows_of(slice.end).map(|window| window.to_string()).collect()
    }

    #[test]
    fn a_record_belongs_to_every_later_window_of_its_period() {
        let windows = windows(12, 4, 1);
        assert_eq!(of(&windows, 1), ["[1,5)", "[1,9)", "[1,13)"]);
        assert_eq!(of(&windows, 8), ["[1,9)", "[1,13)"]);
        assert_eq!(of(&windows, 12), ["[1,13)"]);
        assert_eq!(of(&windows, 13), ["[13,17)", "[13,21)", "[13,25)"]);
        assert_eq!(of(&windows, 0), ["[-11,1)"]);
        assert_eq!(windows.next_window(Timestamp(12)).unwrap().to_string(), "[13,17)");
        assert_eq!(windows.next_window(Timestamp(11)).unwrap().to_string(), "[1,13)");
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let error = |size, step, offset| {
            let windows = Cumulative::of(Ticks(size)).every(Ticks(step)).offset(Ticks(offset));
            windows.build(Tick::Millisecond).unwrap_err().to_string()
        };
        assert_eq!(
            error(10, 4, 0),
            "window step: 4 ticks does not divide the largest size of 10 ticks; choose a size that is a whole number of steps"
        );
        assert!(error(10, 0, 0).starts_with("window step: 0 ticks is not positive"));
        assert!(error(10, 5, -10).starts_with("window offset: -10 ticks"));
    }

    fn any_windows() -> impl Strategy<Value = (i64, i64, i64)> {
        let step = prop_oneof![3 => 1i64..50, 1 => 1i64..=i64::MAX];
        (step, 1i64..20).prop_flat_map(|(step, count)| {
            let size = step.checked_mul(count).unwrap_or(step);
            (Just(size), Just(step), -(size - 1)..=(size - 1))
        })
    }

    fn any_time() -> impl Strategy<Value = i64> {
        prop_oneof![-200i64..200, any::<i64>(), (i64::MAX - 100)..i64::MAX, i64::MIN..(i64::MIN + 100)]
    }

    proptest! {
        #[test]
        fn the_windows_of_a_slice_are_those_that_hold_its_records((size, step, offset) in any_windows(), at in any_time()) {
            let windows = windows(size, step, offset);
            let slice = windows.slice_of(Timestamp(at));
            prop_assert!(slice.contains(Timestamp(at)));
            let of_slice: Vec<TimeWindow> = windows.windows_of(slice.end).collect();
            prop_assert_eq!(of_slice[0].end, slice.end);
            let start = i128::from(at) - (i128::from(at) - i128::from(offset)).rem_euclid(size.into());
            for (number, window) in of_slice.iter().enumerate() {
                prop_assert_eq!(window.start, clamped(start));
                prop_assert!(window.contains(Timestamp(at)));
                prop_assert!(number == 0 || of_slice[number - 1].end < window.end);
            }
            let last = of_slice.last().unwrap().end;
            prop_assert!(last == clamped(start + i128::from(size)));
        }

        #[test]
        fn wn_10_no_window_is_skipped((size, step, offset) in any_windows(), watermark in any_time()) {
            let windows = windows(size, step, offset);
            let last = windows.last_end(Timestamp(watermark));
            match windows.next_window(Timestamp(watermark)) {
                Some(next) => {
                    prop_assert!(!next.fires_at(Timestamp(watermark)));
                    let between = i128::from(next.end.0) - i128::from(last.0);
                    prop_assert!(between == i128::from(step) || next.end == Timestamp::MAX || last == Timestamp::MIN);
                    let ends: Vec<Timestamp> = windows.slices_in(next).collect();
                    prop_assert_eq!(*ends.last().unwrap(), next.end);
                    for end in ends {
                        prop_assert!(windows.windows_of(end).any(|of_slice| of_slice == next));
                    }
                }
                None => prop_assert!(watermark >= i64::MAX - 1),
            }
        }
    }
}
