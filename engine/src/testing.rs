//! Instruments for tests, public: users test their own jobs with them.
//!
//! | to test | use |
//! | --- | --- |
//! | one operator, or a few in a row, record by record | [`Harness`] |
//! | the same from a table in a file | [`Cases`] |
//! | that a restart at any moment changes nothing | [`contract`] |
//! | a whole program: one result, whatever the shards and checkpoints | [`golden::every_way`] |
//! | restarts and their strategies | [`script!`](crate::script!) with `Abort` |
//! | a job with power cuts, full disks and slow shards | [`sim::Simulation`] on a [`sim_disk::SimDisk`] |
//!
//! All but the golden runs on threads happen in the thread of the test and come out the same each time.

pub mod cases;
pub mod contract;
pub mod golden;
pub mod harness;
mod position;
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
