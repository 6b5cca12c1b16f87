//! One window for all of time: for triggers that do not go by time.

use super::assigner::WindowAssigner;
use super::error::WindowError;
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::record::{Record, View};

/// The global window as a program states it. It has no end, so that nothing is ever late for it and only a trigger of the program's own
/// can fire it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

impl Global {
    /// The window.
    pub fn build(&self) -> GlobalWindow {
        GlobalWindow
    }
}

/// Puts every record into one window without end (Flink's `GlobalWindows`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalWindow;

impl GlobalWindow {
    /// The window: all of time.
    pub const WINDOW: TimeWindow = TimeWindow { start: Timestamp::MIN, end: Timestamp::MAX };
}

impl<T: Record> WindowAssigner<T> for GlobalWindow {
    fn assign(&self, _: Timestamp, _: &View<T>, windows: &mut Vec<TimeWindow>) -> Result<(), WindowError> {
        windows.push(GlobalWindow::WINDOW);
        Ok(())
    }

    fn has_end(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wn_05_every_record_belongs_to_the_one_window() {
        let mut windows = Vec::new();
        for at in [i64::MIN, -1, 0, i64::MAX] {
            WindowAssigner::<u64>::assign(&Global.build(), Timestamp(at), &7, &mut windows).unwrap();
        }
        assert_eq!(windows, [GlobalWindow::WINDOW; 4]);
        assert!([i64::MIN, 0, i64::MAX].iter().all(|at| windows[0].contains(Timestamp(*at))));
        assert!(!WindowAssigner::<u64>::has_end(&GlobalWindow));
    }
}
