//! Sliding windows: all of the same size, one beginning every so often, so that they overlap (or leave gaps).

use std::fmt;

use super::error::{WindowError, offset_below, positive};
use super::grid::{Grid, clamped, show_offset};
use super::slices::{Aligned, Slices};
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::time::{Span, Tick, Ticks};

/// Sliding windows as a program states them.
///
/// ```
/// use millstream_engine::time::Tick;
/// use millstream_engine::window::{Sliding, Slices};
/// use std::time::Duration;
///
/// // A minute, every ten seconds.
/// let minutes = Sliding::of(Duration::from_secs(60)).every(Duration::from_secs(10)).build(Tick::Millisecond).unwrap();
/// let slice = minutes.slice_of(65_000.into());
/// let starts: Vec<i64> = minutes.windows_of(slice.end).map(|window| window.start.0).collect();
/// assert_eq!(starts, [10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    size: Span,
    slide: Span,
    offset: Span,
}

impl Sliding {
    /// Windows of this size (a [`Duration`](std::time::Duration), or [`Ticks`]), aligned to the epoch. Say with [`Sliding::every`] how
    /// often one begins; without that they follow each other as tumbling windows do.
    pub fn of(size: impl Into<Span>) -> Self {
        let size = size.into();
        Sliding { size, slide: size, offset: Ticks(0).into() }
    }

    /// How often a window begins. More than the size leaves gaps, whose records belong to no window.
    pub fn every(mut self, slide: impl Into<Span>) -> Self {
        self.slide = slide.into();
        self
    }

    /// Moves all windows by this much; may be negative, and is smaller than the slide.
    pub fn offset(mut self, offset: impl Into<Span>) -> Self {
        self.offset = offset.into();
        self
    }

    /// Checks the windows and puts them into ticks of the job.
    pub fn build(&self, tick: Tick) -> Result<SlidingWindows, WindowError> {
        let size = positive("window size", self.size, tick)?;
        let slide = positive("window slide", self.slide, tick)?;
        let offset = offset_below(self.offset, "slide", self.slide, tick)?;
        Ok(SlidingWindows::new(size, Grid::through(offset, slide)))
    }
}

impl Aligned for Sliding {
    type Windows = SlidingWindows;

    fn build(&self, tick: Tick) -> Result<SlidingWindows, WindowError> {
        Sliding::build(self, tick)
    }

    fn of_one_tick() -> SlidingWindows {
        SlidingWindows::new(1, Grid::through(0, 1))
    }

    fn remark(windows: &SlidingWindows) -> Option<String> {
        let (size, slide) = (windows.size, windows.slide());
        if size < slide {
            return Some(format!(
                "windows of {size} ticks begin every {slide} ticks: records between two windows belong to none"
            ));
        }
        (windows.rest != 0).then(|| {
            format!(
                "the slide of {slide} ticks does not divide the size of {size}: there are two slices to each slide instead of one"
            )
        })
    }
}

/// [`Sliding`] windows in ticks of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    /// At least 1.
    size: i64,
    starts: Grid,
    /// Where windows end between two starts: `size mod slide`.
    rest: i64,
}

impl SlidingWindows {
    fn new(size: i64, starts: Grid) -> Self {
        SlidingWindows { size, starts, rest: size % starts.step() }
    }

    /// The size in ticks.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// How many ticks lie between the starts of two windows.
    pub fn slide(&self) -> i64 {
        self.starts.step()
    }

    fn ends(&self) -> Grid {
        // Only the remainder counts, so that the sum of two remainders does for the sum.
        Grid::through(self.starts.phase() + (self.rest - self.slide()), self.slide())
    }

    fn window(&self, start: i128) -> TimeWindow {
        TimeWindow { start: clamped(start), end: clamped(start + i128::from(self.size)) }
    }
}

impl fmt::Display for SlidingWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sliding {} every {}", self.size, self.slide())?;
        show_offset(f, self.starts)
    }
}

impl Slices for SlidingWindows {
    #[inline]
    fn slice_of(&self, at: Timestamp) -> TimeWindow {
        // The very last tick goes with the one before it: no slice begins at the end of time.
        let at = at.0.min(i64::MAX - 1);
        let past = self.starts.past(Timestamp(at));
        let (from, to) = if past < self.rest { (0, self.rest) } else { (self.rest, self.slide()) };
        TimeWindow {
            start: Timestamp(at.saturating_sub(past - from)),
            end: Timestamp(at.saturating_add(to - past)),
        }
    }

    fn is_assigned(&self, slice: TimeWindow) -> bool {
        self.size >= self.slide() || self.starts.past(Timestamp(slice.end.0 - 1)) < self.size
    }

    fn windows_of(&self, slice_end: Timestamp) -> impl DoubleEndedIterator<Item = TimeWindow> {
        let (size, slide) = (i128::from(self.size), i128::from(self.slide()));
        let last_tick = i128::from(slice_end.0) - 1;
        let last_start = self.starts.at_or_before(last_tick);
        // The window that began `back` slides before the last one holds the tick while `back * slide < size - (tick - last start)`.
        let room = size - 1 - (last_tick - last_start);
        let count = if room < 0 { 0 } else { room / slide + 1 };
        // Of the windows that reach over the end of time, the first is the one that began the longest ago.
        let over = last_start + size - i128::from(i64::MAX);
        let fewest = if over < 0 { 0 } else { (over / slide).min(count - 1).max(0) };
        let this = *self;
        // At most `size / slide + 1`, which fits.
        (fewest as u64..count as u64)
            .rev()
            .map(move |back| this.window(last_start - i128::from(back) * slide))
    }

    fn next_window(&self, watermark: Timestamp) -> Option<TimeWindow> {
        let end = self.ends().at_or_before(i128::from(watermark.0) + 1) + i128::from(self.slide());
        let window = self.window(end - i128::from(self.size));
        // Where there are gaps, the next window may begin after all time.
        (window.start < window.end && !window.fires_at(watermark)).then_some(window)
    }

    fn last_end(&self, watermark: Timestamp) -> Timestamp {
        clamped(self.ends().at_or_before(i128::from(watermark.0) + 1))
    }

    fn step(&self) -> i64 {
        self.slide()
    }

    fn phase(&self) -> i64 {
        self.starts.phase()
    }

    fn longest(&self) -> i64 {
        self.size
    }

    fn slices_max(&self) -> u64 {
        let whole = (self.size / self.slide()) as u64;
        // A window that is no whole number of slides begins and ends with the shorter slice of a slide.
        if self.rest == 0 { whole } else { 2 * whole + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn windows(size: i64, slide: i64, offset: i64) -> SlidingWindows {
        Sliding::of(Ticks(size)).every(Ticks(slide)).offset(Ticks(offset)).build(Tick::Millisecond).unwrap()
    }

    fn of(windows: &SlidingWindows, at: i64) -> Vec<String> {
        let slice = windows.slice_of(Timestamp(at));
        windows.windows_of(slice.end).map(|window| window.to_string()).collect()
    }

    #[test]
    fn wn_03_a_record_belongs_to_every_window_that_covers_it() {
        let ten_by_five = windows(10_000, 5_000, 0);
        assert_eq!(of(&ten_by_five, 12_000), ["[5000,15000)", "[10000,20000)"]);
        assert_eq!(of(&ten_by_five, 10_000), ["[5000,15000)", "[10000,20000)"]);
        assert_eq!(of(&ten_by_five, -1), ["[-10000,0)", "[-5000,5000)"]);
        let day_by_quarter = windows(24 * 60, 15, 0);
        assert_eq!(of(&day_by_quarter, 3).len(), 96);
    }

    #[test]
    fn wn_03_records_between_two_windows_belong_to_none() {
        let gaps = windows(5_000, 10_000, 0);
        assert_eq!(of(&gaps, 7_000), [""; 0]);
        let (slice, before) = (gaps.slice_of(Timestamp(7_000)), gaps.slice_of(Timestamp(4_999)));
        assert_eq!((slice.to_string(), before.to_string()), ("[5000,10000)".into(), "[0,5000)".into()));
        assert!(!gaps.is_assigned(slice) && gaps.is_assigned(before));
        assert_eq!(of(&gaps, 4_999), ["[0,5000)"]);
    }

    #[test]
    fn wn_02_an_offset_moves_them() {
        let moved = windows(10, 5, -2);
        assert_eq!(of(&moved, 0), ["[-7,3)", "[-2,8)"]);
    }

    #[test]
    fn a_slice_ends_wherever_a_window_begins_or_ends() {
        let uneven = windows(10, 4, 0);
        let slices: Vec<String> = [0, 1, 2, 3, 4].map(|at| uneven.slice_of(Timestamp(at)).to_string()).into();
        assert_eq!(slices, ["[0,2)", "[0,2)", "[2,4)", "[2,4)", "[4,6)"]);
        let window = TimeWindow { start: Timestamp(4), end: Timestamp(14) };
        let ends: Vec<i64> = uneven.slices_in(window).map(|end| end.0).collect();
        assert_eq!(ends, [6, 8, 10, 12, 14]);
        assert_eq!(uneven.slices_max(), 5);
        assert!(Sliding::remark(&uneven).unwrap().contains("does not divide"));
        assert_eq!(Sliding::remark(&windows(10, 5, 0)), None);
    }

    #[test]
    fn of_the_windows_that_reach_over_the_end_of_time_the_first_counts() {
        let windows = windows(100, 10, 0);
        let last: Vec<TimeWindow> = windows.windows_of(windows.slice_of(Timestamp::MAX).end).collect();
        assert!(last.iter().rev().skip(1).all(|window| window.end < Timestamp::MAX));
        assert_eq!(last.last().unwrap().end, Timestamp::MAX);
        assert_eq!(last.last().copied(), windows.next_window(Timestamp(i64::MAX - 2)));
        assert_eq!(windows.next_window(Timestamp(i64::MAX - 1)), None);
        assert_eq!(windows.next_window(Timestamp::MAX), None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        let error = |size, slide, offset| {
            let windows = Sliding::of(Ticks(size)).every(Ticks(slide)).offset(Ticks(offset));
            windows.build(Tick::Millisecond).unwrap_err().to_string()
        };
        assert_eq!(error(0, 5, 0), "window size: 0 ticks is not positive; give it at least one tick");
        assert_eq!(error(5, 0, 0), "window slide: 0 ticks is not positive; give it at least one tick");
        assert!(error(10, 5, 5).starts_with("window offset: 5 ticks is not smaller than the window slide"));
    }

    fn any_windows() -> impl Strategy<Value = (i64, i64, i64)> {
        let length = || prop_oneof![3 => 1i64..50, 1 => 1i64..=i64::MAX];
        (length(), length()).prop_flat_map(|(size, slide)| {
            // As many windows as can be listed.
            let slide = slide.max(size / 60);
            (Just(size), Just(slide), -(slide - 1)..=(slide - 1))
        })
    }

    fn any_time() -> impl Strategy<Value = i64> {
        prop_oneof![-200i64..200, any::<i64>(), (i64::MAX - 100)..i64::MAX, i64::MIN..(i64::MIN + 100)]
    }

    proptest! {
        #[test]
        fn wn_03_agrees_with_the_formula_in_wide_numbers((size, slide, offset) in any_windows(), at in any_time()) {
            // for start = lastStart(at, slide); start > at - size; start -= slide
            let (wide_at, wide_size, wide_slide) = (i128::from(at), i128::from(size), i128::from(slide));
            let mut start = wide_at - (wide_at - i128::from(offset)).rem_euclid(wide_slide);
            let mut expected = Vec::new();
            while start > wide_at - wide_size {
                expected.push((start, start + wide_size));
                start -= wide_slide;
            }
            expected.reverse();
            let end_of_time = i128::from(i64::MAX);
            let over = expected.iter().filter(|window| window.1 >= end_of_time).count();
            expected.truncate(expected.len() - over.saturating_sub(1));
            let expected: Vec<TimeWindow> = expected
                .into_iter()
                .map(|(start, end)| TimeWindow { start: clamped(start), end: clamped(end) })
                .collect();
            let windows = windows(size, slide, offset);
            let slice = windows.slice_of(Timestamp(at));
            prop_assert!(slice.contains(Timestamp(at)));
            prop_assert_eq!(windows.windows_of(slice.end).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(windows.is_assigned(slice), !expected.is_empty());
            for window in expected {
                prop_assert!(window.start <= slice.start && slice.end <= window.end);
            }
        }

        #[test]
        fn a_window_is_a_run_of_its_slices((size, slide, offset) in any_windows(), at in any_time()) {
            let windows = windows(size, slide, offset);
            if let Some(window) = windows.next_window(Timestamp(at)) {
                let ends: Vec<Timestamp> = windows.slices_in(window).collect();
                prop_assert_eq!(*ends.last().unwrap(), window.end);
                prop_assert!(ends.len() as u64 <= windows.slices_max());
                for end in ends {
                    prop_assert!(windows.windows_of(end).any(|of_slice| of_slice == window));
                }
            }
        }

        #[test]
        fn wn_10_no_window_is_skipped((size, slide, offset) in any_windows(), watermark in any_time()) {
            let windows = windows(size, slide, offset);
            let last = windows.last_end(Timestamp(watermark));
            prop_assert!(last == Timestamp::MIN || last.0 - 1 <= watermark);
            match windows.next_window(Timestamp(watermark)) {
                Some(next) => {
                    prop_assert!(!next.fires_at(Timestamp(watermark)));
                    let between = i128::from(next.end.0) - i128::from(last.0);
                    prop_assert!(between <= i128::from(slide));
                    prop_assert!(between == i128::from(slide) || next.end == Timestamp::MAX || last == Timestamp::MIN);
                }
                None => prop_assert!(watermark >= i64::MAX - 1 || watermark > i64::MAX - 1 - slide && slide > size),
            }
        }
    }
}
