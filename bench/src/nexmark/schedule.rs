//! When rows are due that depend on events which come by the clock.

use millstream::prelude::*;

use super::generator::{Config, Pace};

/// Says when the event is due from which the event time of a row is known to have come.
#[derive(Clone)]
pub struct Schedule {
    pace: Pace,
    config: Config,
    /// How far event time has to be past the row's: 0 where rows are made of single events, and the watermark's distance where they are not.
    after_ms: i64,
}

impl Schedule {
    /// Of rows that come so long after their event time, in event time.
    pub fn of(pace: Pace, config: Config, after_ms: i64) -> Schedule {
        Schedule { pace, config, after_ms }
    }

    /// When a row of this event time is due, by the machine's clock.
    #[inline]
    pub fn due(&self, at: Timestamp) -> u64 {
        self.pace.due(self.config.events_before(at.0.saturating_add(self.after_ms)))
    }
}
