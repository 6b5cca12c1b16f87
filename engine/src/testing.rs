//! Instruments for tests, public: users test their own jobs with them.

pub mod cases;
pub mod contract;
pub mod golden;
mod harness;
mod script;
mod seat;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod seccomp;
pub mod sim;
pub mod sim_disk;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub use seccomp::refuse_io_uring;

pub use crate::script;
pub use cases::{Cases, CasesError};
pub use harness::{Feed, FeedReader, Harness, HarnessError, Input, Single, Snapshot, Step, TestFlow, single};
pub use script::{Abort, Cue, Script, ScriptReader, script, timed_script};
