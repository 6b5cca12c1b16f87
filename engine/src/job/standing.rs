//! Since when a job stands where it stands, and how it failed last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::JobStatus;

/// A failure of the job, from which it was started again or which ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: SystemTime,
    /// How long ago that is.
    pub ago: Duration,
    /// Why.
    pub cause: String,
}

/// Kept up to date with every change of the status.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Facts>);

#[derive(Debug)]
struct Facts {
    status: JobStatus,
    since: (SystemTime, Instant),
    failure: Option<(SystemTime, Instant, String)>,
}

impl Default for Facts {
    fn default() -> Self {
        let now = (SystemTime::now(), Instant::now());
        Facts { status: JobStatus::Created, since: now, failure: None }
    }
}

impl Standing {
    fn lock(&self) -> MutexGuard<'_, Facts> {
        // Fields are set in single steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job has a new status, of which a failure is the cause if there is one.
    pub(super) fn switch(&self, to: JobStatus, cause: Option<String>) {
        let (date, now) = (SystemTime::now(), Instant::now());
        let mut facts = self.lock();
        if facts.status != to {
            (facts.status, facts.since) = (to, (date, now));
        }
        if let Some(cause) = cause {
            facts.failure = Some((date, now, cause));
        }
    }

    /// Since when it has its status, and for how long that is.
    pub(super) fn since(&self) -> (SystemTime, Duration) {
        let (date, then) = self.lock().since;
        (date, then.elapsed())
    }

    pub(super) fn last_failure(&self) -> Option<LastFailure> {
        let facts = self.lock();
        let (at, then, cause) = facts.failure.as_ref()?;
        Some(LastFailure { at: *at, ago: then.elapsed(), cause: cause.clone() })
    }
}
