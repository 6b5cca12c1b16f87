//! Joins of keyed streams by event time.

mod all;
mod as_of;
mod function;
mod grid;
mod interval;
mod running;
mod side;
#[cfg(test)]
mod tests;

pub use all::{AllFunction, AllJoin, Streams};
pub(crate) use all::{Complete, LateOfAll, Partial};
pub use as_of::AsOfJoin;
pub use function::JoinFunction;
pub(crate) use function::{FullJoin, InnerJoin, LeftJoin, Processed, RightJoin};
pub use function::{JoinContext, ProcessJoin};
pub(crate) use interval::Bounds;
pub use interval::IntervalJoin;
