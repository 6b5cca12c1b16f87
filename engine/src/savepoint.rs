//! Savepoints: the portable form of a job's state, key by key, independent of page layout, number of shards and rkyv's version
//! ([Flink: Savepoints](https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/savepoints/)). They are the user's: no job
//! removes one.
//!
//! [`JobHandle::savepoint`](crate::job::JobHandle::savepoint) and
//! [`JobHandle::stop_with_savepoint`](crate::job::JobHandle::stop_with_savepoint) make them,
//! [`Job::from_savepoint`](crate::job::Job::from_savepoint) goes on from one, and [`Savepoint`] reads one without the program that it is of.
//!
//! ```text
//! running job --checkpoint--> state directory --Conversion--> savepoint --Restored--> another job
//!                 (pages, frames: this build's)   off the shards   (values: anybody's)
//! ```
//!
//! A savepoint is made from a durable checkpoint, off the shards: they go on as after any checkpoint. What operators keep is read with the
//! types that they declared when they were opened (`StateTypes`), and written as values with their schemas. A job that goes on from a
//! savepoint puts every entry in anew, as it does after a rescaling, whatever its number of shards.
//!
//! The format is drawn byte by byte in `docs/formats/savepoint.md`.

mod blocks;
mod check;
mod conversion;
mod diff;
mod edit;
mod error;
mod export;
mod flight;
mod head;
mod migration;
mod portable;
mod reader;
#[cfg(test)]
mod tests;
mod types;

pub use check::{OperatorCheck, RestoreCheck, StateCheck, Verdict};
pub use diff::Difference;
pub use edit::Edit;
pub use error::SavepointError;
pub use head::StateKind;
pub use migration::Migrations;
pub use portable::StateMisfit;
pub use reader::{Entry, Savepoint, SourcePosition, StateInfo};

pub(crate) use conversion::Conversion;
pub(crate) use flight::save_frames;
#[cfg(feature = "fuzzing")]
pub(crate) use head::Head;
pub(crate) use head::ShardHead;
pub(crate) use portable::Portable;
pub(crate) use types::{Form, RecordType, StateTypes, TableOfState, TableRole};

/// The version of everything in a savepoint. It changes when any layout in it does; the two versions before it can be read.
pub const SAVEPOINT_VERSION: u32 = 1;
