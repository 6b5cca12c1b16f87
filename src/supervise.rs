//! A process that runs the program in a child process and starts it again when that dies: of SIGKILL, of running out of memory, of an abort. What
//! a job survives inside of its process is the business of its restart strategy; this is for what takes the whole process.
//!
//! ```no_run
//! use millstream::prelude::*;
//! use millstream::supervise::{Role, supervise};
//! use std::error::Error;
//! use std::process::ExitCode;
//! # fn numbers() -> impl Source<Item = u64> { millstream::testing::script([1u64, 2, 3]) }
//!
//! fn main() -> Result<ExitCode, Box<dyn Error>> {
//!     // First of all: the program begins anew in the child.
//!     if let Role::Supervisor(code) = supervise(RestartStrategy::exponential_delay())? {
//!         return Ok(code);
//!     }
//!     let job = Job::new("evens").state_dir("state");
//!     millstream::signals::run(job, |flow| flow.source("numbers", numbers()).discard())?;
//!     Ok(ExitCode::SUCCESS)
//! }
//! ```
//!
//! The child goes on from its newest checkpoint, as any process does that is started again. Signals that are sent to the supervisor are
//! passed on; one that asks for the end (SIGTERM, SIGINT, SIGHUP, SIGQUIT) is answered by the child's end, which is then the supervisor's
//! too. Should the supervisor itself be killed, the child is sent SIGTERM.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use millstream_engine::element::Nanos;
use millstream_engine::runtime::restart::{RestartStrategy, Restarts};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

/// Set in the environment of the child: the process that supervises it.
const SUPERVISOR: &str = "MILLSTREAM_SUPERVISOR";

/// Signals that are passed on and end the child.
const ENDING: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// Signals that are passed on and mean what the child makes of them.
const OTHERS: [i32; 2] = [SIGUSR1, SIGUSR2];

/// What Rust programs exit with after a panic in `main`.
const PANICKED: i32 = 101;

/// How often the time is looked at in the pause before a restart.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Role {
    /// The one that does the work.
    Child,
    /// The other one; all is over, and this is what to exit with.
    Supervisor(ExitCode),
}

/// Why a program cannot be supervised.
#[derive(Debug, thiserror::Error)]
#[error("cannot supervise the program: {attempt}: {cause}")]
pub struct SuperviseError {
    /// What was attempted.
    attempt: &'static str,
    /// Why it could not be done.
    #[source]
    cause: io::Error,
}

impl SuperviseError {
    fn at(attempt: &'static str) -> impl FnOnce(io::Error) -> SuperviseError {
        move |cause| SuperviseError { attempt, cause }
    }
}

/// Runs this program, with the same arguments, in a child process, and starts it again whenever a signal or a panic has ended it, as the strategy
/// says. Returns at once in the child, and in the supervisor when all is over: the child has exited by itself, or it was asked to end, or the
/// strategy gives up.
///
/// To be called before anything else is done, and before any thread is started.
///
/// # Errors
/// The program cannot be started once more, or no signal handler can be set.
pub fn supervise(strategy: RestartStrategy) -> Result<Role, SuperviseError> {
    if let Some(supervisor) = std::env::var(SUPERVISOR).ok().and_then(|pid| pid.parse::<u32>().ok()) {
        end_with(supervisor)?;
        return Ok(Role::Child);
    }
    let listened = [ENDING.as_slice(), &OTHERS, &[SIGCHLD]].concat();
    let signals = Signals::new(listened).map_err(SuperviseError::at("setting signal handlers"))?;
    let mut supervisor = Supervisor { signals, asked_to_end: false, begun: Instant::now() };
    let mut restarts = Restarts::new(strategy, u64::from(std::process::id()));
    loop {
        let mut child = start()?;
        tracing::info!(pid = child.id(), restarts = restarts.done(), "supervised process started");
        let status = supervisor.wait_for(&mut child)?;
        if supervisor.asked_to_end || !is_crash(status) {
            return Ok(Role::Supervisor(exit_code(status)));
        }
        let Some(delay) = restarts.after_failure(supervisor.now()) else {
            let restarts = restarts.done();
            tracing::error!(restarts, "the supervised process {}; it is not started again", how(status));
            return Ok(Role::Supervisor(exit_code(status)));
        };
        tracing::warn!(
            restart = restarts.done(),
            ?delay,
            "the supervised process {}; starting it again",
            how(status)
        );
        if !supervisor.pause(delay) {
            return Ok(Role::Supervisor(exit_code(status)));
        }
    }
}

/// Only Linux tells a process of its parent's death; elsewhere it goes on by itself.
#[cfg(not(target_os = "linux"))]
fn end_with(_: u32) -> Result<(), SuperviseError> {
    Ok(())
}

/// Sees to it that this process is asked to end when its supervisor dies.
#[cfg(target_os = "linux")]
fn end_with(supervisor: u32) -> Result<(), SuperviseError> {
    let attempt = "asking to be told of the supervisor's end";
    let asked = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    asked.map_err(|error| SuperviseError::at(attempt)(error.into()))?;
    // It may have died before that.
    if std::os::unix::process::parent_id() != supervisor {
        return Err(SuperviseError::at(attempt)(io::Error::other("it is dead already")));
    }
    Ok(())
}

fn start() -> Result<Child, SuperviseError> {
    let program = std::env::current_exe().map_err(SuperviseError::at("finding the program's own file"))?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(SUPERVISOR, std::process::id().to_string());
    // A group of its own: what is typed at a terminal comes once, by way of the supervisor.
    command.process_group(0);
    command.spawn().map_err(SuperviseError::at("starting the child process"))
}

struct Supervisor {
    signals: Signals,
    asked_to_end: bool,
    begun: Instant,
}

impl Supervisor {
    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Passes signals on until the child has ended.
    fn wait_for(&mut self, child: &mut Child) -> Result<ExitStatus, SuperviseError> {
        loop {
            if let Some(status) =
                child.try_wait().map_err(SuperviseError::at("waiting for the child process"))?
            {
                return Ok(status);
            }
            // A child that has ended meanwhile has sent SIGCHLD, which waits here.
            for signal in self.signals.wait().filter(|signal| *signal != SIGCHLD).collect::<Vec<_>>() {
                self.asked_to_end |= ENDING.contains(&signal);
                pass_on(signal, child);
            }
        }
    }

    /// Waits before a restart. False where the end is asked for meanwhile.
    fn pause(&mut self, delay: Duration) -> bool {
        let end = Instant::now() + delay;
        loop {
            self.asked_to_end |= self.signals.pending().any(|signal| ENDING.contains(&signal));
            let left = end.saturating_duration_since(Instant::now());
            if self.asked_to_end || left.is_zero() {
                return !self.asked_to_end;
            }
            std::thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

fn pass_on(signal: i32, child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (Some(pid), Some(named)) = (pid, Signal::from_named_raw(signal)) else { return };
    // The child is not reaped before its end is known, so that its number is nobody else's.
    if let Err(error) = kill_process(pid, named) {
        tracing::warn!(%error, "cannot pass {} on", signal_name(signal).unwrap_or("a signal"));
    }
}

/// Whether the program had no say in its end.
fn is_crash(status: ExitStatus) -> bool {
    status.signal().is_some() || status.code() == Some(PANICKED)
}

fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            format!("was killed by signal {signal} ({})", signal_name(signal).unwrap_or("unknown"))
        }
        (None, Some(PANICKED)) => "panicked".to_owned(),
        (None, code) => format!("ended with exit code {}", code.unwrap_or(-1)),
    }
}

/// That of the child, as a shell gives it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
