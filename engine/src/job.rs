//! A job: a program with its settings, and a handle on it while it runs.

mod answers;
pub(crate) mod attempts;
pub(crate) mod checkpointing;
mod committed_state;
mod error;
mod event_time;
mod given;
mod health;
mod hot_keys;
mod id;
mod late_records;
pub(crate) mod lifecycle;
mod poison;
mod restarting;
mod result;
mod savepoints;
mod settings;
mod shared;
mod standing;
mod state_reads;
mod summary;
mod supervisor;
mod watch;

pub use answers::NoAnswer;
pub use checkpointing::{CheckpointInterval, CheckpointRetention, NoInterval, NoRetention};
pub use committed_state::{CommittedState, CommittedStateError, CommittedValues};
pub use error::{JobError, OperatorFailure};
pub use event_time::{EventTime, EventTimeError, OperatorTime, Waiting, WaitingFor};
pub use given::{SettingConflict, SettingOrigin};
pub use health::{CheckpointHealth, Concern, Health, LastFailure, ShardActivity, ShardHealth, Verdict};
pub use hot_keys::{HotKey, HotKeys};
pub use id::JobId;
pub(crate) use id::random;
pub use late_records::{LateRecord, LateRecords, OperatorLateRecords};
pub use lifecycle::{Change, JobEvent, TaskState};
pub use poison::{PoisonPolicy, PoisonRecord};
pub use result::JobResult;
pub use settings::Job;
pub use state_reads::{MapStateHandle, StateHandle, StateReadError};
pub use summary::{JobStatus, Summary};
pub use watch::{Change as CommittedChange, Changes, NextChange, Watch, WatchError};

pub use crate::checkpoint::CheckpointMode;
pub use crate::graph::{NoSuchMode, RuntimeMode};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use crate::accumulator::Accumulators;
use crate::runtime::metrics::{CheckpointStatistics, JobMetrics};
use crate::runtime::placement::CoreId;
use crate::savepoint::SavepointError;
use result::ResultSlot;
use savepoints::Ending;
use shared::Shared;

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

    /// How the job is, for a host's health endpoint: one value that says what is wrong, if anything is. It is put together from counters;
    /// shards are neither stopped nor asked, so it answers at once, whatever they do.
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// The core that each shard holds, from shard 0 on; none where the operating system chooses. For what is left to others, see
    /// [`cores_left`](crate::runtime::placement::cores_left).
    pub fn cores(&self) -> &[Option<CoreId>] {
        &self.shared.started().cores
    }

    /// The newest checkpoints that are over, at most a hundred, oldest first: when and why each was made, how long it took and what it
    /// wrote, shard by shard, and why it failed if it did.
    pub fn checkpoints(&self) -> Vec<CheckpointStatistics> {
        self.metrics().checkpoints.history().cloned().collect()
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

    /// Which records came too late for each window and join: how many, how late, and the last ones with key, time, watermark and window. The
    /// shards are asked and answer in their next step.
    ///
    /// # Errors
    /// The job does not run (how it was in the end is in its [`Summary`]), or a shard is busy with something that takes longer than a second.
    pub fn late_records(&self) -> Result<LateRecords, NoAnswer> {
        self.shared.late_records()
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

    /// What can be told the job from other threads.
    pub fn control(&self) -> JobControl {
        JobControl { shared: self.shared.clone() }
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

    /// Makes a savepoint while the job goes on (Flink's `savepoint`), and waits until it is written. The job makes a checkpoint for it, and
    /// the shards take no further part. It goes into a new directory in `into`, whose path is given back.
    ///
    /// # Errors
    /// The job has no state directory, is in batch mode, or ends before there is a checkpoint; or the savepoint cannot be written.
    pub fn savepoint(&self, into: impl AsRef<Path>) -> Result<PathBuf, SavepointError> {
        self.written(self.shared.savepoints.ask(Some(into.as_ref()), None))
    }

    /// Stops the job as [`JobHandle::stop`] does, and makes a savepoint of its last checkpoint (Flink's `stop --savepointPath`). It goes into
    /// a new directory in `into`, or where that is `None` in `savepoints` in the state directory; its path is given back.
    ///
    /// With `drain`, the sources end first as if there were nothing more to be read: event time comes to its end, all windows and timers of
    /// event time fire, and the job finishes. Such a savepoint is for reading: its partitions have ended, and event time has.
    ///
    /// # Errors
    /// As [`JobHandle::savepoint`]. A job that can make no savepoints at all is not stopped.
    pub fn stop_with_savepoint(&self, into: Option<&Path>, drain: bool) -> Result<PathBuf, SavepointError> {
        let ending = if drain { Ending::Drain } else { Ending::Stop };
        self.written(self.shared.savepoints.ask(into, Some(ending)))
    }

    fn written(&self, answer: Receiver<Result<PathBuf, SavepointError>>) -> Result<PathBuf, SavepointError> {
        // Where nobody answers, the thread that should have done so is gone.
        answer.recv().unwrap_or_else(|_| Err(SavepointError::NotRunning { status: self.status() }))
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

/// What a job can be told from anywhere: a part of a [`JobHandle`] that can be cloned and sent to other threads.
#[derive(Clone)]
pub struct JobControl {
    shared: Arc<Shared>,
}

impl JobControl {
    /// Where the job stands.
    pub fn status(&self) -> JobStatus {
        self.shared.status()
    }

    /// See [`JobHandle::health`].
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// See [`JobHandle::stop`].
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// See [`JobHandle::cancel`].
    pub fn cancel(&self) {
        self.shared.cancel();
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
