//! The kit's golden runs, as the tests here use them: each result comes every way.

pub use millstream::testing::golden::{Once, Paused, Results, Run, every_way};
