//! The control thread of a job: makes attempts, listens to shards, and decides what happens after a failure.

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::error::{JobError, OperatorFailure};
use super::settings::Job;
use super::summary::{JobStatus, Summary};
use super::Cancel;
use crate::arena::MemoryBudget;
use crate::channel::OverflowBudget;
use crate::checkpoint::{CheckpointStore, JobIdentity, RestoreError, StoreOptions, may_go_back};
use crate::disk::{Disk, RealDisk};
use crate::element::{Epoch, Nanos, ShardId};
use crate::graph::{Flow, Plan};
use crate::key::HashSeed;
use crate::operator::Failure;
use crate::runtime::attempt::{Attempt, AttemptSpec, Program};
use crate::runtime::control::{Control, Phase};
use crate::runtime::coordinator::{CheckpointTimes, Coordinator, Outcome};
use crate::runtime::driver::{self, Clock, RunningShards, ShardSpec};
use crate::runtime::metrics::{CheckpointMetrics, JobMetrics};
use crate::runtime::placement::{self, Placement};
use crate::runtime::restart::{RestartStrategy, Restarts};
use crate::runtime::restored::Restored;

/// How often the control thread looks for what nobody tells it of: a cancellation, a dead shard.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the handle and the control thread share.
#[derive(Default)]
pub(crate) struct Shared {
    status: AtomicU8,
    cancel: Cancel,
    control: Mutex<Option<Arc<Control>>>,
    /// What the control thread knows beside the shards' counters.
    figures: Mutex<(CheckpointMetrics, u32)>,
}

impl Shared {
    pub(crate) fn status(&self) -> JobStatus {
        JobStatus::from_u8(self.status.load(Ordering::Acquire))
    }

    fn set_status(&self, status: JobStatus) {
        self.status.store(status as u8, Ordering::Release);
    }

    pub(crate) fn cancel(&self) {
        self.cancel.ask();
    }

    fn control(&self) -> Option<Arc<Control>> {
        self.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn metrics(&self) -> JobMetrics {
        let shards = self.control().map(|control| control.counters.iter().map(|of| of.read()).collect());
        let figures = self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        JobMetrics { shards: shards.unwrap_or_default(), checkpoints: figures.0.clone(), restarts: figures.1 }
    }

    pub(crate) fn take_loop_gaps(&self) -> Vec<Duration> {
        let control = self.control();
        control.map_or_else(Vec::new, |control| control.counters.iter().map(|of| of.take_loop_gap()).collect())
    }
}

/// How an attempt ended.
enum End {
    Finished,
    Canceled,
    /// The error, and whether starting again can help.
    Failed(JobError, bool),
}

/// See the [module](self).
pub(crate) struct Supervisor {
    job: Job,
    program: Program,
    plan: Arc<Plan>,
    placement: Placement,
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    store: Option<CheckpointStore>,
    seed: HashSeed,
    restarts: Restarts,
    metrics: CheckpointMetrics,
    clock: Clock,
    /// Checkpoints that turned out to be damaged, with what is wrong.
    damaged: Option<(Epoch, String)>,
    driver: String,
}

impl Supervisor {
    /// Checks program and settings, and opens the state directory.
    pub(crate) fn new(job: Job, program: Program, shared: Arc<Shared>) -> Result<Supervisor, JobError> {
        let built =
            Flow::build(&*program).map_err(|errors| JobError::Build { job: job.name.clone(), errors })?;
        let placement = placement::place(usize::from(job.shards), job.cores.clone(), job.oversubscribe)?;
        if let Some(throttled) = &placement.throttled {
            tracing::warn!(job = job.name, "{throttled}");
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let drawn = HashSeed(random());
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
        Ok(Supervisor {
            plan: Arc::new(built.plan),
            job,
            program,
            placement,
            shared,
            disk,
            store,
            seed,
            restarts,
            metrics: CheckpointMetrics::default(),
            clock: Clock::start(),
            damaged: None,
            driver: String::new(),
        })
    }

    /// Runs the job to its end.
    pub(crate) fn run(mut self) -> Result<Summary, JobError> {
        let guarantee = self.plan.guarantee(self.store.is_some());
        tracing::info!(job = self.job.name, shards = self.job.shards, "exactly once end to end: {guarantee}");
        loop {
            self.shared.set_status(JobStatus::Created);
            let end = match self.attempt() {
                Ok(end) => end,
                Err(error) => End::Failed(error, false),
            };
            let status = match end {
                End::Finished => JobStatus::Finished,
                End::Canceled => JobStatus::Canceled,
                End::Failed(error, retryable) => match self.restart_after(&error, retryable) {
                    true => continue,
                    false if self.shared.cancel.asked() => JobStatus::Canceled,
                    false => {
                        self.shared.set_status(JobStatus::Failed);
                        tracing::error!(job = self.job.name, "{error}");
                        return Err(error);
                    }
                },
            };
            self.shared.set_status(status);
            return Ok(Summary {
                job: self.job.name.clone(),
                status,
                elapsed: Duration::from_nanos(self.clock.now().0),
                driver: self.driver,
                guarantee,
                metrics: self.shared.metrics(),
            });
        }
    }

    /// Waits as the strategy says. False where there is to be no further attempt.
    fn restart_after(&mut self, error: &JobError, retryable: bool) -> bool {
        if !retryable {
            return false;
        }
        let Some(delay) = self.restarts.after_failure(self.clock.now()) else { return false };
        self.shared.set_status(JobStatus::Restarting);
        tracing::warn!(job = self.job.name, restart = self.restarts.done(), ?delay, "{error}; starting again");
        let until = self.clock.now().after(delay);
        while self.clock.now() < until {
            if self.shared.cancel.asked() {
                return false;
            }
            std::thread::sleep(LOOK_EVERY.min(until.since(self.clock.now())));
        }
        self.publish_figures();
        true
    }

    fn publish_figures(&self) {
        let mut figures = self.shared.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *figures = (self.metrics.clone(), self.restarts.done());
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
                        JobError::Misfit { job: self.job.name.clone(), error }
                    })?;
                    return Ok(Some(restored));
                }
                Err(error @ (RestoreError::NoSuchCheckpoint { .. } | RestoreError::Disk(_))) => {
                    return Err(JobError::Restore { job: self.job.name.clone(), error });
                }
                Err(error) if asked.is_some() => {
                    return Err(JobError::Restore { job: self.job.name.clone(), error });
                }
                Err(error) => {
                    let older = store.checkpoints().into_iter().map(|older| older.epoch).find(|older| *older < epoch);
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

    fn attempt(&mut self) -> Result<End, JobError> {
        let restored = self.choose()?.map(Arc::new);
        let from = restored.as_ref().map(|restored| restored.epoch);
        let keeps_pages = restored.as_ref().is_none_or(|restored| restored.keeps_pages(self.job.shards));
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
        };
        let attempt = Attempt::prepare(&spec)?;
        drop(spec);
        let times = CheckpointTimes {
            interval: self.job.checkpoint_interval.filter(|_| self.store.is_some()),
            min_pause: self.job.checkpoint_min_pause,
            timeout: self.job.checkpoint_timeout,
            tolerable_failures: self.job.tolerable_checkpoint_failures,
        };
        let control = attempt.control.clone();
        let mut coordinator = Coordinator::new(
            self.job.name.clone(),
            control.clone(),
            times,
            from.unwrap_or_default(),
            keeps_pages,
            std::mem::take(&mut self.metrics),
            self.clock.now(),
        );
        let specs = attempt.builders.into_iter().enumerate().map(|(shard, build)| ShardSpec {
            shard: ShardId(shard as u16),
            core: self.placement.cores[shard],
            wait: self.placement.wait(self.job.wait),
            waker: control.wakers[shard].clone(),
            build,
        });
        let mut running = driver::start(self.job.driver, self.clock, specs.collect())?;
        self.driver = running.driver().to_string();
        *self.shared.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(control.clone());
        self.shared.set_status(JobStatus::Running);
        tracing::info!(
            job = self.job.name,
            driver = self.driver,
            from = from.map(|epoch| epoch.0),
            "RUNNING"
        );
        let end = self.watch(&attempt.events, &mut coordinator, &mut running);
        control.set_phase(match end {
            End::Finished => Phase::Finish,
            End::Failed(JobError::Failed { .. }, _) => Phase::RunOut,
            End::Failed(..) | End::Canceled => Phase::Stop,
        });
        let ends = running.join();
        self.metrics = coordinator.metrics;
        self.publish_figures();
        // A shard that panicked outside of its operators says so only here.
        if let (End::Finished, Some(failure)) = (&end, ends.into_iter().find_map(|end| end.result.err())) {
            return Ok(self.shard_failed(failure));
        }
        Ok(end)
    }

    /// Listens to the shards until the attempt is over.
    fn watch(
        &mut self,
        events: &std::sync::mpsc::Receiver<crate::runtime::control::ShardEvent>,
        coordinator: &mut Coordinator,
        running: &mut RunningShards,
    ) -> End {
        let mut published = Nanos(0);
        loop {
            let now = self.clock.now();
            let deadline = coordinator.next_deadline().map_or(LOOK_EVERY, |at| at.since(now).min(LOOK_EVERY));
            let outcome = match events.recv_timeout(deadline) {
                Ok(event) => coordinator.on_event(event, self.store.as_mut(), self.clock.now()),
                Err(RecvTimeoutError::Timeout) => coordinator.tick(self.store.as_mut(), self.clock.now()),
                Err(RecvTimeoutError::Disconnected) => {
                    return match running.next_end(Duration::from_secs(1)) {
                        Some(driver::ShardEnd { result: Err(failure), .. }) => {
                            let failure = failure.clone();
                            self.shard_failed(failure)
                        }
                        _ => End::Canceled,
                    };
                }
            };
            match outcome {
                Outcome::Running => {}
                Outcome::Finished => return End::Finished,
                Outcome::Failed(shard, failure) => return self.operator_failed(shard, *failure),
                Outcome::CheckpointFailed(failure) => {
                    let (job, restarts) = (self.job.name.clone(), self.restarts.done());
                    let tolerable = self.job.tolerable_checkpoint_failures;
                    return End::Failed(JobError::Checkpoint { job, restarts, tolerable, failure }, true);
                }
            }
            if self.shared.cancel.asked() {
                return End::Canceled;
            }
            if let Some(driver::ShardEnd { result: Err(failure), .. }) = running.next_end(Duration::ZERO) {
                let failure = failure.clone();
                return self.shard_failed(failure);
            }
            if now.since(published) >= LOOK_EVERY {
                published = now;
                self.metrics = coordinator.metrics.clone();
                self.publish_figures();
            }
        }
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
            cause: failure.cause.to_string(),
        };
        let (job, restarts) = (self.job.name.clone(), self.restarts.done());
        End::Failed(JobError::Failed { job, restarts, failure }, retryable)
    }

    fn shard_failed(&self, failure: driver::ShardFailure) -> End {
        let (job, restarts) = (self.job.name.clone(), self.restarts.done());
        End::Failed(JobError::Shard { job, restarts, failure }, true)
    }

    fn failed_checkpoint(&self, error: crate::checkpoint::CheckpointError) -> JobError {
        JobError::Checkpoint {
            job: self.job.name.clone(),
            restarts: self.restarts.done(),
            tolerable: self.job.tolerable_checkpoint_failures,
            failure: error.into(),
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
        tracing::warn!(job = job.name, offset, problem, "the manifest is damaged; going on from the checkpoint that was asked for");
    }
    Ok(store)
}

/// A number nobody can guess, from the operating system's randomness.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}
