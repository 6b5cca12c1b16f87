//! What a shard says of its event time when it is asked.

use std::time::Duration;

use super::standstill::Standstill;
use crate::element::Timestamp;

/// What a source partition is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    /// It is read, and waited for.
    Active,
    /// It has been silent for so long that nobody waits for it.
    Idle,
    /// It is ahead of the others by the largest drift, and is not read until they have caught up.
    Paused,
    /// There will be no more records.
    Ended,
}

/// A source partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// Its name.
    pub name: String,
    /// Its watermark.
    pub watermark: Timestamp,
    /// How long it has stood there.
    pub stands_for: Duration,
    /// How long ago its last records came; none where none came since the (re)start.
    pub silent_for: Option<Duration>,
    /// After how long without records it is idle, if ever.
    pub idle_after: Option<Duration>,
    /// What it is at.
    pub state: PartitionState,
}

/// The head of a chain on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReport {
    /// Its watermark.
    pub watermark: Timestamp,
    /// Why it stands there. Inputs are partitions, or the producer shards of its exchanges, one exchange after the other.
    pub standstill: Standstill,
    /// How long the input that is named there, if one is, has stood at its watermark.
    pub stands_for: Duration,
    /// What it is.
    pub of: Head,
}

/// What can be at the head of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A source.
    Source {
        /// Those that this shard reads.
        partitions: Vec<PartitionReport>,
        /// Whether its records have event time.
        timed: bool,
        /// Whether it cannot read because downstream is full.
        blocked: bool,
    },
    /// An operator that an exchange feeds.
    Operator {
        /// Whether results of an earlier watermark are still to be given out.
        firing: bool,
        /// How many records are under way in it, where its watermark has not gone on for their sake.
        under_way: usize,
    },
}
