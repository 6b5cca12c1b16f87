//! Windows: how event time is cut into pieces. Only the arithmetic lives here; it is Flink's to the tick, and touches no state.
//!
//! An aligned window kind (tumbling; sliding and cumulative have the same shape) is a set of *slices*: a slice ends wherever a window begins or
//! ends, so every window is a run of whole slices, and a record is added to one slice however many windows it belongs to. An
//! operator written against [`Slices`] works for every aligned kind.

mod slices;
mod time_window;
mod tumbling;

pub use slices::Slices;
pub use time_window::TimeWindow;
pub use tumbling::{Tumbling, TumblingWindows, WindowError};
