//! The health of a job in a few lines.

use std::fmt;
use std::time::Duration;

use super::{CheckpointHealth, Health, ShardActivity};

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.job, self.verdict)?;
        write!(f, "  {} for {}, attempt {}", self.status, Length(self.status_for), self.attempt)?;
        if self.restarts > 0 {
            write!(f, ", started again {} times", self.restarts)?;
        }
        if let Some(failure) = &self.last_failure {
            write!(f, "; last failure {} ago: {}", Length(failure.ago), failure.cause)?;
        }
        if let Some(checkpoints) = &self.checkpoints {
            write!(f, "\n  {checkpoints}")?;
        }
        for shard in &self.shards {
            write!(f, "\n  shard {} ", shard.shard)?;
            match &shard.activity {
                ShardActivity::Opens => write!(f, "opens its operators")?,
                ShardActivity::Steps => write!(f, "works, {} steps so far", shard.steps)?,
                ShardActivity::Waits => write!(f, "waits for work, for {}", Length(shard.at_this_step))?,
                ShardActivity::StandsStill { operators } => write!(
                    f,
                    "stands still in `{}`, for {}",
                    operators.join(" -> "),
                    Length(shard.at_this_step)
                )?,
            }
        }
        write!(f, "\n  memory {}", self.memory)
    }
}

impl fmt::Display for CheckpointHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.newest {
            Some((epoch, age)) => {
                write!(f, "checkpoint {epoch} {} ago, took {}", Length(*age), Length(self.took))?;
            }
            None => f.write_str("no checkpoint yet")?,
        }
        if let Some(every) = self.every {
            write!(f, "; one every {}", Length(every))?;
        }
        match (self.failed_in_a_row, &self.last_failure) {
            (0, _) | (_, None) => Ok(()),
            (failed, Some(cause)) => write!(f, "; {failed} failed since: {cause}"),
        }
    }
}

/// A length of time, to two digits or so.
pub(super) struct Length(pub(super) Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, s) = (self.0.as_millis(), self.0.as_secs());
        let and =
            |f: &mut fmt::Formatter<'_>, large: u64, unit: &str, small: u64, small_unit: &str| match small {
                0 => write!(f, "{large} {unit}"),
                small => write!(f, "{large} {unit} {small} {small_unit}"),
            };
        match (ms, s) {
            (0..1000, _) => write!(f, "{ms} ms"),
            (1000..10_000, _) => match ms % 1000 / 100 {
                0 => write!(f, "{s} s"),
                tenths => write!(f, "{s}.{tenths} s"),
            },
            (_, 0..60) => write!(f, "{s} s"),
            (_, 60..3600) => and(f, s / 60, "min", s % 60, "s"),
            (_, 3600..86_400) => and(f, s / 3600, "h", s % 3600 / 60, "min"),
            _ => and(f, s / 86_400, "d", s % 86_400 / 3600, "h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Epoch;

    #[test]
    fn lengths_read_well() {
        let lengths = [0, 999, 1000, 3200, 59_999, 60_000, 61_000, 3_600_000, 8_000_000, 90_000_000];
        let said: Vec<String> =
            lengths.iter().map(|ms| Length(Duration::from_millis(*ms)).to_string()).collect();
        assert_eq!(
            said,
            ["0 ms", "999 ms", "1 s", "3.2 s", "59 s", "1 min", "1 min 1 s", "1 h", "2 h 13 min", "1 d 1 h"]
        );
    }

    #[test]
    fn checkpoints_read_well() {
        let mut checkpoints = CheckpointHealth {
            newest: None,
            took: Duration::ZERO,
            every: None,
            failed_in_a_row: 0,
            last_failure: None,
        };
        assert_eq!(checkpoints.to_string(), "no checkpoint yet");
        checkpoints.newest = Some((Epoch(812), Duration::from_millis(40)));
        checkpoints.took = Duration::from_millis(3);
        checkpoints.every = Some(Duration::from_secs(1));
        checkpoints.failed_in_a_row = 2;
        checkpoints.last_failure = Some("the disk is full".to_owned());
        assert_eq!(
            checkpoints.to_string(),
            "checkpoint 812 40 ms ago, took 3 ms; one every 1 s; 2 failed since: the disk is full"
        );
    }
}
