//! What every benchmark program measures with, Millstream's own and those of its peers.
//!
//! It knows nothing of the engine, so that the peers need not build it: see `docs/benchmarks/peers.md`.

pub mod clock;
pub mod course;
pub mod lock;
pub mod machine;
pub mod report;
pub mod stats;
pub mod tally;
pub mod works;
