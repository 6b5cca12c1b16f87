//! A job from attempt to attempt: which checkpoint the next one goes on from, what it is made of, and what the end of the last one
//! means. The control thread and the simulator drive it, each in its own way.

use std::path::Path;
use std::sync::Arc;

use super::error::{JobError, OperatorFailure};
use super::settings::Job;
use crate::accumulator::{Accumulators, Totals};
use crate::arena::MemoryBudget;
use crate::channel::OverflowBudget;
use crate::checkpoint::{
    CheckpointError, CheckpointStore, JobIdentity, RestoreError, StoreOptions, may_go_back,
};
use crate::disk::Disk;
use crate::element::{Epoch, Nanos, ShardId};
use crate::graph::{Flow, Plan};
use crate::key::HashSeed;
use crate::operator::Failure;
use crate::runtime::attempt::{Attempt, AttemptSpec, Program};
use crate::runtime::control::ShardEvent;
use crate::runtime::coordinator::{CheckpointTimes, Coordinator, Outcome, Start};
use crate::runtime::driver::ShardFailure;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::metrics::CheckpointMetrics;
use crate::runtime::restart::{RestartStrategy, Restarts};
use crate::runtime::restored::Restored;
use crate::time::ProcessingTime;

/// How an attempt ended.
pub(crate) enum End {
    /// Everything is done and committed.
    Finished,
    /// Somebody asked for it.
    Canceled,
    /// Somebody asked for it, and everything up to a checkpoint is committed.
    Stopped,
    /// The error, and whether starting again can help.
    Failed(JobError, bool),
}

/// An attempt, ready to be driven and watched.
pub(crate) struct Begun {
    pub(crate) attempt: Attempt,
    pub(crate) coordinator: Coordinator,
    /// The checkpoint it goes on from.
    pub(crate) from: Option<Epoch>,
}

/// See the [module](self).
pub(crate) struct Attempts {
    pub(crate) job: Job,
    pub(crate) plan: Arc<Plan>,
    pub(crate) restarts: Restarts,
    pub(crate) metrics: CheckpointMetrics,
    /// What the shards of the last attempt said of their accumulators at their end.
    accumulated: Vec<Totals>,
    /// How many shards have been opened so far, in all attempts.
    opened: usize,
    program: Program,
    disk: Arc<dyn Disk>,
    store: Option<CheckpointStore>,
    seed: HashSeed,
    processing: ProcessingTime,
    /// A checkpoint that turned out to be damaged, and what is wrong with it.
    damaged: Option<(Epoch, String)>,
    /// A fault for the simulator to find.
    #[cfg(feature = "planted-faults")]
    pub(crate) plant: Option<crate::testing::sim::Plant>,
}

impl Attempts {
    /// Checks the program and opens the state directory. `drawn` becomes the seed of the job's key hash where it has none yet. `processing`
    /// says what dates the readings of the shards' clock are.
    pub(crate) fn new(
        job: Job,
        program: Program,
        disk: Arc<dyn Disk>,
        drawn: HashSeed,
        processing: ProcessingTime,
    ) -> Result<Attempts, JobError> {
        let built = Flow::build(&*program, job.tick, &job.job_shards(), &job.params)
            .map_err(|errors| JobError::Build { job: job.name.clone(), errors })?;
        for warning in built.plan.warnings() {
            tracing::warn!(job = job.name, "{warning}");
        }
        let store = match &job.state_dir {
            None => None,
            Some(dir) => Some(open_store(&job, dir, disk.clone(), drawn)?),
        };
        let seed = store.as_ref().map_or(drawn, CheckpointStore::hash_seed);
        let default_restart = match store {
            Some(_) => RestartStrategy::exponential_delay(),
            None => RestartStrategy::None,
        };
        let restarts = Restarts::new(job.restart.clone().unwrap_or(default_restart));
        Ok(Attempts {
            job,
            plan: Arc::new(built.plan),
            restarts,
            metrics: CheckpointMetrics::default(),
            accumulated: Vec::new(),
            opened: 0,
            program,
            disk,
            store,
            seed,
            processing,
            damaged: None,
            #[cfg(feature = "planted-faults")]
            plant: None,
        })
    }

    /// What the job promises.
    pub(crate) fn guarantee(&self) -> String {
        self.plan.guarantee(self.store.is_some())
    }

    /// Makes an attempt that goes on from the right checkpoint.
    pub(crate) fn begin(&mut self, now: Nanos) -> Result<Begun, JobError> {
        self.accumulated.clear();
        let restored = self.choose()?.map(Arc::new);
        let from = restored.as_ref().map(|restored| restored.epoch);
        let keeps_pages = restored.as_ref().is_none_or(|restored| restored.keeps_pages());
        if let Some(store) = &mut self.store {
            store.start_run(from).map_err(|error| self.failed_checkpoint(error))?;
        }
        let spec = AttemptSpec {
            job: self.job.name.clone(),
            program: self.program.clone(),
            plan: self.plan.clone(),
            shards: self.job.shards,
            seed: self.seed,
            ring_bytes: self.job.ring_bytes,
            overflow: OverflowBudget::new(self.job.overflow_bytes),
            memory: self.job.memory_bytes.map_or_else(MemoryBudget::unlimited, MemoryBudget::new),
            state_dir: self.job.state_dir.clone(),
            delta_dir: self.store.as_ref().map(CheckpointStore::delta_dir),
            restored,
            processing: self.processing,
            params: self.job.params.clone(),
            #[cfg(feature = "planted-faults")]
            plant: self.plant,
        };
        let attempt = Attempt::prepare(&spec)?;
        let times = CheckpointTimes {
            interval: self.job.checkpoint_interval.filter(|_| self.store.is_some()),
            min_pause: self.job.checkpoint_min_pause,
            timeout: self.job.checkpoint_timeout,
            tolerable_failures: self.job.tolerable_checkpoint_failures,
        };
        // A number that a failed checkpoint of this process had is not used again.
        let next = self.store.as_ref().map_or(Epoch(1), CheckpointStore::next_epoch);
        let coordinator = Coordinator::new(
            self.job.name.clone(),
            attempt.control.clone(),
            times,
            Start { from: from.unwrap_or_default(), next, keeps_pages, meta: JobMeta::of(&self.plan) },
            std::mem::take(&mut self.metrics),
            now,
        );
        Ok(Begun { attempt, coordinator, from })
    }

    /// Hands an event to the coordinator, or only the time. Gives back how the attempt ended, if it did.
    pub(crate) fn turn(
        &mut self,
        coordinator: &mut Coordinator,
        event: Option<ShardEvent>,
        now: Nanos,
    ) -> Option<End> {
        let outcome = match event {
            Some(ShardEvent::Accumulated(totals)) => {
                self.accumulated.push(totals);
                return None;
            }
            Some(ShardEvent::Opened(shard)) => {
                self.opened += 1;
                if self.opened == usize::from(self.job.shards) {
                    self.warn_of_unasked_params();
                }
                coordinator.on_event(ShardEvent::Opened(shard), self.store.as_mut(), now)
            }
            Some(event) => coordinator.on_event(event, self.store.as_mut(), now),
            None => coordinator.tick(self.store.as_mut(), now),
        };
        match outcome {
            Outcome::Running => None,
            Outcome::Finished => Some(End::Finished),
            Outcome::Failed(shard, failure) => Some(self.operator_failed(shard, *failure)),
            Outcome::CheckpointFailed(failure) => {
                let (job, restarts) = (self.job.name.clone(), self.restarts.done());
                let tolerable = self.job.tolerable_checkpoint_failures;
                Some(End::Failed(
                    JobError::Checkpoint { job, restarts, tolerable, failure: Box::new(failure) },
                    true,
                ))
            }
        }
    }

    /// All functions have been opened, and have asked for the parameters that they know.
    fn warn_of_unasked_params(&self) {
        for warning in self.job.params.unasked() {
            tracing::warn!(job = self.job.name, "{warning}");
        }
    }

    /// Listens to what shards that have been stopped have still said.
    pub(crate) fn hear_out(&mut self, events: impl Iterator<Item = ShardEvent>) {
        self.accumulated.extend(events.filter_map(|event| match event {
            ShardEvent::Accumulated(totals) => Some(totals),
            _ => None,
        }));
    }

    /// What the accumulators had come to when the last attempt ended.
    pub(crate) fn accumulators(&self) -> Accumulators {
        Accumulators::of(&self.accumulated)
    }

    /// The checkpoint to go on from.
    fn choose(&mut self) -> Result<Option<Restored>, JobError> {
        let Some(store) = &self.store else { return Ok(None) };
        let asked = self.job.from.take();
        let mut candidates = store.checkpoints().into_iter().map(|checkpoint| checkpoint.epoch);
        let mut next = match asked {
            Some(epoch) => Some(epoch),
            None => match &self.damaged {
                None => candidates.next(),
                Some((damaged, what)) => {
                    let older = candidates.find(|epoch| epoch < damaged);
                    Some(self.go_back(*damaged, what, older)?)
                }
            },
        };
        while let Some(epoch) = next {
            match store.load(epoch) {
                Ok(job) => {
                    let restored = Restored::read(job, self.disk.clone(), &self.plan).map_err(|error| {
                        JobError::Misfit { job: self.job.name.clone(), error: Box::new(error) }
                    })?;
                    return Ok(Some(restored));
                }
                Err(error @ (RestoreError::NoSuchCheckpoint { .. } | RestoreError::Disk(_))) => {
                    return Err(JobError::Restore { job: self.job.name.clone(), error: Box::new(error) });
                }
                Err(error) if asked.is_some() => {
                    return Err(JobError::Restore { job: self.job.name.clone(), error: Box::new(error) });
                }
                Err(error) => {
                    let older =
                        store.checkpoints().into_iter().map(|older| older.epoch).find(|older| *older < epoch);
                    next = Some(self.go_back(epoch, &error.to_string(), older)?);
                }
            }
        }
        Ok(None)
    }

    /// The older checkpoint to be taken instead of a damaged one, where that repeats and loses nothing.
    fn go_back(&self, damaged: Epoch, what: &str, older: Option<Epoch>) -> Result<Epoch, JobError> {
        let committed = self.store.as_ref().map_or(Epoch(0), CheckpointStore::sinks_may_have_committed);
        // Journals are trimmed to the oldest checkpoint that is retained, so they reach back to any of them.
        let older = may_go_back(damaged, older, committed, true)
            .map_err(|refused| JobError::GoingBack { damage: what.to_owned(), refused })?;
        tracing::warn!(job = self.job.name, %damaged, %older, "{what}; going back to the older checkpoint");
        Ok(older)
    }

    fn operator_failed(&mut self, shard: ShardId, failure: Failure) -> End {
        let retryable = failure.retryable();
        if let (Some(what), Some(store)) = (failure.damage(), &self.store) {
            // A page of the checkpoint this attempt went on from is damaged: the next attempt has to go on from an older one.
            let newest = store.checkpoints().first().map(|checkpoint| checkpoint.epoch);
            self.damaged = newest.map(|epoch| (epoch, what));
        }
        let failure = OperatorFailure {
            operator: failure.op.map(|op| self.plan.name(op).to_owned()),
            built_at: failure.op.map(|op| self.plan.built_at(op)),
            shard,
            place: failure.place,
            event_time: failure.event_time,
            key: failure.key,
            cause: failure.cause.to_string(),
        };
        let (job, restarts) = (self.job.name.clone(), self.restarts.done());
        End::Failed(JobError::Failed { job, restarts, failure: Box::new(failure) }, retryable)
    }

    /// A shard ended outside of its operators.
    pub(crate) fn shard_failed(&self, failure: ShardFailure) -> End {
        let (job, restarts) = (self.job.name.clone(), self.restarts.done());
        End::Failed(JobError::Shard { job, restarts, failure }, true)
    }

    fn failed_checkpoint(&self, error: CheckpointError) -> JobError {
        JobError::Checkpoint {
            job: self.job.name.clone(),
            restarts: self.restarts.done(),
            tolerable: self.job.tolerable_checkpoint_failures,
            failure: Box::new(error.into()),
        }
    }
}

fn open_store(
    job: &Job,
    dir: &Path,
    disk: Arc<dyn Disk>,
    hash_seed: HashSeed,
) -> Result<CheckpointStore, JobError> {
    let identity = JobIdentity { job: job.name.clone(), hash_seed };
    let options = StoreOptions { retain: job.retained_checkpoints, from: job.from };
    let (store, report) = CheckpointStore::open(disk, dir, &identity, options)?;
    if let Some(torn) = report.torn_tail {
        tracing::info!(
            job = job.name,
            offset = torn.offset,
            bytes = torn.bytes,
            "the manifest ends in a record that was being written when the process died; it never was a checkpoint"
        );
    }
    if let Some((offset, problem)) = report.damage {
        tracing::warn!(
            job = job.name,
            offset,
            problem,
            "the manifest is damaged; going on from the checkpoint that was asked for"
        );
    }
    Ok(store)
}
