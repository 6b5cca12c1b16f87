//! Tumbling windows: one after the other, all of the same size, without gap or overlap.

use std::fmt;

use super::error::{WindowError, offset_below, positive};
use super::grid::{Grid, clamped, show_offset};
use super::slices::{Aligned, Slices};
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::time::{Span, Tick, Ticks};

/// Tumbling windows as a program states them.
///
/// ```
/// use millstream_engine::time::{Span, Tick};
/// use millstream_engine::window::Tumbling;
/// use std::time::Duration;
///
/// // Days in a time zone of UTC+8.
/// let hours = |n: u64| Span::from(Duration::from_secs(3600 * n));
/// let days = Tumbling::of(hours(24)).offset(-hours(8)).build(Tick::Millisecond).unwrap();
/// assert_eq!(days.window_of(1_608_998_399_999.into()).start.0, 1_608_912_000_000);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tumbling {
    size: Span,
    offset: Span,
}

impl Tumbling {
    /// Windows of this size (a [`Duration`](std::time::Duration), or [`Ticks`]), aligned to the epoch.
    pub fn of(size: impl Into<Span>) -> Self {
        Tumbling { size: size.into(), offset: Ticks(0).into() }
    }

    /// Moves all windows by this much; may be negative, and is smaller than the size.
    pub fn offset(mut self, offset: impl Into<Span>) -> Self {
        self.offset = offset.into();
        self
    }

    /// Checks the windows and puts them into ticks of the job.
    pub fn build(&self, tick: Tick) -> Result<TumblingWindows, WindowError> {
        let size = positive("window size", self.size, tick)?;
        let offset = offset_below(self.offset, "size", self.size, tick)?;
        Ok(TumblingWindows { starts: Grid::through(offset, size) })
    }
}

impl Aligned for Tumbling {
    type Windows = TumblingWindows;

    fn build(&self, tick: Tick) -> Result<TumblingWindows, WindowError> {
        Tumbling::build(self, tick)
    }

    fn of_one_tick() -> TumblingWindows {
        TumblingWindows { starts: Grid::through(0, 1) }
    }
}

/// [`Tumbling`] windows in ticks of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TumblingWindows {
    starts: Grid,
}

impl TumblingWindows {
    /// The size in ticks.
    pub fn size(&self) -> i64 {
        self.starts.step()
    }

    /// The window a timestamp falls into: it starts at `at - ((at - offset) mod size)`, with a remainder that is never negative. No window begins at
    /// the end of time: the one that ends there takes the records of that tick, too.
    #[inline]
    pub fn window_of(&self, at: Timestamp) -> TimeWindow {
        let at = at.min(Timestamp(i64::MAX - 1));
        let into = self.starts.past(at);
        TimeWindow {
            start: Timestamp(at.0.saturating_sub(into)),
            end: Timestamp(at.0.saturating_add(self.size() - into)),
        }
    }
}

impl fmt::Display for TumblingWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tumbling {}", self.size())?;
        show_offset(f, self.starts)
    }
}

impl Slices for TumblingWindows {
    #[inline]
    fn slice_of(&self, at: Timestamp) -> TimeWindow {
        self.window_of(at)
    }

    fn windows_of(&self, slice_end: Timestamp) -> impl DoubleEndedIterator<Item = TimeWindow> {
        // The tick before its end lies in the slice, also where the slice is cut off at the end of time.
        std::iter::once(self.window_of(Timestamp(slice_end.0.saturating_sub(1))))
    }

    fn next_window(&self, watermark: Timestamp) -> Option<TimeWindow> {
        // The window of the first tick after the watermark is the first that ends after that tick.
        let next = watermark.0.checked_add(1)?;
        let window = self.window_of(Timestamp(next));
        (!window.fires_at(watermark)).then_some(window)
    }

    fn last_end(&self, watermark: Timestamp) -> Timestamp {
        clamped(self.starts.at_or_before(i128::from(watermark.0) + 1))
    }

    fn step(&self) -> i64 {
        self.starts.step()
    }

    fn phase(&self) -> i64 {
        self.starts.phase()
    }

    fn longest(&self) -> i64 {
        self.size()
    }

    fn slices_max(&self) -> u64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SpanError;
    use proptest::prelude::*;
    use std::time::Duration;

    fn windows(size: i64, offset: i64) -> TumblingWindows {
        Tumbling::of(Ticks(size)).offset(Ticks(offset)).build(Tick::Millisecond).unwrap()
    }

    fn start(windows: &TumblingWindows, at: i64) -> i64 {
        windows.window_of(Timestamp(at)).start.0
    }

    #[test]
    fn wn_01_windows_start_at_multiples_of_their_size() {
        let ten = windows(10_000, 0);
        assert_eq!((start(&ten, 13_000), start(&ten, 27_000)), (10_000, 20_000));
        let five = windows(5_000, 0);
        assert_eq!(five.window_of(Timestamp(-1)).to_string(), "[-5000,0)");
        assert_eq!(five.window_of(Timestamp(-5000)).to_string(), "[-5000,0)");
        assert_eq!(five.window_of(Timestamp(-5001)).to_string(), "[-10000,-5000)");
        assert_eq!(five.window_of(Timestamp(0)).to_string(), "[0,5000)");
    }

    #[test]
    fn wn_02_an_offset_moves_them() {
        let hours = |n: u64| Span::from(Duration::from_secs(3600 * n));
        let beijing = Tumbling::of(hours(24)).offset(-hours(8)).build(Tick::Millisecond).unwrap();
        assert_eq!(start(&beijing, 1_608_998_399_999), 1_608_912_000_000);
        assert_eq!(start(&beijing, 1_608_998_400_000), 1_608_998_400_000);
        let quarter_past = windows(60, 15);
        assert_eq!(quarter_past.window_of(Timestamp(74)).to_string(), "[15,75)");
        assert_eq!(quarter_past.window_of(Timestamp(75)).to_string(), "[75,135)");
    }

    #[test]
    fn wn_10_the_next_window_is_the_first_that_has_not_fired() {
        let windows = windows(5000, 0);
        let next = |watermark: i64| windows.next_window(Timestamp(watermark)).map(|window| window.end.0);
        assert_eq!(next(4998), Some(5000));
        assert_eq!(next(4999), Some(10_000));
        assert_eq!(next(-1), Some(5000));
        assert_eq!(next(i64::MAX), None);
        assert_eq!(next(i64::MAX - 1), None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let error = |size, offset| {
            Tumbling::of(Ticks(size)).offset(Ticks(offset)).build(Tick::Millisecond).unwrap_err().to_string()
        };
        assert_eq!(error(0, 0), "window size: 0 ticks is not positive; give it at least one tick");
        assert!(error(-5, 0).starts_with("window size: -5 ticks is not positive"));
        assert!(
            error(5, 5).starts_with("window offset: 5 ticks is not smaller than the window size of 5 ticks")
        );
        assert!(error(5, -5).starts_with("window offset: -5 ticks"));
        assert!(error(5, i64::MIN).starts_with("window offset"));
        let fine = Tumbling::of(Duration::from_micros(10)).build(Tick::Millisecond);
        assert!(matches!(fine, Err(WindowError::Length { error: SpanError::NotWhole { .. }, .. })));
    }

    #[test]
    fn at_the_ends_of_time_windows_are_cut_off() {
        let windows = windows(1000, 0);
        let first = windows.window_of(Timestamp::MIN);
        assert_eq!(first.start, Timestamp::MIN);
        assert_eq!(first.end.0.rem_euclid(1000), 0);
        let last = windows.window_of(Timestamp::MAX);
        assert_eq!(last.end, Timestamp::MAX);
        assert_eq!(last.start.0.rem_euclid(1000), 0);
        assert!(last.contains(Timestamp::MAX));
        assert_eq!(windows.windows_of(last.end).collect::<Vec<_>>(), [last]);
        assert_eq!(windows.windows_of(first.end).collect::<Vec<_>>(), [first]);
        let huge = self::windows(i64::MAX, i64::MAX - 1);
        assert!(huge.window_of(Timestamp::MIN).contains(Timestamp::MIN));
        assert!(huge.window_of(Timestamp::MAX).contains(Timestamp::MAX));
    }

    fn any_windows() -> impl Strategy<Value = (i64, i64)> {
        let size = prop_oneof![3 => 1i64..50, 1 => 1i64..=i64::MAX];
        size.prop_flat_map(|size| (Just(size), -(size - 1)..=(size - 1)))
    }

    fn any_time() -> impl Strategy<Value = i64> {
        prop_oneof![-200i64..200, any::<i64>(), (i64::MAX - 100)..=i64::MAX, i64::MIN..(i64::MIN + 100)]
    }

    proptest! {
        #[test]
        fn wn_01_agrees_with_the_formula_in_wide_numbers((size, offset) in any_windows(), at in any_time()) {
            let (wide_at, wide_size) = (i128::from(at.min(i64::MAX - 1)), i128::from(size));
            let remainder = (wide_at - i128::from(offset)) % wide_size;
            let start = if remainder < 0 { wide_at - (remainder + wide_size) } else { wide_at - remainder };
            let clamp = |t: i128| Timestamp(t.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
            let window = windows(size, offset).window_of(Timestamp(at));
            prop_assert_eq!(window, TimeWindow { start: clamp(start), end: clamp(start + wide_size) });
            prop_assert!(window.contains(Timestamp(at)));
        }

        #[test]
        fn the_windows_of_a_slice_hold_its_records((size, offset) in any_windows(), at in any_time()) {
            let windows = windows(size, offset);
            let slice = windows.slice_of(Timestamp(at));
            let of_slice: Vec<_> = windows.windows_of(slice.end).collect();
            prop_assert_eq!(&of_slice, &[windows.window_of(Timestamp(at))]);
            prop_assert_eq!(windows.slices_in(of_slice[0]).collect::<Vec<_>>(), [slice.end]);
        }

        #[test]
        fn wn_10_no_window_is_skipped((size, offset) in any_windows(), watermark in any_time()) {
            let windows = windows(size, offset);
            match windows.next_window(Timestamp(watermark)) {
                Some(next) => {
                    prop_assert!(!next.fires_at(Timestamp(watermark)));
                    // The one before has fired, unless there is none.
                    if next.start > Timestamp(i64::MIN + 1) {
                        let before = windows.window_of(Timestamp(next.start.0 - 1));
                        prop_assert!(before.fires_at(Timestamp(watermark)));
                    }
                }
                None => prop_assert!(watermark >= i64::MAX - 1),
            }
        }
    }
}
