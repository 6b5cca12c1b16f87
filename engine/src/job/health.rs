//! How a job is: one value for the health endpoint of the program that it is embedded in.

mod judge;
mod text;

use std::time::{Duration, SystemTime};

use super::shared::Shared;
use super::{JobId, JobStatus};
use crate::element::{Epoch, ShardId};
use crate::runtime::metrics::{CheckpointMetrics, MemoryUse};
use crate::runtime::stalls::ShardStall;

pub use super::standing::LastFailure;
pub use judge::{Concern, Verdict};

/// How a job is, at the moment it is asked: what [`JobHandle::health`](super::JobHandle::health) gives. `Display` says it in a few lines, of which the first is
/// the verdict.
///
/// ```
/// # use millstream_engine::prelude::*;
/// use millstream_engine::job::Verdict;
/// # use millstream_engine::testing::script;
///
/// let handle = Job::new("evens").spawn(|flow| {
///     flow.source("numbers", script([1u64, 2, 3])).filter(|n| n % 2 == 0).discard();
/// })?;
/// let health = handle.health();
/// let http_status = if health.verdict.is_up() { 200 } else { 503 };
/// println!("{http_status} {health}");
/// # let control = handle.control();
/// handle.wait()?;
/// # assert!(matches!(control.health().verdict, Verdict::Down(_)));
/// # Ok::<(), JobError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    /// The job's name.
    pub job: String,
    /// Which run of it this is.
    pub id: JobId,
    /// What comes of it all.
    pub verdict: Verdict,
    /// Where it stands.
    pub status: JobStatus,
    /// Since when.
    pub status_since: SystemTime,
    /// For how long that is.
    pub status_for: Duration,
    /// Which attempt this is, from 1; 0 before the first.
    pub attempt: u32,
    /// How often it was started again after a failure.
    pub restarts: u32,
    /// How it failed last, if it has.
    pub last_failure: Option<LastFailure>,
    /// Its checkpoints; none where it keeps none.
    pub checkpoints: Option<CheckpointHealth>,
    /// Its shards, in their order; none before they run.
    pub shards: Vec<ShardHealth>,
    /// What memory it takes, and of what limit.
    pub memory: MemoryUse,
    /// How long ago the job's control thread has looked after all this; none where it has not yet.
    pub looked_after: Option<Duration>,
}

/// How a job's checkpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointHealth {
    /// The newest one that this process has made durable, and how long ago; none where there is none yet.
    pub newest: Option<(Epoch, Duration)>,
    /// How long the newest took.
    pub took: Duration,
    /// How often one is made; none where they are made at the end only.
    pub every: Option<Duration>,
    /// How many have failed since (a hundred at most are counted).
    pub failed_in_a_row: u32,
    /// Why the last of these failed.
    pub last_failure: Option<String>,
}

/// How a shard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardHealth {
    /// The shard.
    pub shard: ShardId,
    /// What it does.
    pub activity: ShardActivity,
    /// How many steps it has taken in this attempt.
    pub steps: u64,
    /// How long it has been seen at the same step, to 20 ms or so: 0 for one that moves.
    pub at_this_step: Duration,
}

/// What a shard does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardActivity {
    /// Its operators are being built and opened, and what they kept comes back.
    Opens,
    /// It steps.
    Steps,
    /// It has nothing to do, and sleeps until there is something.
    Waits,
    /// One of these operators, which make a chain, blocks.
    StandsStill {
        /// The chain, from its head on.
        operators: Vec<String>,
    },
}

impl ShardHealth {
    /// As it is reported elsewhere, where it stands still.
    pub fn stall(&self) -> Option<ShardStall> {
        let ShardActivity::StandsStill { operators } = &self.activity else { return None };
        let (shard, operators, duration) = (self.shard, operators.clone(), self.at_this_step);
        Some(ShardStall { shard, operators, duration, is_over: false })
    }
}

impl CheckpointHealth {
    /// What the figures say that were put down `ago`, so long after the start of the job.
    fn of(figures: &CheckpointMetrics, put_down: Duration, ago: Duration) -> CheckpointHealth {
        let over = |end: Duration| put_down.saturating_sub(end) + ago;
        let durable = figures.history().rev().find(|checkpoint| checkpoint.failure.is_none());
        let failed: Vec<_> =
            figures.history().rev().take_while(|checkpoint| checkpoint.failure.is_some()).collect();
        CheckpointHealth {
            newest: durable.map(|newest| (newest.epoch, over(newest.started + newest.duration))),
            took: durable.map_or(Duration::ZERO, |newest| newest.duration),
            every: figures.interval,
            failed_in_a_row: failed.len() as u32,
            last_failure: failed.first().and_then(|newest| newest.failure.clone()),
        }
    }
}

impl Shared {
    /// How the job is.
    pub(super) fn health(&self) -> Health {
        let (status, (status_since, status_for)) = (self.status(), self.standing.since());
        let metrics = self.metrics();
        let (at, put_down) = {
            let figures = self.figures();
            (figures.at, figures.at.map(|(now, _)| Duration::from_nanos(now.0)))
        };
        let ago = at.map(|(_, then)| then.elapsed());
        let checkpoints = self.state_dir().map(|_| {
            CheckpointHealth::of(&metrics.checkpoints, put_down.unwrap_or_default(), ago.unwrap_or_default())
        });
        let mut health = Health {
            job: self.job.clone(),
            id: self.id,
            verdict: Verdict::Healthy,
            status,
            status_since,
            status_for,
            attempt: self.lifecycle.attempt(),
            restarts: metrics.restarts,
            last_failure: self.standing.last_failure(),
            checkpoints,
            shards: if status == JobStatus::Running { self.shard_health() } else { Vec::new() },
            memory: if status.is_over() { MemoryUse::default() } else { metrics.memory() },
            looked_after: ago,
        };
        health.verdict = judge::verdict(&health, self.started().spills);
        health
    }

    fn shard_health(&self) -> Vec<ShardHealth> {
        let Some(control) = self.control() else { return Vec::new() };
        let (seen, at) = {
            let figures = self.figures();
            (figures.seen.clone(), figures.at)
        };
        let (plan, stall_after) = (self.plan(), self.started().stall_after);
        let shards = control.counters.iter().enumerate().map(|(number, counters)| {
            let now = counters.whereabouts();
            // It has been there since the control thread has seen it come, and longer by what has passed since that thread has looked.
            let same = seen.get(number).zip(at).filter(|((before, _), _)| *before == now);
            let at_this_step = same
                .map_or(Duration::ZERO, |((_, since), (looked, then))| looked.since(*since) + then.elapsed());
            let activity = match now.chain {
                Some(chain) if at_this_step >= stall_after => ShardActivity::StandsStill {
                    operators: plan.chains[chain].ops.iter().map(|op| plan.name(*op).to_owned()).collect(),
                },
                Some(_) => ShardActivity::Steps,
                None if now.steps == 0 => ShardActivity::Opens,
                // Between two steps.
                None if at_this_step < stall_after => ShardActivity::Steps,
                None => ShardActivity::Waits,
            };
            ShardHealth { shard: ShardId(number as u16), activity, steps: now.steps, at_this_step }
        });
        shards.collect()
    }
}
