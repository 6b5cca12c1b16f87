//! The engine of Millstream: a single-machine dataflow engine with Flink's DataStream semantics.
//!
//! Each layer knows only those below it:
//!
//! ```text
//! job, stream, embed what a program says                          (api)
//! operator, window   what happens to records                      (operators)
//! runtime            shards, drivers, coordinator, restarts       (runtime)
//! timers  time  state  channel  checkpoint  sort  journal         (services)
//! arena  record  key  element                                     (ground)
//! ```
#![warn(clippy::unwrap_used)]

// The derives name the engine by its crate name, here too.
extern crate self as millstream_engine;

// Failures of operators unwind to the shard's edge; without unwinding the first one would end the process.
#[cfg(panic = "abort")]
compile_error!("millstream needs panic = \"unwind\": remove panic = \"abort\" from the profile");

pub mod accumulator;
pub mod arena;
pub mod channel;
pub mod checkpoint;
pub mod disk;
pub mod element;
pub mod embed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod graph;
pub mod job;
pub mod journal;
pub mod key;
pub mod limits;
pub mod operator;
pub mod params;
pub mod prelude;
pub mod record;
pub mod runtime;
pub mod savepoint;
pub mod schema;
pub mod sink;
mod sort;
pub mod source;
pub mod state;
pub mod stream;
pub mod testing;
pub mod time;
pub mod timers;
#[doc(hidden)]
pub mod waiting;
pub mod window;

pub use key::Key;
pub use record::Record;

/// What derived code refers to. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::key::{KeyPart, KeySink, KeyText, total_width};
    pub use crate::record::derived::*;
    pub use rkyv;
}
