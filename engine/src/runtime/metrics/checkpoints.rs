//! What is known of the checkpoints of a job: sums, and the newest ones one by one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::ReplicaStatus;
use crate::element::Epoch;
use crate::limits::CHECKPOINTS_REMEMBERED;

/// Why a checkpoint was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointTrigger {
    /// It was time.
    Interval,
    /// Somebody asked for it: the job is to be stopped.
    Asked,
    /// The sources have ended, and it is to be seen whether anything still goes round in the job's loops.
    Loops,
    /// Everything has been handled: the last output is committed with it.
    Final,
}

impl fmt::Display for CheckpointTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CheckpointTrigger::Interval => "interval",
            CheckpointTrigger::Asked => "asked",
            CheckpointTrigger::Loops => "loops",
            CheckpointTrigger::Final => "final",
        })
    }
}

/// One shard's part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardCheckpoint {
    /// How long after the checkpoint's beginning it was safe on disk; none where it was not.
    pub saved_after: Option<Duration>,
    /// How long the shard did nothing else when it switched: the part of the checkpoint that its records waited for.
    pub stall: Duration,
    /// How many bytes it wrote.
    pub bytes: u64,
    /// How many pages of state these hold: those that had changed.
    pub pages: u64,
    /// How many bytes of records in flight it holds.
    pub in_flight_bytes: u64,
    /// How long it took to cut all of the shard's chains (Flink's alignment duration).
    pub aligned_in: Duration,
    /// Whether they were cut unaligned at last, because aligning them took too long.
    pub gave_up_aligning: bool,
}

/// One checkpoint that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointStatistics {
    /// Its number.
    pub epoch: Epoch,
    /// Why it was made.
    pub trigger: CheckpointTrigger,
    /// When it began, after the start of the job.
    pub started: Duration,
    /// How long it took, from its beginning to the commit point, or until it was given up.
    pub duration: Duration,
    /// The shards' parts, in their order.
    pub shards: Vec<ShardCheckpoint>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl CheckpointStatistics {
    /// How many bytes the shards wrote.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    /// How many pages of state had changed.
    pub fn pages(&self) -> u64 {
        self.shards.iter().map(|shard| shard.pages).sum()
    }

    /// How many bytes of records in flight it holds.
    pub fn in_flight_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.in_flight_bytes).sum()
    }

    /// The longest time for which a shard did nothing else.
    pub fn stall(&self) -> Duration {
        self.shards.iter().map(|shard| shard.stall).max().unwrap_or_default()
    }
}

/// What checkpoints cost, over the newest ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CheckpointCost {
    /// How many bytes go to disk each second.
    pub bytes_per_second: f64,
    /// Which part of its time a shard does nothing but switch (0 to 1).
    pub stalled: f64,
}

/// The figures of the checkpoints of a job.
#[derive(Clone, Debug, Default)]
pub struct CheckpointMetrics {
    /// How many were completed.
    pub completed: u64,
    /// How many failed.
    pub failed: u64,
    /// The newest one that was completed.
    pub last_epoch: u64,
    /// How long the newest took, from publishing to the commit point.
    pub last_duration: Duration,
    /// How long the longest took.
    pub longest: Duration,
    /// How many bytes the newest wrote.
    pub last_bytes: u64,
    /// How many bytes of records in flight the newest saved.
    pub last_in_flight_bytes: u64,
    /// How long the newest took to cut all chains, on the shard that took longest (Flink's alignment duration).
    pub last_aligned_in: Duration,
    /// Whether the newest was cut unaligned at last, because aligning it took too long:
    /// [`CheckpointMode::AlignedFor`](crate::checkpoint::CheckpointMode::AlignedFor).
    pub last_gave_up_aligning: bool,
    /// The time from the beginning of one to that of the next, as it is now; none where none is made before the end.
    pub interval: Option<Duration>,
    /// How far the second copies are: see [`Job::replicate_to`](crate::job::Job::replicate_to).
    pub replica: Option<ReplicaStatus>,
    /// The newest ones, oldest first.
    history: Arc<VecDeque<CheckpointStatistics>>,
}

impl CheckpointMetrics {
    /// The newest checkpoints that are over, at most a hundred, oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &CheckpointStatistics> + ExactSizeIterator {
        self.history.iter()
    }

    /// What checkpoints cost, as far as those of the history tell.
    pub fn cost(&self) -> CheckpointCost {
        let (Some(first), Some(last)) = (self.history.front(), self.history.back()) else {
            return CheckpointCost::default();
        };
        // From one beginning to the next, so that the pauses between checkpoints count.
        let pause = self.interval.unwrap_or_default().max(last.duration);
        let span = (last.started + pause).saturating_sub(first.started).as_secs_f64().max(f64::MIN_POSITIVE);
        let stalled: Duration = self.history().map(CheckpointStatistics::stall).sum();
        CheckpointCost {
            bytes_per_second: self.history().map(CheckpointStatistics::bytes).sum::<u64>() as f64 / span,
            stalled: stalled.as_secs_f64() / span,
        }
    }

    /// Another one is over.
    pub(crate) fn add(&mut self, checkpoint: CheckpointStatistics) {
        if checkpoint.failure.is_some() {
            self.failed += 1;
        } else {
            self.completed += 1;
            self.last_epoch = checkpoint.epoch.0;
            self.last_duration = checkpoint.duration;
            self.longest = self.longest.max(checkpoint.duration);
            self.last_bytes = checkpoint.bytes();
            self.last_in_flight_bytes = checkpoint.in_flight_bytes();
            let shards = &checkpoint.shards;
            self.last_aligned_in = shards.iter().map(|shard| shard.aligned_in).max().unwrap_or_default();
            self.last_gave_up_aligning = shards.iter().any(|shard| shard.gave_up_aligning);
        }
        let history = Arc::make_mut(&mut self.history);
        if history.len() == CHECKPOINTS_REMEMBERED {
            history.pop_front();
        }
        history.push_back(checkpoint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(epoch: u64, bytes: u64, failure: Option<&str>) -> CheckpointStatistics {
        let shard = ShardCheckpoint {
            stall: Duration::from_millis(2),
            bytes,
            pages: 1,
            ..ShardCheckpoint::default()
        };
        CheckpointStatistics {
            epoch: Epoch(epoch),
            trigger: CheckpointTrigger::Interval,
            started: Duration::from_millis(100 * epoch),
            duration: Duration::from_millis(10),
            shards: vec![shard.clone(), shard],
            failure: failure.map(str::to_owned),
        }
    }

    #[test]
    fn cp_25_the_newest_are_remembered_one_by_one() {
        let mut metrics = CheckpointMetrics::default();
        for epoch in 1..=CHECKPOINTS_REMEMBERED as u64 + 5 {
            metrics.add(checkpoint(epoch, epoch * 10, (epoch == 7).then_some("the disk is full")));
        }
        assert_eq!((metrics.completed, metrics.failed), (CHECKPOINTS_REMEMBERED as u64 + 4, 1));
        assert_eq!(metrics.history().len(), CHECKPOINTS_REMEMBERED);
        assert_eq!(metrics.history().next().unwrap().epoch, Epoch(6));
        assert_eq!(metrics.history().nth(1).unwrap().failure.as_deref(), Some("the disk is full"));
        let last = metrics.history().next_back().unwrap();
        assert_eq!((last.bytes(), last.pages()), (metrics.last_bytes, 2));
    }

    #[test]
    fn cp_20_the_cost_is_bytes_and_stalls_over_time() {
        let mut metrics =
            CheckpointMetrics { interval: Some(Duration::from_millis(100)), ..Default::default() };
        assert_eq!(metrics.cost(), CheckpointCost::default());
        for epoch in 1..=10 {
            metrics.add(checkpoint(epoch, 500, None));
        }
        // A thousand bytes and 2 ms of standing still, ten times in a second.
        let cost = metrics.cost();
        assert!(
            (cost.bytes_per_second - 10_000.0).abs() < 1e-6 && (cost.stalled - 0.02).abs() < 1e-9,
            "{cost:?}"
        );
    }
}
