//! What a job says of itself: counters that shards keep in memory of their own and others read without stopping them.

mod checkpoints;
mod memory;

pub use checkpoints::{
    CheckpointCost, CheckpointMetrics, CheckpointStatistics, CheckpointTrigger, ShardCheckpoint,
};

pub(crate) use memory::Bytes;
pub use memory::MemoryUse;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::element::Timestamp;
use crate::operator::OpId;
use crate::runtime::stalls::{ShardStall, Whereabouts};
use memory::MemoryCounters;

/// One counter on a cache line of its own, written by one thread.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Line<T>(T);

/// The counters of one shard.
#[derive(Debug, Default)]
pub(crate) struct ShardCounters {
    records_in: Line<AtomicU64>,
    records_out: Line<AtomicU64>,
    busy_nanos: Line<AtomicU64>,
    idle_nanos: Line<AtomicU64>,
    blocked_nanos: Line<AtomicU64>,
    steps: Line<AtomicU64>,
    loop_gap_max_nanos: Line<AtomicU64>,
    /// How long the step took in which the shard switched last.
    switch_nanos: Line<AtomicU64>,
    watermark: Line<AtomicI64>,
    late_records: Line<AtomicU64>,
    late_after_idle: Line<AtomicU64>,
    watermark_regressions: Line<AtomicU64>,
    unassigned_records: Line<AtomicU64>,
    shed_writes: Line<AtomicU64>,
    evicted_keys: Line<AtomicU64>,
    memory: Line<MemoryCounters>,
    spilled_pages_read: Line<AtomicU64>,
    spilled_pages_written: Line<AtomicU64>,
    keys: Line<AtomicU64>,
    ring_fill_permille: Line<AtomicU64>,
    /// The number of the chain that is being stepped, plus one; 0 between steps.
    chain: Line<AtomicU64>,
}

/// What the chains of a shard add up for its counters, now and then.
#[derive(Debug)]
pub struct Gauges {
    pub(crate) records_in: u64,
    pub(crate) records_out: u64,
    pub(crate) late_records: u64,
    pub(crate) late_after_idle: u64,
    pub(crate) watermark_regressions: u64,
    pub(crate) unassigned_records: u64,
    pub(crate) shed_writes: u64,
    pub(crate) evicted_keys: u64,
    pub(crate) memory: MemoryUse,
    pub(crate) spilled_pages_read: u64,
    pub(crate) spilled_pages_written: u64,
    pub(crate) keys: u64,
    pub(crate) ring_fill_max: f32,
    pub(crate) watermark_min: Option<Timestamp>,
}

impl Gauges {
    pub(crate) fn new() -> Self {
        Gauges {
            records_in: 0,
            records_out: 0,
            late_records: 0,
            late_after_idle: 0,
            watermark_regressions: 0,
            unassigned_records: 0,
            shed_writes: 0,
            evicted_keys: 0,
            memory: MemoryUse::default(),
            spilled_pages_read: 0,
            spilled_pages_written: 0,
            keys: 0,
            ring_fill_max: 0.0,
            watermark_min: None,
        }
    }

    /// A ring is filled to this part (0 to 1).
    pub(crate) fn ring(&mut self, fill: f32) {
        self.ring_fill_max = self.ring_fill_max.max(fill);
    }

    /// An operator's event time stands here.
    pub(crate) fn watermark(&mut self, _op: OpId, at: Timestamp) {
        self.watermark_min = Some(self.watermark_min.map_or(at, |least| least.min(at)));
    }
}

impl ShardCounters {
    pub(crate) fn store(&self, gauges: &Gauges) {
        self.records_in.0.store(gauges.records_in, Ordering::Relaxed);
        self.records_out.0.store(gauges.records_out, Ordering::Relaxed);
        self.late_records.0.store(gauges.late_records, Ordering::Relaxed);
        self.late_after_idle.0.store(gauges.late_after_idle, Ordering::Relaxed);
        self.watermark_regressions.0.store(gauges.watermark_regressions, Ordering::Relaxed);
        self.unassigned_records.0.store(gauges.unassigned_records, Ordering::Relaxed);
        self.shed_writes.0.store(gauges.shed_writes, Ordering::Relaxed);
        self.evicted_keys.0.store(gauges.evicted_keys, Ordering::Relaxed);
        self.memory.0.store(&gauges.memory);
        self.spilled_pages_read.0.store(gauges.spilled_pages_read, Ordering::Relaxed);
        self.spilled_pages_written.0.store(gauges.spilled_pages_written, Ordering::Relaxed);
        self.keys.0.store(gauges.keys, Ordering::Relaxed);
        self.ring_fill_permille.0.store((gauges.ring_fill_max * 1000.0) as u64, Ordering::Relaxed);
        let watermark = gauges.watermark_min.unwrap_or(Timestamp::MIN);
        self.watermark.0.store(watermark.0, Ordering::Relaxed);
    }

    /// A step that ended `spent` after the one before it.
    #[inline]
    pub(crate) fn step(&self, kind: StepKind, spent: u64) {
        let total = match kind {
            StepKind::Busy => &self.busy_nanos,
            StepKind::Idle => &self.idle_nanos,
            StepKind::Blocked => &self.blocked_nanos,
        };
        // One writer: a load and a store, no locked instruction.
        total.0.store(total.0.load(Ordering::Relaxed) + spent, Ordering::Relaxed);
        self.steps.0.store(self.steps.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if kind == StepKind::Busy && spent > self.loop_gap_max_nanos.0.load(Ordering::Relaxed) {
            self.loop_gap_max_nanos.0.store(spent, Ordering::Relaxed);
        }
    }

    /// The shard has switched, in a step that took so long.
    pub(crate) fn switched(&self, spent: u64) {
        self.switch_nanos.0.store(spent, Ordering::Relaxed);
    }

    /// How long the step took in which the shard switched last.
    pub(crate) fn last_switch(&self) -> Duration {
        Duration::from_nanos(self.switch_nanos.0.load(Ordering::Relaxed))
    }

    /// The shard is about to step this chain.
    #[inline]
    pub(crate) fn enter(&self, chain: usize) {
        self.chain.0.store(chain as u64 + 1, Ordering::Relaxed);
    }

    /// The shard has left its chains.
    #[inline]
    pub(crate) fn leave(&self) {
        self.chain.0.store(0, Ordering::Relaxed);
    }

    /// Where the shard is.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        let chain = self.chain.0.load(Ordering::Relaxed);
        Whereabouts {
            steps: self.steps.0.load(Ordering::Relaxed),
            chain: chain.checked_sub(1).map(|chain| chain as usize),
        }
    }

    pub(crate) fn read(&self) -> ShardMetrics {
        let memory = self.memory.0.read();
        let nanos = |line: &Line<AtomicU64>| Duration::from_nanos(line.0.load(Ordering::Relaxed));
        let count = |line: &Line<AtomicU64>| line.0.load(Ordering::Relaxed);
        ShardMetrics {
            records_in: count(&self.records_in),
            records_out: count(&self.records_out),
            late_records: count(&self.late_records),
            late_after_idle: count(&self.late_after_idle),
            watermark_regressions: count(&self.watermark_regressions),
            unassigned_records: count(&self.unassigned_records),
            shed_writes: count(&self.shed_writes),
            evicted_keys: count(&self.evicted_keys),
            busy: nanos(&self.busy_nanos),
            idle: nanos(&self.idle_nanos),
            backpressured: nanos(&self.blocked_nanos),
            steps: count(&self.steps),
            loop_gap_max: nanos(&self.loop_gap_max_nanos),
            watermark: Timestamp(self.watermark.0.load(Ordering::Relaxed)),
            state_bytes: memory.state,
            memory,
            spilled_pages_read: count(&self.spilled_pages_read),
            spilled_pages_written: count(&self.spilled_pages_written),
            keys: count(&self.keys),
            ring_fill: count(&self.ring_fill_permille) as f32 / 1000.0,
        }
    }

    /// Reads the longest loop gap and begins anew.
    pub(crate) fn take_loop_gap(&self) -> Duration {
        Duration::from_nanos(self.loop_gap_max_nanos.0.swap(0, Ordering::Relaxed))
    }
}

/// What a shard did with the time since its last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    Busy,
    Idle,
    Blocked,
}

/// The figures of one shard since the job's (re)start.
#[derive(Clone, Debug, Default)]
pub struct ShardMetrics {
    /// Records its sources gave.
    pub records_in: u64,
    /// Records its sinks took.
    pub records_out: u64,
    /// Records that came too late for their window and were dropped.
    pub late_records: u64,
    /// Those of them that came from an input (a shard) that had been idle and was still behind the others. Counted since the last start.
    pub late_after_idle: u64,
    /// How often a watermark generator, or a source that says its own watermarks, went back. Event time did not.
    pub watermark_regressions: u64,
    /// Records that fell between two windows and belong to none.
    pub unassigned_records: u64,
    /// Writes of new keys that states left out because their budget was used up. Counted since the last start.
    pub shed_writes: u64,
    /// Keys that had to go because the budget of their state was used up. Counted since the last start.
    pub evicted_keys: u64,
    /// Time spent working.
    pub busy: Duration,
    /// Time with nothing to do.
    pub idle: Duration,
    /// Time with input at hand but no room downstream.
    pub backpressured: Duration,
    /// How often it went round its loop.
    pub steps: u64,
    /// The longest time between two rounds while there was work.
    pub loop_gap_max: Duration,
    /// The least watermark among its operators.
    pub watermark: Timestamp,
    /// Bytes of memory that the pages of its state occupy.
    pub state_bytes: u64,
    /// Bytes of memory that it takes, by what for.
    pub memory: MemoryUse,
    /// Pages of state that came back from disk, of 4 KiB each: see [`Job::spill_state`](crate::job::Job::spill_state). Counted since the last
    /// start, as the next.
    pub spilled_pages_read: u64,
    /// Pages of state that were written to disk because memory had no room for them.
    pub spilled_pages_written: u64,
    /// How many keys its state holds.
    pub keys: u64,
    /// How full the fullest ring is (0 to 1).
    pub ring_fill: f32,
}

/// The figures of a job.
#[derive(Clone, Debug, Default)]
pub struct JobMetrics {
    /// Per shard.
    pub shards: Vec<ShardMetrics>,
    /// Of the checkpoints.
    pub checkpoints: CheckpointMetrics,
    /// How often the job was restarted after a failure.
    pub restarts: u32,
    /// The newest times at which a shard stood still inside of an operator, oldest first: see
    /// [`Job::stall_after`](crate::job::Job::stall_after).
    pub stalls: Vec<ShardStall>,
    /// What of memory belongs to no shard.
    pub(crate) job_memory: MemoryUse,
}

impl JobMetrics {
    /// How much memory the job takes, by what for, and what of it is limited.
    pub fn memory(&self) -> MemoryUse {
        self.shards.iter().map(|shard| shard.memory).sum::<MemoryUse>() + self.job_memory
    }

    /// Records that all sources gave.
    pub fn records_in(&self) -> u64 {
        self.shards.iter().map(|shard| shard.records_in).sum()
    }

    /// Records that all sinks took.
    pub fn records_out(&self) -> u64 {
        self.shards.iter().map(|shard| shard.records_out).sum()
    }

    /// Records that came too late for their window.
    pub fn late_records(&self) -> u64 {
        self.shards.iter().map(|shard| shard.late_records).sum()
    }

    /// Those of them that came from an input that had been idle and was still behind the others.
    pub fn late_after_idle(&self) -> u64 {
        self.shards.iter().map(|shard| shard.late_after_idle).sum()
    }

    /// How often a watermark generator went back.
    pub fn watermark_regressions(&self) -> u64 {
        self.shards.iter().map(|shard| shard.watermark_regressions).sum()
    }

    /// Records that fell between two windows and belong to none.
    pub fn unassigned_records(&self) -> u64 {
        self.shards.iter().map(|shard| shard.unassigned_records).sum()
    }

    /// Writes of new keys that states left out because their budget was used up.
    pub fn shed_writes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.shed_writes).sum()
    }

    /// Keys that had to go because the budget of their state was used up.
    pub fn evicted_keys(&self) -> u64 {
        self.shards.iter().map(|shard| shard.evicted_keys).sum()
    }
}
