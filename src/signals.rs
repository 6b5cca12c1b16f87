//! Ending a job by signals, as a service manager or Ctrl-C does it: the first SIGTERM or SIGINT asks the job to make a checkpoint, to commit up
//! to there and to end; a second one ends it at once.
//!
//! ```no_run
//! use millstream::prelude::*;
//! # fn numbers() -> impl Source<Item = u64> { millstream::testing::script([1u64, 2, 3]) }
//!
//! let job = Job::new("evens").state_dir("state");
//! let summary = millstream::signals::run(job, |flow| flow.source("numbers", numbers()).discard())?;
//! println!("{summary}"); // FINISHED, STOPPED or CANCELED
//! # Ok::<(), JobError>(())
//! ```

use std::io;
use std::thread::JoinHandle;

use millstream_engine::graph::Flow;
use millstream_engine::job::{Job, JobControl, JobError, Summary};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::signal_name;

/// Listens for SIGTERM and SIGINT on behalf of a job, until it is dropped. Meanwhile neither of them ends the process by itself.
#[derive(Debug)]
pub struct SignalWatch {
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Begins to listen: [`JobControl::stop`] at the first signal, [`JobControl::cancel`] at any further one.
    ///
    /// # Errors
    /// The operating system lets no handler be set, or no thread be started.
    pub fn over(job: JobControl) -> io::Result<SignalWatch> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let handle = signals.handle();
        let listen = move || {
            let mut asked = false;
            for signal in signals.forever() {
                let signal = signal_name(signal).unwrap_or("a signal");
                if asked {
                    tracing::warn!("{signal} once more: the job ends at once");
                    job.cancel();
                } else {
                    tracing::info!("{signal}: the job ends after a checkpoint; another one ends it at once");
                    job.stop();
                }
                asked = true;
            }
        };
        let thread = std::thread::Builder::new().name("mill-signals".to_owned()).spawn(listen)?;
        Ok(SignalWatch { signals: handle, thread: Some(thread) })
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked listens no more.
            let _ = thread.join();
        }
    }
}

/// Runs a job as [`Job::run`] does, with a [`SignalWatch`] over it.
///
/// # Errors
/// As [`Job::run`]; or no signal handler can be set.
pub fn run(job: Job, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<Summary, JobError> {
    let handle = job.spawn(program)?;
    let watch = SignalWatch::over(handle.control());
    let _watch = match watch {
        Ok(watch) => watch,
        Err(error) => {
            handle.cancel();
            let problem =
                format!("cannot listen for SIGTERM and SIGINT: {error}; use Job::run to do without");
            return Err(JobError::Setting { setting: "signals", problem });
        }
    };
    handle.wait()
}
