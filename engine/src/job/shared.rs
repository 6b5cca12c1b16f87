//! What a job's handle and its control thread share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::answers::Answers;
use super::error::JobError;
use super::id::JobId;
use super::lifecycle::Lifecycle;
use super::savepoints::Requests;
use super::standing::Standing;
use super::summary::JobStatus;
use super::watch::Watches;
use super::{Cancel, EventTime, HotKeys, LateRecords, NoAnswer};
use crate::accumulator::Accumulators;
use crate::element::{Nanos, ShardId};
use crate::graph::Plan;
use crate::key::HashSeed;
use crate::runtime::control::{Control, Phase, ShardAnswer};
use crate::runtime::metrics::{CheckpointMetrics, JobMetrics, MemoryUse};
use crate::runtime::placement::CoreId;
use crate::runtime::reads::StateRead;
use crate::runtime::stalls::{ShardStall, Whereabouts};

/// How long a shard has to say how things stand.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What the control thread knows beside the shards' counters.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) checkpoints: CheckpointMetrics,
    pub(super) restarts: u32,
    pub(super) stalls: Vec<ShardStall>,
    /// Per shard: where it was last seen, and since when it has been there.
    pub(super) seen: Vec<(Whereabouts, Nanos)>,
    /// What of memory is nobody's but the job's.
    pub(super) memory: MemoryUse,
    /// When this was put down, by the job's clock and by the system's; none before the first time.
    pub(super) at: Option<(Nanos, Instant)>,
}

/// What the handle and the control thread share.
pub(crate) struct Shared {
    /// The job's name.
    pub(super) job: String,
    pub(super) id: JobId,
    pub(super) lifecycle: Lifecycle,
    status: AtomicU8,
    pub(super) cancel: Cancel,
    pub(super) stop: Cancel,
    pub(super) savepoints: Requests,
    control: Mutex<Option<Arc<Control>>>,
    figures: Mutex<Figures>,
    started: OnceLock<Started>,
    pub(super) answers: Answers,
    /// Keys whose committed changes somebody wants to be told of.
    pub(super) watches: Arc<Watches>,
    pub(super) standing: Standing,
}

/// What is known of a job from its start on.
pub(super) struct Started {
    pub(super) plan: Arc<Plan>,
    /// What its keys are hashed with.
    pub(super) seed: HashSeed,
    /// Where it keeps its checkpoints, if it does.
    pub(super) state_dir: Option<PathBuf>,
    /// The core of each shard; none where the system chooses.
    pub(super) cores: Vec<Option<CoreId>>,
    /// After how long a shard stands still.
    pub(super) stall_after: Duration,
    /// Whether state may lie on disk.
    pub(super) spills: bool,
}

impl Shared {
    pub(super) fn new(job: String) -> Shared {
        Shared {
            job,
            id: JobId::random(),
            lifecycle: Lifecycle::default(),
            status: AtomicU8::new(JobStatus::Created as u8),
            cancel: Cancel::default(),
            stop: Cancel::default(),
            savepoints: Requests::default(),
            control: Mutex::default(),
            figures: Mutex::default(),
            started: OnceLock::new(),
            answers: Answers::default(),
            watches: Arc::default(),
            standing: Standing::default(),
        }
    }

    pub(crate) fn status(&self) -> JobStatus {
        JobStatus::from_u8(self.status.load(Ordering::Acquire))
    }

    pub(super) fn set_status(&self, status: JobStatus, cause: Option<&JobError>) {
        self.lifecycle.job(self.status(), status, cause.map(JobError::to_string), SystemTime::now());
        self.standing.switch(status, cause.map(JobError::to_string));
        self.status.store(status as u8, Ordering::Release);
    }

    /// The control thread has panicked: stops the shards, and tells those who wait for something of the job that nobody else will.
    pub(super) fn give_up(&self, error: &JobError) {
        if let Some(control) = self.control() {
            control.set_phase(Phase::Stop);
        }
        self.set_status(JobStatus::Failed, Some(error));
        self.savepoints.close(JobStatus::Failed);
        self.watches.close(None);
    }

    pub(crate) fn cancel(&self) {
        self.cancel.ask();
    }

    pub(crate) fn stop(&self) {
        self.stop.ask();
    }

    pub(super) fn control(&self) -> Option<Arc<Control>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn metrics(&self) -> JobMetrics {
        let shards = self.control().map(|control| control.counters.iter().map(|of| of.read()).collect());
        let figures = self.figures();
        JobMetrics {
            shards: shards.unwrap_or_default(),
            checkpoints: figures.checkpoints.clone(),
            restarts: figures.restarts,
            stalls: figures.stalls.clone(),
            job_memory: figures.memory,
        }
    }

    /// Another attempt runs, with these words to its shards.
    pub(super) fn run(&self, control: Arc<Control>) {
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(control);
    }

    /// What the control thread has put down last.
    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        // They are put down as a whole.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job is about to run, and is this.
    pub(super) fn start(&self, job: Started) {
        // It starts once.
        let _ = self.started.set(job);
    }

    /// What has been known of it since its start.
    pub(super) fn started(&self) -> &Started {
        self.started.get().expect("whoever has a handle has a job that was started")
    }

    /// What the job is made of.
    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.started().plan
    }

    /// The job's state directory and its name, where it has one.
    pub(super) fn state_dir(&self) -> Option<(&Path, &str)> {
        self.started().state_dir.as_deref().map(|dir| (dir, self.job.as_str()))
    }

    /// What the job's keys are hashed with.
    pub(super) fn seed(&self) -> HashSeed {
        self.started().seed
    }

    /// Asks a shard what a state holds.
    pub(super) fn read_state(&self, shard: ShardId, read: StateRead) -> Result<(), NoAnswer> {
        let status = self.status();
        match self.control() {
            Some(control) if status == JobStatus::Running => {
                control.read_state(shard, read);
                Ok(())
            }
            _ => Err(NoAnswer::NotRunning { status }),
        }
    }

    /// Asks all shards how things stand.
    fn ask(&self) -> Result<Vec<ShardAnswer>, NoAnswer> {
        let status = self.status();
        let (JobStatus::Running, Some(control)) = (status, self.control()) else {
            return Err(NoAnswer::NotRunning { status });
        };
        let question = self.answers.question();
        control.ask(question);
        let answers = self.answers.wait(question, control.counters.len(), ANSWER_TIMEOUT);
        answers.map_err(|shard| match self.status() {
            JobStatus::Running => NoAnswer::Busy { shard, waited: ANSWER_TIMEOUT },
            status => NoAnswer::NotRunning { status },
        })
    }

    pub(crate) fn event_time(&self) -> Result<EventTime, NoAnswer> {
        let shards = self.ask()?.into_iter().map(|answer| answer.clocks).collect();
        let plan = self.plan();
        Ok(EventTime::new(plan.clone(), shards))
    }

    pub(crate) fn hot_keys(&self) -> Result<HotKeys, NoAnswer> {
        let shards: Vec<_> = self.ask()?.into_iter().map(|answer| answer.keys).collect();
        let plan = self.plan();
        Ok(HotKeys::of(plan, &shards))
    }

    pub(crate) fn accumulators(&self) -> Result<Accumulators, NoAnswer> {
        Ok(Accumulators::of(self.ask()?.iter().map(|answer| &answer.account.accumulators)))
    }

    pub(crate) fn late_records(&self) -> Result<LateRecords, NoAnswer> {
        let shards: Vec<_> = self.ask()?.into_iter().map(|answer| answer.account).collect();
        let plan = self.plan();
        Ok(LateRecords::of(plan, &shards))
    }

    pub(crate) fn take_loop_gaps(&self) -> Vec<Duration> {
        let control = self.control();
        control
            .map_or_else(Vec::new, |control| control.counters.iter().map(|of| of.take_loop_gap()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Epoch;
    use crate::savepoint::SavepointError;

    #[test]
    fn a_control_thread_that_panics_leaves_nobody_waiting() {
        let shared = Shared::new("left alone".to_owned());
        shared.set_status(JobStatus::Running, None);
        let control = Control::new(2, Epoch(0));
        shared.run(control.clone());
        let savepoint = shared.savepoints.ask(None, None);
        shared.give_up(&JobError::Engine { message: "as planned".to_owned() });
        assert_eq!((shared.status(), control.phase()), (JobStatus::Failed, Phase::Stop));
        assert!(matches!(
            savepoint.recv(),
            Ok(Err(SavepointError::NotRunning { status: JobStatus::Failed }))
        ));
        assert!(shared.standing.last_failure().unwrap().cause.contains("as planned"));
    }
}
