//! Windows: how event time is cut into pieces. Only the arithmetic lives here; it is Flink's to the tick, and touches no state.
//!
//! An aligned window kind ([`Tumbling`], [`Sliding`], [`Cumulative`]) is a set of *slices*: a slice ends wherever a window begins or
//! ends, so every window is a run of whole slices, and a record is added to one slice however many windows it belongs to. An
//! operator written against [`Slices`] works for every aligned kind.
//!
//! Other kinds ([`Session`], [`Global`]) follow from the records: a [`WindowAssigner`] gives each record its windows. Aligned kinds are
//! assigners too.

mod aggregate;
mod assigner;
mod cumulative;
mod error;
mod evictor;
mod evictors;
mod global;
mod grid;
mod late_ledger;
mod result;
mod session;
mod slices;
mod sliding;
mod time_window;
mod top_n;
mod trigger;
mod triggers;
mod tumbling;

pub use aggregate::Aggregate;
pub use assigner::{AssignedBy, OnClock, TimeDomain, WindowAssigner};
pub use cumulative::{Cumulative, CumulativeWindows};
pub use error::WindowError;
pub(crate) use error::lateness;
pub use evictor::{Evicting, Evictor, KeepAll, Timed};
pub use evictors::{CountEvictor, DeltaEvictor, TimeEvictor};
pub use global::{Global, GlobalWindow};
pub(crate) use grid::Grid;
pub use late_ledger::{LATE_SAMPLES, LateLedger, LateSample};
pub use result::{Firing, WindowContext, WindowResult};
pub use session::{
    DynamicSession, DynamicSessionWindows, MergedWindow, Session, SessionWindows, merge_windows,
};
pub use slices::{Aligned, Slices};
pub use sliding::{Sliding, SlidingWindows};
pub use time_window::TimeWindow;
pub use top_n::{Best, Candidate, OfResult, Ranked};
pub(crate) use trigger::TimerChange;
pub use trigger::{Trigger, TriggerContext, TriggerResult};
pub use triggers::{
    AtEnd, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger,
    EventTimeTrigger, NeverTrigger, OrEndOfWindow, ProcessingTimeTrigger, PurgingTrigger,
};
pub use tumbling::{Tumbling, TumblingWindows};
