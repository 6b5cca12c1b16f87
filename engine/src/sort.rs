//! Bringing the records of a key together, whatever their number: what stands before a keyed operator in batch mode.
//!
//! ```text
//!   batches --> Buffer ----full----> run on disk    (as often as it takes)
//!               radix                run on disk
//!               buckets              run on disk
//!                  |                     |
//!                  '--all fits--> order <--merge
//!                                   |
//!                         batches, key after key
//! ```
//!
//! Records are dealt to buckets by the first bits of their hash as they come (a radix partition); the buckets are sorted one by one when the
//! buffer is given out, so that no step takes long. Within a key, records come in the order of their event time, those of one time as
//! they came. Keys come in the order of their hashes, which are a property of the job: the same each time.
//!
//! What a sorter has brought to disk is kept until the job is over, and *sealed* when its input has ended: where a later stage of the job
//! fails, the next attempt takes it from there (`docs/formats/stage.md`).

mod blocks;
mod buffer;
mod error;
mod merge;
mod reader;
mod seal_writer;
mod sealed;
mod sorter;
#[cfg(test)]
mod tests;
mod tickets;
mod writer;

pub(crate) use error::SortError;
pub(crate) use sealed::Sealed;
pub use sorter::SorterPlan;
pub(crate) use sorter::{Front, Sorter};

use crate::element::{KeyHash, Timestamp};

/// How much one read or write of a run takes, unless a single frame is longer.
const BLOCK_BYTES: usize = if cfg!(test) { 4096 } else { 128 * 1024 };

/// A record on its way from one place to another.
#[derive(Clone, Copy)]
struct Item<'a> {
    at: Timestamp,
    hash: KeyHash,
    key: &'a [u8],
    record: &'a [u8],
}
