//! Sessions: windows that last as long as records of a key follow each other within a gap.

use std::fmt;

use super::assigner::WindowAssigner;
use super::error::{WindowError, positive};
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::record::{Record, View};
use crate::time::{Span, Tick};

/// Sessions with a fixed gap as a program states them.
///
/// Each record opens a window of the length of the gap; windows of a key that overlap or touch become one. So two records whose
/// distance is exactly the gap are of one session.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    gap: Span,
}

impl Session {
    /// A session ends when no record of its key has come for this long (a [`Duration`](std::time::Duration), or
    /// [`Ticks`](crate::time::Ticks)).
    pub fn gap(gap: impl Into<Span>) -> Self {
        Session { gap: gap.into() }
    }

    /// Each record says how long its session waits for the next one: `Session::dynamic(|login| Ticks(login.timeout))`.
    pub fn dynamic<F>(gap_of: F) -> DynamicSession<F> {
        DynamicSession { gap_of }
    }

    /// Checks the gap and puts it into ticks of the job.
    pub fn build(&self, tick: Tick) -> Result<SessionWindows, WindowError> {
        Ok(SessionWindows { gap: positive("session gap", self.gap, tick)? })
    }
}

/// [`Session`] windows in ticks of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    /// At least 1.
    gap: i64,
}

impl SessionWindows {
    /// The gap in ticks.
    pub fn gap(&self) -> i64 {
        self.gap
    }

    /// The window that a record opens, before it is merged with others.
    #[inline]
    pub fn window_of(&self, at: Timestamp) -> TimeWindow {
        opened(at, self.gap)
    }
}

impl fmt::Display for SessionWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session with a gap of {}", self.gap)
    }
}

impl<T: Record> WindowAssigner<T> for SessionWindows {
    fn assign(&self, at: Timestamp, _: &View<T>, windows: &mut Vec<TimeWindow>) -> Result<(), WindowError> {
        windows.push(self.window_of(at));
        Ok(())
    }

    fn is_merging(&self) -> bool {
        true
    }
}

/// Sessions whose gap each record gives, as a program states them. See [`Session::dynamic`].
#[derive(Clone, Copy, Debug)]
pub struct DynamicSession<F> {
    gap_of: F,
}

impl<F> DynamicSession<F> {
    /// Puts the windows into ticks of the job.
    pub fn build(self, tick: Tick) -> DynamicSessionWindows<F> {
        DynamicSessionWindows { gap_of: self.gap_of, tick }
    }
}

/// [`DynamicSession`] windows in ticks of the job.
#[derive(Clone, Copy, Debug)]
pub struct DynamicSessionWindows<F> {
    gap_of: F,
    tick: Tick,
}

impl<T: Record, G: Into<Span>, F: Fn(&View<T>) -> G + 'static> WindowAssigner<T>
    for DynamicSessionWindows<F>
{
    fn assign(
        &self,
        at: Timestamp,
        record: &View<T>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError> {
        let gap = positive("session gap of a record", (self.gap_of)(record).into(), self.tick)?;
        windows.push(opened(at, gap));
        Ok(())
    }

    fn is_merging(&self) -> bool {
        true
    }
}

fn opened(at: Timestamp, gap: i64) -> TimeWindow {
    TimeWindow { start: at, end: Timestamp(at.0.saturating_add(gap)) }
}

/// A window that others were merged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedWindow {
    /// The window that covers them.
    pub window: TimeWindow,
    /// The windows it covers, by ascending start: one where nothing was merged.
    pub of: Vec<TimeWindow>,
}

/// Merges the windows of one key until none [touches](TimeWindow::touches) another. The result is in ascending order and does not
/// depend on that of the windows (Flink's `TimeWindow.mergeWindows`).
pub fn merge_windows(windows: &[TimeWindow]) -> Vec<MergedWindow> {
    let mut sorted = windows.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<MergedWindow> = Vec::new();
    for window in sorted {
        match merged.last_mut() {
            Some(last) if last.window.touches(&window) => {
                last.window = last.window.cover(&window);
                last.of.push(window);
            }
            _ => merged.push(MergedWindow { window, of: vec![window] }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Ticks;
    use proptest::prelude::*;

    /// The sessions that records at these times make, in whatever order they come.
    fn sessions(gap: i64, times: &[i64]) -> Vec<String> {
        let session = Session::gap(Ticks(gap)).build(Tick::Millisecond).unwrap();
        let windows: Vec<TimeWindow> = times.iter().map(|at| session.window_of(Timestamp(*at))).collect();
        merge_windows(&windows).iter().map(|merged| merged.window.to_string()).collect()
    }

    #[test]
    fn wn_04_records_within_the_gap_make_a_session() {
        assert_eq!(sessions(10, &[0, 10, 21]), ["[0,20)", "[21,31)"]);
        assert_eq!(sessions(10, &[0, 15]), ["[0,10)", "[15,25)"]);
        assert_eq!(sessions(10, &[0, 15, 8]), ["[0,25)"]);
    }

    #[test]
    fn wn_04_each_record_may_give_its_own_gap() {
        let dynamic = Session::dynamic(|gap: &i64| Ticks(*gap)).build(Tick::Millisecond);
        let mut windows = Vec::new();
        for (at, gap) in [(0, 5i64), (5, 100), (200, 1)] {
            WindowAssigner::<i64>::assign(&dynamic, Timestamp(at), &gap, &mut windows).unwrap();
        }
        let merged = merge_windows(&windows);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].window.to_string().as_str(), merged[0].of.len()), ("[0,105)", 2));
        let error = WindowAssigner::<i64>::assign(&dynamic, Timestamp(0), &0, &mut windows).unwrap_err();
        assert_eq!(
            error.to_string(),
            "session gap of a record: 0 ticks is not positive; give it at least one tick"
        );
    }

    #[test]
    fn at_the_end_of_time_a_session_is_cut_off() {
        let session = Session::gap(Ticks(10)).build(Tick::Millisecond).unwrap();
        assert_eq!(session.window_of(Timestamp(i64::MAX - 3)).end, Timestamp::MAX);
        assert!(session.window_of(Timestamp::MAX).contains(Timestamp::MAX));
        assert_eq!(session.window_of(Timestamp::MIN).end, Timestamp(i64::MIN + 10));
        assert!(Session::gap(Ticks(0)).build(Tick::Millisecond).is_err());
    }

    proptest! {
        #[test]
        fn wn_04_merged_windows_do_not_touch_and_cover_the_same(
            times in proptest::collection::vec(-100i64..100, 0..20),
            gap in 1i64..20,
        ) {
            let windows: Vec<TimeWindow> = times.iter().map(|at| opened(Timestamp(*at), gap)).collect();
            let merged = merge_windows(&windows);
            for pair in merged.windows(2) {
                prop_assert!(pair[0].window.end < pair[1].window.start);
            }
            prop_assert_eq!(merged.iter().map(|merged| merged.of.len()).sum::<usize>(), windows.len());
            // Sorted, a session ends where the next record is more than the gap away.
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let breaks = sorted.windows(2).filter(|pair| pair[1] - pair[0] > gap).count();
            prop_assert_eq!(merged.len(), if times.is_empty() { 0 } else { breaks + 1 });
        }
    }
}
