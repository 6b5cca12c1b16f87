//! The evictors that come with the engine, which are Flink's.

mod count;
mod delta;
mod time;

pub use count::CountEvictor;
pub use delta::DeltaEvictor;
pub use time::TimeEvictor;
