//! Which windows a record belongs to, by any rule.

use super::error::WindowError;
use super::slices::Slices;
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::record::{Record, View};

/// Which clock decides about a record's windows, and closes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeDomain {
    /// The records' own timestamps, and the watermark.
    Event,
    /// The clock of the machine when the record arrives, and goes on.
    Processing,
}

/// Gives each record its windows (Flink's `WindowAssigner`). Every [aligned](Slices) window kind is one, and so are
/// [sessions](super::Session) and the [global window](super::Global).
pub trait WindowAssigner<T: Record>: 'static {
    /// Appends the windows of a record to `windows`, by ascending end; none where it falls between windows. `at` is the record's
    /// timestamp, or the clock's, as [`WindowAssigner::domain`] says.
    ///
    /// # Errors
    /// Where a window depends on the record and cannot be, such as a gap that is not positive.
    fn assign(
        &self,
        at: Timestamp,
        record: &View<T>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError>;

    /// Whether windows of a key that [touch](TimeWindow::touches) become one.
    fn is_merging(&self) -> bool {
        false
    }

    /// Whether windows end when time reaches their end. Those of the [global window](super::Global) end never.
    fn has_end(&self) -> bool {
        true
    }

    /// Which clock it goes by.
    fn domain(&self) -> TimeDomain {
        TimeDomain::Event
    }
}

impl<T: Record, W: Slices> WindowAssigner<T> for W {
    fn assign(&self, at: Timestamp, _: &View<T>, windows: &mut Vec<TimeWindow>) -> Result<(), WindowError> {
        windows.extend(self.windows_of(self.slice_of(at).end));
        Ok(())
    }
}

/// Windows by an assigner of the program's own: `.window(AssignedBy(ByShift))`.
#[derive(Clone, Copy, Debug)]
pub struct AssignedBy<A>(pub A);

/// Windows by the clock of the machine instead of the records' timestamps.
#[derive(Clone, Copy, Debug)]
pub struct OnClock<A>(pub A);

impl<T: Record, A: WindowAssigner<T>> WindowAssigner<T> for OnClock<A> {
    fn assign(
        &self,
        at: Timestamp,
        record: &View<T>,
        windows: &mut Vec<TimeWindow>,
    ) -> Result<(), WindowError> {
        self.0.assign(at, record, windows)
    }

    fn is_merging(&self) -> bool {
        self.0.is_merging()
    }

    fn has_end(&self) -> bool {
        self.0.has_end()
    }

    fn domain(&self) -> TimeDomain {
        TimeDomain::Processing
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sliding, Tumbling};
    use super::*;
    use crate::time::{Tick, Ticks};

    fn windows(assigner: &impl WindowAssigner<u64>, at: i64) -> Vec<String> {
        let mut windows = Vec::new();
        assigner.assign(Timestamp(at), &7, &mut windows).unwrap();
        windows.iter().map(TimeWindow::to_string).collect()
    }

    #[test]
    fn wn_03_aligned_windows_are_assigners() {
        let sliding = Sliding::of(Ticks(10)).every(Ticks(5)).build(Tick::Millisecond).unwrap();
        assert_eq!(windows(&sliding, 12), ["[5,15)", "[10,20)"]);
        assert!(!WindowAssigner::<u64>::is_merging(&sliding));
    }

    #[test]
    fn wn_22_windows_by_the_clock_are_cut_the_same_way() {
        let five = Tumbling::of(Ticks(5_000)).build(Tick::Millisecond).unwrap();
        assert_eq!(WindowAssigner::<u64>::domain(&five), TimeDomain::Event);
        let on_clock = OnClock(five);
        assert_eq!(windows(&on_clock, 12_345), ["[10000,15000)"]);
        assert_eq!(WindowAssigner::<u64>::domain(&on_clock), TimeDomain::Processing);
    }
}
