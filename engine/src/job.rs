//! A job: a program with its settings, and a handle on it while it runs.

pub(crate) mod attempts;
mod error;
mod settings;
mod summary;
mod supervisor;

pub use error::JobError;
pub use settings::Job;
pub use summary::{JobStatus, Summary};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::runtime::metrics::JobMetrics;
use supervisor::Shared;

/// A handle on a running job, for the program that embeds it. Dropping it leaves the job running.
pub struct JobHandle {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Summary, JobError>>,
}

impl JobHandle {
    /// Where the job stands.
    pub fn status(&self) -> JobStatus {
        self.shared.status()
    }

    /// The figures of the job, read without stopping it.
    pub fn metrics(&self) -> JobMetrics {
        self.shared.metrics()
    }

    /// The longest loop gap of each shard since this was last asked: for measuring.
    #[doc(hidden)]
    pub fn take_loop_gaps(&self) -> Vec<std::time::Duration> {
        self.shared.take_loop_gaps()
    }

    /// Stops the job at once. Nothing is saved beyond the newest checkpoint; what transactional sinks had not committed by then is not
    /// made visible.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// Waits until the job has ended.
    ///
    /// # Errors
    /// What ended it, if it did not finish.
    pub fn wait(self) -> Result<Summary, JobError> {
        match self.thread.join() {
            Ok(result) => result,
            Err(payload) => {
                Err(JobError::Engine { message: crate::operator::failure::panic_message(&*payload) })
            }
        }
    }
}

/// A word that asks a job to stop.
#[derive(Debug, Default)]
pub(crate) struct Cancel(AtomicBool);

impl Cancel {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
