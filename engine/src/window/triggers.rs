//! The triggers that come with the engine: Flink's, and those that people wish for.

mod at_end;
mod continuous;
mod count;
mod delta;
mod never;
mod or_end;
mod purging;

pub use at_end::{AtEnd, EventTimeTrigger, ProcessingTimeTrigger};
pub use continuous::{ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger};
pub use count::CountTrigger;
pub use delta::DeltaTrigger;
pub use never::NeverTrigger;
pub use or_end::OrEndOfWindow;
pub use purging::PurgingTrigger;
