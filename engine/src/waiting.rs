//! How threads and tasks outside the shards wait for something that a shard, or another thread, does: without asking again and again,
//! and at the cost of a fence and a load for whoever does it while nobody waits.

pub(crate) mod atomic;
mod bell;
mod thread;

pub use bell::Bell;
pub(crate) use thread::wait_for;
