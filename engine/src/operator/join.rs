//! Joins of two keyed streams by event time.

mod function;
mod interval;
mod side;

pub use function::JoinFunction;
pub(crate) use function::{FullJoin, InnerJoin, LeftJoin, Processed, RightJoin};
pub use function::{JoinContext, ProcessJoin};
pub(crate) use interval::Bounds;
pub use interval::IntervalJoin;
