//! What turns shards: threads that call [`Drive::step`], give each shard a disk that never blocks it, and put it to sleep when it has
//! nothing to do.
//!
//! Two drivers, one contract:
//!
//! - **glommio**: one pinned io_uring executor per shard; Linux, where io_uring is permitted;
//! - **thread**: pinned threads, with one more thread per job that does the file I/O of all its shards.
//!
//! ```text
//!  start(kind, clock, specs)
//!    thread of shard i:  prepare (pin, executor) --> ready --> [gate] --> build(disk) --> step step step ... Done --> end
//!    the caller:         all ready? open the gates : give the specs back and fall back, or fail
//! ```

mod blocking;
#[cfg(target_os = "linux")]
mod glommio;
mod io_workers;
mod launch;
mod shard;
#[cfg(test)]
mod tests;
mod thread;

use super::placement::CoreId;
use super::preflight::{self, Refusal};
use super::wait::WaitPolicy;
use super::wake::Waker;
use crate::disk::ShardDisk;
use crate::element::{Nanos, ShardId};
use crate::time::Clock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

/// One shard, as a driver sees it. Lives on its own thread from its first moment to its last.
pub trait Drive {
    /// Does a bounded amount of work (some tens of microseconds at most); never blocks.
    fn step(&mut self, now: Nanos) -> Step;
    /// Whether something arrived since the last step, time and the disk apart. Cheap: asked again and again while the shard looks
    /// for work, and once more after its wish to sleep has been made known to those who would wake it.
    fn has_work(&self) -> bool;
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something; there may be more.
    Worked,
    /// Nothing: no input, and nothing due before `until`.
    Idle {
        /// The next moment at which there is something to do without input.
        until: Option<Nanos>,
    },
    /// The last one. The shard is dropped, its files are closed.
    Done,
}

/// Makes a shard on its own thread, where it stays; it need not be `Send`.
pub type BuildShard = Box<dyn FnOnce(Box<dyn ShardDisk>) -> Box<dyn Drive> + Send>;

/// What a driver has to know to run a shard.
pub struct ShardSpec {
    /// Which shard.
    pub shard: ShardId,
    /// The core to pin its thread to.
    pub core: Option<CoreId>,
    /// How it waits for input.
    pub wait: WaitPolicy,
    /// Wakes it; the driver binds it to the shard's thread.
    pub waker: Waker,
    /// Makes it.
    pub build: BuildShard,
}

/// Which driver runs a job's shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverKind {
    /// [`DriverKind::Glommio`] where it can run, else [`DriverKind::Thread`] with a warning that says why.
    #[default]
    Auto,
    /// io_uring, through the glommio crate.
    Glommio,
    /// Plain threads and blocking I/O.
    Thread,
}

impl std::fmt::Display for DriverKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DriverKind::Auto => "auto",
            DriverKind::Glommio => "glommio",
            DriverKind::Thread => "thread",
        })
    }
}

/// Why shards could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A job without shards.
    #[error("there are no shards to run; a job needs at least one")]
    NoShards,
    /// The glommio driver was asked for and cannot run here.
    #[error("the glommio driver cannot run here: {0}; {remedy}", remedy = .0.remedy())]
    Refused(#[from] Refusal),
    /// A shard's thread could not be pinned.
    #[error(
        "cannot pin shard {shard} to core {core}: {message}; choose a core of this process's cpuset, or leave the shard unpinned"
    )]
    Pin {
        /// Which shard.
        shard: ShardId,
        /// To which core.
        core: CoreId,
        /// What went wrong.
        message: String,
    },
    /// A thread could not be started.
    #[error(
        "cannot start thread {name}: {error}; raise the limit on threads (ulimit -u, pids.max), or lower the number of shards"
    )]
    Spawn {
        /// The thread's name.
        name: String,
        /// The operating system's words.
        error: std::io::Error,
    },
    /// An io_uring executor could not be made, although the preflight check found nothing wrong.
    #[error(
        "cannot make the io_uring executor of shard {shard}: {message}; use the thread driver, or raise the limits on locked memory and open files (ulimit -l, ulimit -n)"
    )]
    Executor {
        /// Whose executor.
        shard: ShardId,
        /// What went wrong.
        message: String,
    },
}

/// What a shard was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Being built.
    Build,
    /// Running.
    Step,
    /// Being dropped.
    Drop,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Build => "being built",
            Phase::Step => "running",
            Phase::Drop => "being dropped",
        })
    }
}

/// How a shard failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardFailure {
    /// A panic left the shard.
    #[error("shard {shard} panicked while {phase}: {message}")]
    Panicked {
        /// Which shard.
        shard: ShardId,
        /// When.
        phase: Phase,
        /// The panic's message.
        message: String,
    },
    /// The driver itself failed.
    #[error("the driver of shard {shard} failed: {message}; the thread driver does without io_uring")]
    Driver {
        /// Which shard.
        shard: ShardId,
        /// What went wrong.
        message: String,
    },
}

/// The end of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardEnd {
    /// Which shard.
    pub shard: ShardId,
    /// How it ended: its last step said [`Step::Done`], or a failure.
    pub result: Result<(), ShardFailure>,
}

/// Shards under way. Dropping this does not stop them.
#[must_use = "shards run until their steps say Done; join them"]
#[derive(Debug)]
pub struct RunningShards {
    driver: DriverKind,
    threads: Vec<JoinHandle<()>>,
    /// The thread driver's I/O thread.
    helper: Option<JoinHandle<()>>,
    ends: Receiver<ShardEnd>,
    ended: Vec<ShardEnd>,
}

impl RunningShards {
    /// The driver that was chosen; never [`DriverKind::Auto`].
    pub fn driver(&self) -> DriverKind {
        self.driver
    }

    /// Waits up to `timeout` for another shard to end. `None` where none did, and once all have.
    pub fn next_end(&mut self, timeout: Duration) -> Option<&ShardEnd> {
        let end = self.ends.recv_timeout(timeout).ok()?;
        self.ended.push(end);
        self.ended.last()
    }

    /// Waits until every shard has ended and every file operation is over; no thread is left then. The ends, by shard.
    pub fn join(mut self) -> Vec<ShardEnd> {
        self.ended.extend(self.ends.iter());
        for thread in self.threads.drain(..).chain(self.helper.take()) {
            // The threads catch every panic that matters and report it as an end.
            let _ = thread.join();
        }
        self.ended.sort_by_key(|end| end.shard);
        self.ended
    }
}

/// Whether the process has been told that glommio cannot run here. Of the process and not of a job: what refuses io_uring does so for all of them,
/// and a host that starts a job per request would read it per request.
static FALLBACK_TOLD: AtomicBool = AtomicBool::new(false);

/// Starts shards, each on a thread of its own (called `mill-shard-<n>`). When this returns, every thread is pinned and every executor
/// is made; the shards are being built.
///
/// # Errors
/// Nothing runs then: a thread, a core or an executor was refused.
pub fn start(kind: DriverKind, clock: Clock, specs: Vec<ShardSpec>) -> Result<RunningShards, DriverError> {
    if specs.is_empty() {
        return Err(DriverError::NoShards);
    }
    match kind {
        DriverKind::Thread => thread::start(clock, specs),
        DriverKind::Glommio => {
            preflight::check_io_uring(specs.len())?;
            start_glommio(clock, specs).map_err(|not_started| not_started.error)
        }
        DriverKind::Auto => {
            let (reason, specs) = match preflight::check_io_uring(specs.len()) {
                Err(refusal) => (DriverError::Refused(refusal), specs),
                Ok(()) => match start_glommio(clock.clone(), specs) {
                    Ok(running) => return Ok(running),
                    Err(not_started) => (not_started.error, not_started.specs),
                },
            };
            let running = thread::start(clock, specs)?;
            // Once: a restart meets the same refusal.
            if !FALLBACK_TOLD.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "falling back to the thread driver: {reason}. Results are the same; file I/O takes a helper \
                     thread, so checkpoints take longer. Choose the thread driver to silence this warning"
                );
            }
            Ok(running)
        }
    }
}

/// A start that was given up; the specs are whole.
struct NotStarted {
    error: DriverError,
    specs: Vec<ShardSpec>,
}

#[cfg(target_os = "linux")]
fn start_glommio(clock: Clock, specs: Vec<ShardSpec>) -> Result<RunningShards, NotStarted> {
    self::glommio::start(clock, specs)
}

#[cfg(not(target_os = "linux"))]
fn start_glommio(_clock: Clock, specs: Vec<ShardSpec>) -> Result<RunningShards, NotStarted> {
    Err(NotStarted { error: Refusal::NotLinux.into(), specs })
}

/// Makes an io_uring executor and drops it.
#[cfg(target_os = "linux")]
pub(super) fn probe_executor() -> Result<(), String> {
    self::glommio::probe()
}

/// The words of a panic.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}
