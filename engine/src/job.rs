//! A job: a program with its settings, and a handle on it while it runs.

mod answers;
pub(crate) mod attempts;
mod error;
mod event_time;
mod hot_keys;
mod id;
pub(crate) mod lifecycle;
mod result;
mod settings;
mod summary;
mod supervisor;

pub use answers::NoAnswer;
pub use error::JobError;
pub use event_time::{EventTime, EventTimeError, OperatorTime, Waiting, WaitingFor};
pub use hot_keys::{HotKey, HotKeys};
pub use id::JobId;
pub use lifecycle::{Change, JobEvent, TaskState};
pub use result::JobResult;
pub use settings::Job;
pub use summary::{JobStatus, Summary};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::accumulator::Accumulators;
use crate::runtime::metrics::JobMetrics;
use result::ResultSlot;
use supervisor::Shared;

/// A handle on a running job, for the program that embeds it. Dropping it leaves the job running.
pub struct JobHandle {
    shared: Arc<Shared>,
    result: Arc<ResultSlot>,
    thread: JoinHandle<()>,
}

impl JobHandle {
    /// Which run of the job this is: another one each time.
    pub fn id(&self) -> JobId {
        self.shared.id
    }

    /// What has happened to the job and its tasks so far: the newest ten thousand changes, in order.
    pub fn events(&self) -> Vec<JobEvent> {
        self.shared.lifecycle.events()
    }

    /// Where the job stands.
    pub fn status(&self) -> JobStatus {
        self.shared.status()
    }

    /// The figures of the job, read without stopping it.
    pub fn metrics(&self) -> JobMetrics {
        self.shared.metrics()
    }

    /// Where event time stands in every operator: its watermark, and how far it is behind what its sources have let out. The shards are
    /// asked and answer in their next step, so it costs nothing while nobody asks.
    ///
    /// # Errors
    /// The job does not run, or a shard is busy with something that takes longer than a second.
    pub fn event_time(&self) -> Result<EventTime, EventTimeError> {
        Ok(self.shared.event_time()?)
    }

    /// Why event time stands where it stands in an operator, on each shard: which partition of which source holds it, and since when. Each
    /// answer prints as a sentence.
    ///
    /// # Errors
    /// As [`JobHandle::event_time`]; or there is no operator of this name.
    pub fn why_waiting(&self, operator: &str) -> Result<Vec<Waiting>, EventTimeError> {
        self.event_time()?.why_waiting(operator)
    }

    /// Which keys each keyed operator sees most: where one shard has more to do than the others, most likely because of them. The shards are
    /// asked and answer in their next step.
    ///
    /// # Errors
    /// The job does not run, or a shard is busy with something that takes longer than a second.
    pub fn hot_keys(&self) -> Result<HotKeys, NoAnswer> {
        self.shared.hot_keys()
    }

    /// What the accumulators of the job have come to by now. The shards are asked and answer in their next step.
    ///
    /// # Errors
    /// The job does not run (what it had come to in the end is in its [`Summary`]), or a shard is busy with something that takes
    /// longer than a second.
    pub fn accumulators(&self) -> Result<Accumulators, NoAnswer> {
        self.shared.accumulators()
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

    /// Asks the job to make a checkpoint and to end when that is durable and all its sinks have committed up to there (Flink's `stop`). A job
    /// with a state directory goes on from there when it is run again. What plain sinks are given after the checkpoint comes again then.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// The end of the job, as a future that any executor can poll. The job runs whether it is polled or not. Its result is given once: to this
    /// future, or to [`JobHandle::wait`].
    pub fn result(&self) -> JobResult {
        JobResult(self.result.clone())
    }

    /// Waits until the job has ended.
    ///
    /// # Errors
    /// What ended it, if it did not finish.
    pub fn wait(self) -> Result<Summary, JobError> {
        let result = self.result.wait();
        // It has put the result down, and ends; a panic on the way there is the result.
        let _ = self.thread.join();
        result
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
