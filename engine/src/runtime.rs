//! Shards and what drives them.

pub mod wake;

pub use wake::Waker;
