//! A single-machine dataflow engine: Flink's DataStream semantics in one process, at microsecond latency.
pub use millstream_engine::*;
/// Sources and sinks.
pub mod io {
    pub use millstream_io::*;
}
