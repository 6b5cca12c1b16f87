//! Accumulators: what a job counts beside its results.
//!
//! Each shard adds to a part of its own, without a lock; the parts are merged when somebody asks: at the end of the job, in
//! [`Summary::accumulators`](crate::job::Summary::accumulators), or while it runs, by
//! [`JobHandle::accumulators`](crate::job::JobHandle::accumulators). The parts are saved with every checkpoint, so that what was counted
//! is exactly once as state is. In Flink accumulators begin at zero again after a restart
//! ([Flink: Accumulators](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/user_defined_functions/#accumulators--counters)).
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::testing::script;
//!
//! let summary = Job::new("count").shards(1).run(|flow| {
//!     let seen = flow.counter("seen");
//!     flow.source("numbers", script([3i64, 5, 7]))
//!         .inspect(move |_| seen.add(1))
//!         .discard();
//! })?;
//! assert_eq!(summary.accumulators.counter("seen")?, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod banks;
mod extremes;
mod handle;
mod hdr;
mod histogram;
mod parts;
mod results;
mod sums;

pub use extremes::{Maximum, Minimum, Number};
pub use handle::Accumulating;
pub use hdr::HdrHistogram;
pub use histogram::Histogram;
pub use results::{AccumulatorError, Accumulators};
pub use sums::{Average, DoubleCounter, LongCounter};

pub(crate) use banks::Banks;
pub(crate) use parts::{Parts, SavedPart, Side, Totals};

use std::fmt;

use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// Something that values are added to, and that can be merged with others of its kind. `Default` is the accumulator that nothing was
/// added to; `Display` is what a summary prints.
///
/// The order in which values are added on different shards, and parts are merged, is not fixed: the result should not depend on it.
pub trait Accumulator: Default + Clone + fmt::Debug + fmt::Display + Send + 'static {
    /// What is added.
    type Value;

    /// The name of the kind: a checkpoint of another kind under the same name is refused.
    const KIND: &'static str;

    /// Adds a value.
    fn add(&mut self, value: Self::Value);

    /// Adds all that was added to another one.
    fn merge(&mut self, other: &Self);

    /// Writes it for a checkpoint.
    fn save(&self, out: &mut Writer);

    /// Reads what [`Accumulator::save`] wrote.
    ///
    /// # Errors
    /// The bytes are none that `save` writes.
    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError>;
}

#[cfg(test)]
mod tests;
