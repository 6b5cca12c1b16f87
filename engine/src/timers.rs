//! Timers: an ordered set of (timestamp, key) as keyed state.
//!
//! A [`TimerQueue`] holds the timers of one operator on one shard, for one kind of time; who wants event time and processing time has
//! two of them. Its rules are Flink's (<https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/process_function/>):
//! a key has at most one timer per timestamp, timers fire in the order of their timestamps, deletion of an unknown timer does
//! nothing, and a timer that a callback registers at or before the time that is being advanced to fires within the same advance.
//! Beyond Flink's there are named timers, of which a key has at most one each: [`TimerQueue::reset`] replaces.
//!
//! # Where timers lie
//!
//! Timers lie in tables, hence in pages of the arena: they are saved incrementally, restored lazily and rescaled as all keyed state is.
//! Each table is a *leaf* of an ordered index and holds the timers of a range of time:
//!
//! ```text
//! leaves      0          4 170         9 002            what a checkpoint holds beside pages: where each
//!             |            |             |              leaf begins, its last timestamp, its table
//!           table        table         table            sub-keys (timestamp, key), no values
//!          ~200 keys    ~200 keys     one tick
//! ```
//!
//! A leaf that is full is split in time, by moving the smaller half; where timers come in order, a new leaf is begun and nothing moves. A
//! leaf whose timers are all due at the same tick just grows. Empty leaves go, sparse neighbours merge. So few timers take one page, however
//! far apart they lie, and many take little more than their entries.
//!
//! # How they fire
//!
//! The first leaf is read and sorted (that of a single tick is read in pieces, in the order of hashes); [`TimerQueue::pop`] hands its timers
//! out one by one, and takes each out of its table just then. What was not handed out is in the tables: a checkpoint between two
//! timers, at any place, loses and repeats nothing.

mod front;
mod index;
mod leaf;
mod named;
mod overdue;
mod queue;
mod saved;
#[cfg(test)]
mod tests;

pub use named::{TimerName, TooManyNames};
pub use overdue::Overdue;
pub use queue::{Due, Pop, TimerQueue};
pub use saved::{ImportError, SavedTimers};
