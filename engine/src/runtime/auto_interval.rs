//! An interval between checkpoints that follows from how long a restart may take to do things again.
//!
//! What is done again is what came after the newest complete checkpoint: at most an interval's worth of input, and what came while the
//! next checkpoint was under way. A job that is at work for a part `load` of its time catches up with so much input in that part of the
//! time in which it came:
//!
//! ```text
//! replay = (interval + duration) * load  <=  goal
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::metrics::ShardMetrics;

/// How many checkpoints are looked back at; the worst of them counts.
const CHECKPOINTS: usize = 8;

/// The shortest interval.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct AutoInterval {
    goal: Duration,
    /// How long the newest took, and how busy the busiest shard was since the one before.
    seen: VecDeque<(Duration, f64)>,
    /// Per shard: the time it has been at work, and in all.
    times: Vec<(Duration, Duration)>,
}

impl AutoInterval {
    pub(crate) fn new(goal: Duration) -> AutoInterval {
        AutoInterval { goal, seen: VecDeque::new(), times: Vec::new() }
    }

    /// Before anything has been measured.
    pub(crate) fn first(&self) -> Duration {
        (self.goal / 2).max(INTERVAL_MIN)
    }

    /// A checkpoint is complete, which took so long.
    pub(crate) fn next(&mut self, took: Duration, shards: &[ShardMetrics]) -> Duration {
        let load = self.load(shards);
        if self.seen.len() == CHECKPOINTS {
            self.seen.pop_front();
        }
        self.seen.push_back((took, load));
        let duration = self.seen.iter().map(|(took, _)| *took).max().unwrap_or_default();
        let load = self.seen.iter().map(|(_, load)| *load).fold(f64::MIN_POSITIVE, f64::max);
        // A burst may follow the next checkpoint at once, so that idle time makes no interval longer than the goal.
        let covered = self.goal.div_f64(load.max(0.01)).saturating_sub(duration);
        covered.min(self.goal).max(INTERVAL_MIN)
    }

    /// How busy the busiest shard was since this was last asked (0 to 1).
    fn load(&mut self, shards: &[ShardMetrics]) -> f64 {
        let times = shards.iter().map(|shard| (shard.busy, shard.busy + shard.idle + shard.backpressured));
        let times: Vec<_> = times.collect();
        self.times.resize(times.len(), Default::default());
        let share =
            |((busy, total), (busy_before, total_before)): (&(Duration, Duration), &(Duration, Duration))| {
                let spent = total.saturating_sub(*total_before).as_secs_f64();
                let worked = busy.saturating_sub(*busy_before).as_secs_f64();
                if spent > 0.0 { (worked / spent).min(1.0) } else { 1.0 }
            };
        let load = times.iter().zip(&self.times).map(share).fold(0.0, f64::max);
        self.times = times;
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Duration = Duration::from_millis(200);

    fn shard(busy_ms: u64, idle_ms: u64) -> ShardMetrics {
        let (busy, idle) = (Duration::from_millis(busy_ms), Duration::from_millis(idle_ms));
        ShardMetrics { busy, idle, ..ShardMetrics::default() }
    }

    #[test]
    fn cp_20_the_interval_follows_from_the_goal() {
        let mut auto = AutoInterval::new(GOAL);
        assert!(auto.first() <= GOAL);
        // At work all the time: as fast as the input came, it comes again.
        let took = Duration::from_millis(30);
        assert_eq!(auto.next(took, &[shard(100, 0), shard(10, 90)]), Duration::from_millis(170));
        // The worst of the newest ones counts.
        assert_eq!(auto.next(took, &[shard(110, 90), shard(20, 180)]), Duration::from_millis(170));
        let half = |auto: &mut AutoInterval, n: u64| auto.next(took, &[shard(110 + 50 * n, 90 + 50 * n)]);
        let mut interval = Duration::ZERO;
        for n in 1..=8 {
            interval = half(&mut auto, n);
        }
        // At work half of the time: 400 ms of input can be done again in 200, but no interval is longer than the goal.
        assert_eq!(interval, GOAL);
        // Checkpoints that take longer than the goal: as often as can be.
        assert_eq!(auto.next(Duration::from_secs(1), &[shard(1000, 590)]), INTERVAL_MIN);
    }
}
