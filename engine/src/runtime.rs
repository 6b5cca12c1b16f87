//! Shards and what drives them.

pub mod driver;
pub mod placement;
pub mod preflight;
pub mod wait;
pub mod wake;

pub use wake::Waker;
