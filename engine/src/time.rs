//! Event time: watermarks, idleness, and how inputs are merged.
//!
//! A watermark `t` says: no more records with a timestamp of `t` or less are expected. It starts at [`Timestamp::MIN`], never goes
//! back, and ends at [`Timestamp::MAX`]. Three steps make an operator's watermark:
//!
//! ```text
//! records of a partition --PartitionClock--> watermark of the partition, idle after a while without records
//! partitions of a source on a shard --SourceClock--> watermark of that source instance (minimum)
//! producer shards of an operator --InputMerge--> watermark of the operator (minimum)
//! ```
//!
//! The rules are Flink's (generators, `StatusWatermarkValve`, `WatermarkOutputMultiplexer`), with these made exact:
//!
//! - an input is idle at exactly its idleness after its last record, and the time in which the shard could not take records
//!   because downstream was full does not count;
//! - when all inputs are idle, the watermark always concludes on the largest of theirs, once, whichever went idle last;
//! - an input that has ended neither holds the watermark nor drives it: [`Timestamp::MAX`] comes when all have ended. (In Flink
//!   one ended input and one idle input make `MAX` together, and every record of the idle one is late from then on.)
//! - the instances of an operator are idle together, or not at all. (In Flink the first to wake up can make late what the others are
//!   about to say.)
//!
//! No clock is read here: processing time comes from outside, as [`Nanos`] of the job's [`Clock`]. `docs/guide/event-time.md` draws how
//! watermarks move.

mod alignment;
mod all_idle;
mod clock;
mod floors;
mod generators;
mod input_merge;
mod job_time;
mod partition_clock;
mod report;
mod saved;
mod signal;
mod source_clock;
mod source_pace;
mod span;
mod standstill;
mod timestamps;
mod unblocked;
mod watermarks;

#[cfg(test)]
mod valve_model;

pub use clock::{Clock, ProcessingTime, VirtualClock};
pub use floors::KeyGroupFloors;
pub use generators::{
    AdaptiveBound, AdaptiveBoundError, BoundedOutOfOrderness, Reported, WatermarkGenerator,
};
pub use input_merge::{InputMerge, Producers, Side};
pub use partition_clock::PartitionClock;
pub use report::{PartitionReport, PartitionState};
pub use saved::{InputTime, MergeTime, PartitionTime, TimeStateError};
pub use signal::{Signal, Signals};
pub use source_clock::SourceClock;
pub use span::{Span, SpanError, Tick, Ticks};
pub use standstill::{HeldBack, Standstill};
pub use timestamps::TimestampError;
pub use watermarks::{WatermarkPlan, Watermarks, WatermarksError};

pub(crate) use job_time::JobTime;
pub(crate) use report::{ClockReport, Head};
pub(crate) use source_pace::SourcePace;
pub(crate) use timestamps::TimestampRange;

pub use crate::element::{Nanos, Timestamp};
