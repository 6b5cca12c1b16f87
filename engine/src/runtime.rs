//! Shards, what drives them, and what watches over them.
//!
//! ```text
//! job (control thread)      coordinator: epochs, commits, restarts
//!   |  control words            ^  events
//!   v                           |
//! shard 0 .. n-1            step(now): inputs -> chains -> outputs, a slice of the running checkpoint
//!   ^
//! driver                    glommio | thread | sim
//! ```

pub(crate) mod affinity;
pub(crate) mod attempt;
pub(crate) mod auto_interval;
pub mod beside;
pub(crate) mod control;
pub(crate) mod coordinator;
pub mod driver;
pub(crate) mod job_meta;
pub mod metrics;
pub mod placement;
pub(crate) mod prefaults;
pub mod preflight;
pub(crate) mod reads;
pub mod restart;
pub(crate) mod restored;
pub(crate) mod saving;
pub(crate) mod shard;
pub(crate) mod snapshot;
pub(crate) mod spill_dir;
pub(crate) mod stages;
pub mod stalls;
pub mod wait;
pub mod wake;

pub use wake::Waker;
