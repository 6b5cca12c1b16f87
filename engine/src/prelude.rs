//! What most programs need.

pub use crate::element::Timestamp;
pub use crate::embed::{
    Ask, AskOptions, Asked, Egress, EgressOptions, Ingress, IngressOptions, Level, Overload, Reply,
};
pub use crate::graph::Flow;
pub use crate::job::{CheckpointMode, Job, JobError, JobHandle, JobStatus, RuntimeMode, Summary};
pub use crate::key::Key;
pub use crate::operator::{Out, Tag, Value};
pub use crate::record::{Record, View};
pub use crate::runtime::driver::DriverKind;
pub use crate::runtime::restart::RestartStrategy;
pub use crate::runtime::wait::WaitPolicy;
pub use crate::sink::Sink;
pub use crate::source::Source;
pub use crate::stream::{Stream, WindowKind};
pub use crate::time::{Tick, Watermarks};
pub use crate::window::{
    Aggregate, Cumulative, Firing, Global, Session, Sliding, TimeWindow, Tumbling, WindowContext,
    WindowResult,
};
