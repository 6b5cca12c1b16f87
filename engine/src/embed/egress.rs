//! The way of records from a job to its host program.

mod options;
mod outlets;
mod receiver;
mod sink;
#[cfg(test)]
mod tests;

pub use options::EgressOptions;
pub(super) use outlets::Outlets;
pub use receiver::{Egress, Recv};
pub(crate) use sink::EgressSink;
