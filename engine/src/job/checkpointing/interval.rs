//! When checkpoints are made.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::params::Length;

/// When checkpoints are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointInterval {
    /// So long from the beginning of one to the beginning of the next.
    Every(Duration),
    /// As often as is needed so that what a restart has to do again takes no longer than this. How fast that goes is measured while the
    /// job runs: see [`CheckpointMetrics::interval`](crate::runtime::metrics::CheckpointMetrics::interval).
    Auto {
        /// How long doing again what came after the newest checkpoint may take.
        recovery_goal: Duration,
    },
    /// Only when the job is stopped, and at the end of a bounded job.
    Off,
}

impl CheckpointInterval {
    /// [`CheckpointInterval::Auto`].
    pub fn auto(recovery_goal: Duration) -> CheckpointInterval {
        CheckpointInterval::Auto { recovery_goal }
    }
}

impl From<Duration> for CheckpointInterval {
    fn from(interval: Duration) -> Self {
        CheckpointInterval::Every(interval)
    }
}

impl fmt::Display for CheckpointInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointInterval::Every(interval) => write!(f, "{interval:?}"),
            CheckpointInterval::Auto { recovery_goal } => write!(f, "auto({recovery_goal:?})"),
            CheckpointInterval::Off => f.write_str("off"),
        }
    }
}

/// A text is no [`CheckpointInterval`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no interval: give a length of time, as in 500 ms, or auto(200 ms), or off")]
pub struct NoInterval(String);

impl FromStr for CheckpointInterval {
    type Err = NoInterval;

    /// Reads `500 ms`, `auto(200 ms)`, or `off`, for which Flink also writes -1.
    fn from_str(text: &str) -> Result<Self, NoInterval> {
        let words = text.trim().to_lowercase();
        if ["off", "-1"].contains(&words.as_str()) {
            return Ok(CheckpointInterval::Off);
        }
        let goal = words.strip_prefix("auto(").and_then(|rest| rest.strip_suffix(')'));
        let Length(length) = goal.unwrap_or(&words).parse().map_err(|_| NoInterval(text.to_owned()))?;
        Ok(if goal.is_some() { CheckpointInterval::auto(length) } else { CheckpointInterval::Every(length) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read() {
        let half_a_second = Duration::from_millis(500);
        assert_eq!("500 ms".parse(), Ok(CheckpointInterval::Every(half_a_second)));
        assert_eq!("auto(500ms)".parse(), Ok(CheckpointInterval::auto(half_a_second)));
        assert_eq!("off".parse(), Ok(CheckpointInterval::Off));
        assert_eq!("-1".parse(), Ok(CheckpointInterval::Off));
        assert_eq!("auto".parse::<CheckpointInterval>(), Err(NoInterval("auto".to_owned())));
        assert_eq!("auto(500ms)".parse::<CheckpointInterval>().unwrap().to_string(), "auto(500ms)");
    }
}
