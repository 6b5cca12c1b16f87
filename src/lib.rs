//! A single-machine dataflow engine: Flink's DataStream semantics in one process, at microsecond latency.
//!
//! Begin with [`prelude`], [`job::Job`] and the methods of [`stream::Stream`]; sources and sinks are in [`io`].

pub mod signals;
pub mod supervise;

pub use millstream_engine::*;

/// Sources and sinks.
pub mod io {
    pub use millstream_io::*;
}

/// The README's program is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the guide.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide/coming-from-flink.md")]
struct ComingFromFlinkGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/running-jobs.md")]
struct RunningJobsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/checkpoints.md")]
struct CheckpointsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/failures.md")]
struct FailuresGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/event-time.md")]
struct EventTimeGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/testing.md")]
struct TestingGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/windows.md")]
struct WindowsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/triggers-and-evictors.md")]
struct TriggersGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/batch.md")]
struct BatchGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/iterations.md")]
struct IterationsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/joins.md")]
struct JoinsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/partitioning.md")]
struct PartitioningGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/state.md")]
struct StateGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/savepoints.md")]
struct SavepointsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/process-functions.md")]
struct ProcessFunctionsGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/async-io.md")]
struct AsyncIoGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/guide/embedding.md")]
struct EmbeddingGuide;
