//! Whether the job is over.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::job::JobStatus;

/// Says how the job ended, once it has.
#[derive(Debug)]
pub(super) struct Closing(AtomicU8);

const OPEN: u8 = u8::MAX;

impl Default for Closing {
    fn default() -> Self {
        Closing(AtomicU8::new(OPEN))
    }
}

impl Closing {
    /// How the job ended; none where it has not.
    #[inline]
    pub(super) fn status(&self) -> Option<JobStatus> {
        match self.0.load(Ordering::Acquire) {
            OPEN => None,
            status => Some(JobStatus::from_u8(status)),
        }
    }

    /// The job is over. The first to say so counts.
    pub(super) fn close(&self, status: JobStatus) {
        // Said before: nothing changes.
        let _ = self.0.compare_exchange(OPEN, status as u8, Ordering::AcqRel, Ordering::Relaxed);
    }
}
