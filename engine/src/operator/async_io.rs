//! Calls of the world outside, many at a time (Flink's Async I/O,
//! <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/asyncio/>): for each record a program's closure makes
//! a future, and what the future comes to goes on in the record's place.
//!
//! ```text
//! record --> waiting --> calling <--> pausing before another attempt
//!            (rarely)       |            |
//!                           v            v
//!                        answered: value, or what becomes of a record without an answer --> given out
//! ```
//!
//! Futures are polled on the shard, by the operator, when they have been woken: they need not be `Send`, and nothing is allocated per record
//! once as many have been under way as the operator allows. They may be woken from any thread. A record stays in its slot, as archived bytes,
//! until its result has gone on: what is saved of it in a checkpoint is the record, and it is asked again after a restart.

mod answer;
mod blocking;
mod cache;
mod call;
mod life;
mod lookup;
mod operator;
mod queue;
mod retry;
mod saved;
mod surroundings;
#[cfg(test)]
mod tests;
mod woken;

pub use answer::{Always, Answer, IfAny, MayFail, NoAnswer};
pub(crate) use answer::{Otherwise, Settings};
pub use blocking::{Blocking, blocking};
pub use lookup::LookedUp;
pub(crate) use lookup::Lookup;
pub use operator::AsyncWait;
pub use retry::Retry;
pub use surroundings::{Sleep, sleep};
