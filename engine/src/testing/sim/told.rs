//! What a simulation tells of its job: events, dated by its own clock.

use std::time::{Duration, SystemTime};

use super::Simulation;
use crate::job::{JobError, JobEvent, JobStatus};

impl Simulation {
    /// What has happened to the job and its tasks so far, by the simulation's clock: what
    /// [`JobHandle::events`](crate::job::JobHandle::events) gives of a job on real threads.
    pub fn events(&self) -> Vec<JobEvent> {
        self.lifecycle.events()
    }

    /// The clock's reading as a date.
    pub(super) fn date(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.now.0)
    }

    pub(super) fn set_status(&mut self, status: JobStatus, cause: Option<&JobError>) {
        self.lifecycle.job(self.status, status, cause.map(JobError::to_string), self.date());
        self.status = status;
    }
}
