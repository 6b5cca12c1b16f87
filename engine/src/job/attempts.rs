//! A job from attempt to attempt: which checkpoint the next one goes on from, what it is made of, and what the end of the last one
//! means. The control thread and the simulator drive it, each in its own way.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::checkpointing::{CheckpointInterval, CheckpointRetention};
use super::error::{JobError, OperatorFailure};
use super::poison::{Poison, Verdict};
use super::settings::Job;
use super::{JobStatus, LateRecords};
use crate::accumulator::Accumulators;
use crate::arena::MemoryBudget;
use crate::channel::OverflowBudget;
use crate::checkpoint::{
    CheckpointError, CheckpointStore, JobIdentity, RestoreError, RestoredJob, StoreOptions, may_go_back,
};
use crate::disk::{Disk, DiskError};
use crate::element::{Epoch, Nanos, ShardId};
use crate::graph::{BuildError, Built, Flow, Plan};
use crate::key::HashSeed;
use crate::operator::Failure;
use crate::operator::failure::{drop_each, panic_message};
use crate::runtime::attempt::{Attempt, AttemptSpec, Program};
use crate::runtime::auto_interval::AutoInterval;
use crate::runtime::control::{ShardAccount, ShardEvent};
use crate::runtime::coordinator::{CheckpointTimes, Coordinator, Outcome, Start};
use crate::runtime::driver::ShardFailure;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::metrics::{CheckpointMetrics, MemoryUse};
use crate::runtime::prefaults::Prefaults;
use crate::runtime::restart::{RestartStrategy, Restarts};
use crate::runtime::restored::{RestoreFailure, Restored};
use crate::runtime::spill_dir::SpillDir;
use crate::runtime::stages::{Sorting, StageKeeper, Stages};
use crate::savepoint::{Conversion, Portable, RestoreCheck, Savepoint, SavepointError, StateTypes};
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
    /// The account that the shards of the last attempt gave at their end.
    accounts: Vec<ShardAccount>,
    /// How many shards have been opened so far, in all attempts.
    opened: usize,
    program: Program,
    disk: Arc<dyn Disk>,
    store: Option<CheckpointStore>,
    pub(crate) seed: HashSeed,
    processing: ProcessingTime,
    /// In batch mode.
    stages: Option<StageKeeper>,
    /// What all arenas, and all exchanges, of the attempt may use together.
    budgets: Option<(MemoryBudget, OverflowBudget)>,
    /// Who has memory given before it is needed; nobody unless set.
    pub(crate) prefaults: Option<Prefaults>,
    /// A checkpoint that turned out to be damaged, and what is wrong with it.
    damaged: Option<(Epoch, String)>,
    /// The savepoint that the job begins with.
    savepoint: Option<Portable>,
    /// What the operators have declared.
    types: Arc<StateTypes>,
    /// Records that make the job fail again and again.
    poison: Poison,
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
        let plan = planned(&job, || Flow::build(&*program, job.setting()))?;
        job.check_plan(&plan)?;
        for warning in plan.warnings() {
            tracing::warn!(job = job.name, "{warning}");
        }
        let savepoint = open_savepoint(&job, disk.clone())?;
        // Keys keep their hashes, and event time its place in key groups.
        let drawn = savepoint.as_ref().map_or(drawn, |portable| portable.savepoint.head.seed);
        let store = match &job.state_dir {
            None => None,
            Some(dir) => {
                let mut store = open_store(&job, dir, disk.clone(), drawn)?;
                if let Some(replica) = &job.checkpoints.replica {
                    store.replicate_to(replica)?;
                }
                Some(store)
            }
        };
        let seed = store.as_ref().map_or(drawn, CheckpointStore::hash_seed);
        if savepoint.is_some() && seed != drawn {
            return Err(JobError::Setting {
                setting: "from_savepoint",
                problem: "the state directory is that of another job, in which keys have other hashes; give the state directory of the job \
                          that the savepoint is of, or an empty one"
                    .to_owned(),
            });
        }
        let default_restart = match store {
            Some(_) => RestartStrategy::exponential_delay(),
            None => RestartStrategy::None,
        };
        let strategy = job.restart.clone().unwrap_or(default_restart);
        let poison = Poison::new(&job, &plan, &strategy, disk.clone())?;
        let sorting = Sorting {
            bytes: job.bytes_to_sort_in(),
            keeps: store.is_some() || strategy != RestartStrategy::None,
            outlives: store.is_some(),
        };
        let keeper = || StageKeeper::new(disk.clone(), job.stage_dir(seed), &plan, seed, sorting);
        let stages = plan.mode.batch.then(keeper);
        let restarts = Restarts::new(strategy, drawn.0);
        Ok(Attempts {
            job,
            plan: Arc::new(plan),
            restarts,
            metrics: CheckpointMetrics::default(),
            accounts: Vec::new(),
            opened: 0,
            program,
            disk,
            store,
            seed,
            processing,
            stages,
            budgets: None,
            prefaults: None,
            damaged: None,
            savepoint,
            types: Arc::default(),
            poison,
            #[cfg(feature = "planted-faults")]
            plant: None,
        })
    }

    /// What the job promises.
    pub(crate) fn guarantee(&self) -> String {
        self.plan.guarantee(self.store.as_ref().map(|_| self.job.checkpoints.mode.value))
    }

    /// Makes an attempt that goes on from the right checkpoint.
    pub(crate) fn begin(&mut self, now: Nanos) -> Result<Begun, JobError> {
        self.accounts.clear();
        let restored = self.choose()?.map(Arc::new);
        let from = restored.as_ref().map(|restored| restored.epoch);
        let keeps_pages = restored.as_ref().is_none_or(|restored| restored.keeps_pages());
        if let Some(store) = &mut self.store {
            let retained = restored.as_ref().filter(|restored| restored.portable().is_none());
            let retained = retained.map(|restored| restored.epoch);
            store.start_run(retained).map_err(|error| self.failed_checkpoint(error))?;
        }
        self.poison.begin(from.unwrap_or_default(), self.store.as_ref())?;
        let stages = self.stages.as_ref().map(|keeper| keeper.begin(&self.plan).map(Arc::new));
        let stages = stages.transpose().map_err(|error| self.stages_failed(error))?;
        let spill = self.spill_dir().map_err(|error| self.spill_failed(error))?;
        let spec = AttemptSpec { spill, ..self.spec(restored, stages) };
        let attempt = Attempt::prepare(&spec)?;
        self.budgets = Some((spec.memory.clone(), spec.overflow.clone()));
        let (interval, auto) = self.checkpoint_interval();
        let times = CheckpointTimes {
            interval,
            auto,
            min_pause: self.job.checkpoints.min_pause.value,
            timeout: self.job.checkpoints.timeout.value,
            tolerable_failures: self.job.checkpoints.tolerable_failures.value,
            mode: self.job.checkpoints.mode.value,
        };
        // A number that a failed checkpoint of this process had is not used again.
        let next = self.store.as_ref().map_or(Epoch(1), CheckpointStore::next_epoch);
        // What came before the savepoint has smaller ones, wherever it lies.
        let next = next.max(Epoch(from.unwrap_or_default().0 + 1));
        let savepoint = self.savepoint.as_ref().map(|portable| portable.savepoint.head.id);
        let meta = JobMeta { savepoint, ..JobMeta::of(&self.plan) };
        let coordinator = Coordinator::new(
            self.job.name.clone(),
            attempt.control.clone(),
            times,
            Start { from: from.unwrap_or_default(), next, keeps_pages, meta },
            std::mem::take(&mut self.metrics),
            now,
        );
        Ok(Begun { attempt, coordinator, from })
    }

    /// What an attempt is made of.
    fn spec(&self, restored: Option<Arc<Restored>>, stages: Option<Arc<Stages>>) -> AttemptSpec {
        AttemptSpec {
            job: self.job.name.clone(),
            program: self.program.clone(),
            plan: self.plan.clone(),
            shards: self.job.shards,
            seed: self.seed,
            ring_bytes: self.job.ring_bytes,
            overflow: OverflowBudget::new(self.job.overflow_bytes),
            memory: self.job.memory_bytes.map_or_else(MemoryBudget::unlimited, MemoryBudget::new),
            prefaults: self.prefaults.clone(),
            spill: None,
            state_dir: self.job.state_dir.clone(),
            delta_dir: self.store.as_ref().map(CheckpointStore::delta_dir),
            restored,
            processing: self.processing,
            params: self.job.params.clone(),
            stages,
            types: self.types.clone(),
            suspects: self.poison.suspects.clone(),
            endpoints: self.job.endpoints.clone(),
            #[cfg(feature = "planted-faults")]
            plant: self.plant,
        }
    }

    /// Hands an event to the coordinator, or only the time. Gives back how the attempt ended, if it did.
    pub(crate) fn turn(
        &mut self,
        coordinator: &mut Coordinator,
        event: Option<ShardEvent>,
        now: Nanos,
    ) -> Option<End> {
        let outcome = match event {
            Some(ShardEvent::Accounted(account)) => {
                self.accounts.push(account);
                return None;
            }
            Some(ShardEvent::Opened(shard)) => {
                self.opened += 1;
                if self.opened == usize::from(self.job.shards) {
                    self.warn_of_unasked_params();
                }
                coordinator.on_event(ShardEvent::Opened(shard), self.store.as_mut(), now)
            }
            Some(event @ ShardEvent::Saved(..)) => {
                // It may be the last part of a checkpoint.
                if let Err(error) = self.poison.write_marks() {
                    return Some(End::Failed(error, true));
                }
                coordinator.on_event(event, self.store.as_mut(), now)
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
                let tolerable = self.job.checkpoints.tolerable_failures.value;
                Some(End::Failed(
                    JobError::Checkpoint { job, restarts, tolerable, failure: Box::new(failure) },
                    true,
                ))
            }
        }
    }

    fn checkpoint_interval(&self) -> (Option<Duration>, Option<AutoInterval>) {
        match self.job.checkpoints.interval.value {
            _ if self.store.is_none() || self.plan.mode.batch => (None, None),
            CheckpointInterval::Every(interval) => (Some(interval), None),
            CheckpointInterval::Off => (None, None),
            CheckpointInterval::Auto { recovery_goal } => {
                let auto = AutoInterval::new(recovery_goal);
                (Some(auto.first()), Some(auto))
            }
        }
    }

    /// All functions have been opened, and have asked for the parameters that they know.
    fn warn_of_unasked_params(&self) {
        for warning in self.job.params.unasked() {
            tracing::warn!(job = self.job.name, "{warning}");
        }
    }

    /// The job is over. What batch mode has left on disk goes, unless another process may go on from it; so do the checkpoints of a job that
    /// was canceled, where that was asked for. The second copy of the newest checkpoint is waited for.
    pub(crate) fn end(&mut self, status: JobStatus) {
        if let Some(stages) = &self.stages {
            stages.end(status == JobStatus::Finished);
        }
        let deletes = self.job.checkpoints.retention.value == CheckpointRetention::DeleteOnCancellation;
        if status == JobStatus::Canceled && deletes {
            if let Some(Err(error)) = self.store.take().map(CheckpointStore::destroy) {
                tracing::warn!(job = self.job.name, %error, "cannot remove the checkpoints of the canceled job");
            }
        } else if let Some(store) = &mut self.store {
            store.finish_replica();
        }
    }

    /// The figures of the checkpoints.
    pub(crate) fn checkpoint_metrics(&self) -> CheckpointMetrics {
        let mut metrics = self.metrics.clone();
        metrics.replica = self.store.as_ref().and_then(CheckpointStore::replica_status);
        metrics
    }

    /// What of the job's memory belongs to no shard.
    pub(crate) fn memory(&self) -> MemoryUse {
        let budgets = self.budgets.as_ref();
        MemoryUse {
            overflow: budgets.map_or(0, |(_, overflow)| overflow.used_bytes()),
            checkpoints: self.store.as_ref().map_or(0, CheckpointStore::bytes_in_memory),
            limited: budgets.map_or(0, |(memory, _)| memory.used()),
            limit: self.job.memory_bytes,
            ..MemoryUse::default()
        }
    }

    /// Where state lies that memory has no room for, if the job may leave it there.
    fn spill_dir(&self) -> Result<Option<Arc<SpillDir>>, DiskError> {
        if !self.job.spills_state {
            return Ok(None);
        }
        let dir = self.job.dir_to_spill_to();
        SpillDir::open(self.disk.clone(), &dir, &self.job.name, self.seed).map(|dir| Some(Arc::new(dir)))
    }

    fn spill_failed(&self, error: DiskError) -> JobError {
        JobError::Spill { job: self.job.name.clone(), error }
    }

    fn stages_failed(&self, error: DiskError) -> JobError {
        JobError::Stages { job: self.job.name.clone(), error }
    }

    /// Listens to what shards that have been stopped have still said.
    pub(crate) fn hear_out(&mut self, events: impl Iterator<Item = ShardEvent>) {
        self.accounts.extend(events.filter_map(|event| match event {
            ShardEvent::Accounted(account) => Some(account),
            _ => None,
        }));
    }

    /// What the accumulators had come to when the last attempt ended.
    pub(crate) fn accumulators(&self) -> Accumulators {
        Accumulators::of(self.accounts.iter().map(|account| &account.accumulators))
    }

    /// The late ledgers when the last attempt ended.
    pub(crate) fn late_records(&self) -> LateRecords {
        LateRecords::of(&self.plan, &self.accounts)
    }

    /// The checkpoint to go on from.
    fn choose(&mut self) -> Result<Option<Restored>, JobError> {
        if let Some(portable) = self.savepoint.clone().filter(|portable| !self.has_gone_on_from(portable)) {
            let restored = Restored::of_savepoint(portable, &self.plan, self.job.allow_non_restored_state);
            return restored.map(Some).map_err(|error| self.misfit(error));
        }
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
                    let leaves_behind = self.job.allow_non_restored_state;
                    let restored = Restored::read(job, self.disk.clone(), &self.plan, leaves_behind);
                    return restored.map(Some).map_err(|error| self.misfit(error));
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

    /// Whether the newest checkpoint is one of a job that has begun with this savepoint: then it goes on from there, as a job does that is
    /// started again.
    fn has_gone_on_from(&self, portable: &Portable) -> bool {
        let Some(store) = &self.store else { return false };
        let newest = store.checkpoints().first().map(|newest| newest.epoch);
        let meta =
            newest.and_then(|newest| store.meta_of(newest)).and_then(|meta| JobMeta::decode(meta).ok());
        meta.is_some_and(|meta| meta.savepoint == Some(portable.savepoint.head.id))
    }

    fn misfit(&self, error: RestoreFailure) -> JobError {
        JobError::Misfit { job: self.job.name.clone(), error: Box::new(error) }
    }

    /// What a savepoint of the newest checkpoint is made of. The checkpoint is retained until [`Attempts::unpin`].
    pub(crate) fn convert(&mut self) -> Result<Conversion, SavepointError> {
        if self.plan.mode.batch {
            return Err(SavepointError::BatchMode);
        }
        let store = self.store.as_ref().ok_or(SavepointError::NoStateDir)?;
        let newest = store.checkpoints().first().map(|newest| newest.epoch);
        let newest = newest.ok_or(SavepointError::NotRunning { status: JobStatus::Created })?;
        let checkpoint = self.pin(newest).ok_or(SavepointError::NoStateDir)??;
        Ok(Conversion::new(&self.job.name, checkpoint, self.disk.clone(), &self.types))
    }

    /// Loads a checkpoint that is retained, for somebody who reads it, and retains it until [`Attempts::unpin`]. None where the job keeps no
    /// checkpoints.
    pub(crate) fn pin(&mut self, epoch: Epoch) -> Option<Result<RestoredJob, RestoreError>> {
        let store = self.store.as_mut()?;
        let loaded = store.load(epoch);
        if loaded.is_ok() {
            store.pin(epoch);
        }
        Some(loaded)
    }

    /// Where checkpoints lie.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Whoever reads this checkpoint is done.
    pub(crate) fn unpin(&mut self, epoch: Epoch) {
        if let Some(store) = &mut self.store {
            store.unpin(epoch);
        }
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
        if let (Some(run), Some(stages)) = (failure.damaged_run(), &self.stages)
            && let Err(error) = stages.forget_stage_of(&run)
        {
            return End::Failed(self.stages_failed(error), false);
        }
        if let (Some(what), Some(store)) = (failure.damage(), &self.store) {
            // A page of the checkpoint this attempt went on from is damaged: the next attempt has to go on from an older one.
            let newest = store.checkpoints().first().map(|checkpoint| checkpoint.epoch);
            self.damaged = newest.map(|epoch| (epoch, what));
        }
        let named = OperatorFailure {
            operator: failure.op.map(|op| self.plan.name(op).to_owned()),
            built_at: failure.op.map(|op| self.plan.built_at(op)),
            shard,
            place: failure.place.clone(),
            event_time: failure.event_time,
            key: failure.key.clone(),
            cause: failure.cause.to_string(),
        };
        let (job, restarts) = (self.job.name.clone(), self.restarts.done());
        match self.poison.judge(&job, &failure, &named, &self.plan) {
            Ok(Verdict::Restart) => {
                End::Failed(JobError::Failed { job, restarts, failure: Box::new(named) }, retryable)
            }
            Ok(Verdict::Fail(record)) => End::Failed(JobError::Poison { job, restarts, record }, false),
            Err(error) => End::Failed(error, false),
        }
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
            tolerable: self.job.checkpoints.tolerable_failures.value,
            failure: Box::new(error.into()),
        }
    }
}

/// The plan of what a program builds. It is called on the thread that starts the job, and what it has built is dropped there: a panic in
/// either is an error of the job's, and not the thread's end.
pub(super) fn planned(
    job: &Job,
    build: impl FnOnce() -> Result<Built, Vec<BuildError>>,
) -> Result<Plan, JobError> {
    let name = || job.name.clone();
    let panicked =
        |panic: Box<dyn Any + Send>| JobError::Program { job: name(), message: panic_message(&*panic) };
    let built = catch_unwind(AssertUnwindSafe(build)).map_err(panicked)?;
    let Built { plan, makers, .. } = built.map_err(|errors| JobError::Build { job: name(), errors })?;
    drop_each(makers).map_err(panicked)?;
    Ok(plan)
}

/// What would become of each operator if a job began with its savepoint.
pub(super) fn restore_check(
    job: Job,
    program: Program,
    disk: Arc<dyn Disk>,
) -> Result<RestoreCheck, JobError> {
    // Nothing is kept: the directory may be in use.
    let job = Job { state_dir: None, ..job };
    let processing = ProcessingTime::from_epoch(job.tick);
    let mut attempts = Attempts::new(job, program, disk, HashSeed(0), processing)?;
    let spec = attempts.spec(None, None);
    if let Err(failure) = Attempt::declare(&spec) {
        return match attempts.operator_failed(ShardId(0), *failure) {
            End::Failed(error, _) => Err(error),
            _ => unreachable!("a failure is one"),
        };
    }
    let portable = attempts.savepoint.as_ref().expect("the job begins with one");
    Ok(RestoreCheck::of(portable, &attempts.plan, &attempts.types))
}

fn open_savepoint(job: &Job, disk: Arc<dyn Disk>) -> Result<Option<Portable>, JobError> {
    let Some(dir) = &job.from_savepoint else { return Ok(None) };
    let opened = Savepoint::open_on(disk, dir);
    let savepoint =
        opened.map_err(|error| JobError::Savepoint { job: job.name.clone(), error: Box::new(error) })?;
    Ok(Some(Portable { savepoint: Arc::new(savepoint), migrations: job.migrations.clone() }))
}

fn open_store(
    job: &Job,
    dir: &Path,
    disk: Arc<dyn Disk>,
    hash_seed: HashSeed,
) -> Result<CheckpointStore, JobError> {
    let identity = JobIdentity { job: job.name.clone(), hash_seed };
    let options = StoreOptions { retain: job.checkpoints.retained.value, from: job.from };
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
