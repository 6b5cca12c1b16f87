//! A job's name and settings.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::planned;
use super::checkpointing::{Checkpointing, checkpoint_dir};
use super::error::JobError;
use super::poison::PoisonSettings;
use super::restarting;
use super::result::ResultSlot;
use super::shared::Shared;
use super::supervisor::Supervisor;
use super::{JobHandle, JobStatus, Summary};
use crate::arena;
use crate::checkpoint::CheckpointMode;
use crate::disk::RealDisk;
use crate::element::Epoch;
use crate::embed::endpoints::Endpoints;
use crate::graph::{Explanation, Flow, JobShards, Plan, RuntimeMode, Setting, ShardRange, explain};
use crate::key::HashSeed;
use crate::limits::{RING_BYTES_DEFAULT, SORT_BYTES_DEFAULT, SORT_BYTES_MIN};
use crate::operator::failure::panic_message;
use crate::params::{ParamError, Params};
use crate::runtime::beside::spawn_beside;
use crate::runtime::driver::DriverKind;
use crate::runtime::placement::PlacementError;
use crate::runtime::restart::RestartStrategy;
use crate::runtime::wait::WaitPolicy;
use crate::savepoint::{Migrations, RestoreCheck};
use crate::schema::Value;
use crate::time::{Clock, Tick};

/// A job that is being set up. Nothing happens before [`Job::run`] or [`Job::spawn`].
///
/// ```no_run
/// use millstream_engine::prelude::*;
/// # fn numbers() -> impl Source<Item = u64> { millstream_engine::testing::script([1u64, 2, 3]) }
///
/// let summary = Job::new("evens")
///     .shards(2)
///     .run(|flow| flow.source("numbers", numbers()).filter(|n| n % 2 == 0).discard())?;
/// println!("{summary}");
/// # Ok::<(), JobError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a job does nothing before .run(..) or .spawn(..)"]
pub struct Job {
    pub(crate) name: String,
    pub(crate) shards: u16,
    /// Who says so; none for the default.
    pub(crate) shards_from: Option<&'static str>,
    pub(crate) shard_groups: BTreeMap<String, ShardRange>,
    pub(crate) cores: Option<Vec<usize>>,
    pub(crate) oversubscribe: bool,
    pub(crate) driver: DriverKind,
    pub(crate) wait: WaitPolicy,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) checkpoints: Checkpointing,
    pub(crate) restart: Option<RestartStrategy>,
    pub(crate) poison: PoisonSettings,
    /// Whether settings that contradict each other, and the counting of failure rates, are taken as Flink takes them; none: what the
    /// parameter says.
    pub(crate) flink_compat: Option<bool>,
    pub(crate) from: Option<Epoch>,
    pub(crate) from_savepoint: Option<PathBuf>,
    pub(crate) allow_non_restored_state: bool,
    pub(crate) migrations: Migrations,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) spills_state: bool,
    pub(crate) ring_bytes: usize,
    pub(crate) overflow_bytes: u64,
    pub(crate) tick: Tick,
    pub(crate) clock: Option<Clock>,
    pub(crate) params: Params,
    pub(crate) stall_after: Duration,
    pub(crate) mode: RuntimeMode,
    /// Who says so; none for the default.
    pub(crate) mode_from: Option<&'static str>,
    pub(crate) sort_bytes: Option<u64>,
    pub(crate) spill_dir: Option<PathBuf>,
    pub(crate) endpoints: Endpoints,
}

impl Job {
    /// A job of this name on one shard. The name is part of the state directory's identity.
    pub fn new(name: impl Into<String>) -> Job {
        Job {
            name: name.into(),
            shards: 1,
            shards_from: None,
            shard_groups: BTreeMap::new(),
            cores: None,
            oversubscribe: false,
            driver: DriverKind::Auto,
            wait: WaitPolicy::default(),
            state_dir: None,
            checkpoints: Checkpointing::default(),
            restart: None,
            poison: PoisonSettings::default(),
            flink_compat: None,
            from: None,
            from_savepoint: None,
            allow_non_restored_state: false,
            migrations: Migrations::default(),
            memory_bytes: None,
            spills_state: false,
            ring_bytes: RING_BYTES_DEFAULT,
            overflow_bytes: 256 * 1024 * 1024,
            tick: Tick::default(),
            clock: None,
            params: Params::new(),
            stall_after: Duration::from_millis(50),
            mode: RuntimeMode::default(),
            mode_from: None,
            sort_bytes: None,
            spill_dir: None,
            endpoints: Endpoints::default(),
        }
    }

    /// How many shards, each pinned to a core of its own (default: what the parameter `parallelism` or `p` of [`Job::params`] says, else 1).
    /// More than there are cores is refused unless [`Job::oversubscribe`] allows it. Every operator runs on all of them unless
    /// [`Stream::parallelism`](crate::stream::Stream::parallelism) says otherwise.
    pub fn shards(mut self, shards: u16) -> Job {
        self.shards = shards;
        self.shards_from = Some("Job::shards");
        self
    }

    /// Names neighbouring shards, by their numbers from 0, for chains that are to run on them alone: see
    /// [`Stream::shard_group`](crate::stream::Stream::shard_group). Groups may overlap.
    pub fn shard_group(mut self, name: impl Into<String>, shards: std::ops::Range<u16>) -> Job {
        let count = shards.end.saturating_sub(shards.start);
        self.shard_groups.insert(name.into(), ShardRange { first: shards.start, count });
        self
    }

    /// Which cores, by the operating system's numbers (default: those of the process's cpuset).
    pub fn cores(mut self, cores: impl Into<Vec<usize>>) -> Job {
        self.cores = Some(cores.into());
        self
    }

    /// Allows more shards than cores (default: no).
    pub fn oversubscribe(mut self, allowed: bool) -> Job {
        self.oversubscribe = allowed;
        self
    }

    /// After how long a shard that stands still inside of an operator, because a closure or a client blocks, is reported: as a warning in the log
    /// and in [`JobMetrics::stalls`](crate::runtime::metrics::JobMetrics::stalls). It is looked at every 20 ms (default: 50 ms).
    pub fn stall_after(mut self, duration: Duration) -> Job {
        self.stall_after = duration;
        self
    }

    /// Which driver runs the shards (default: glommio where it can run, else threads).
    pub fn driver(mut self, driver: DriverKind) -> Job {
        self.driver = driver;
        self
    }

    /// How a shard with nothing to do waits (default: looks for a while, then sleeps).
    pub fn wait(mut self, policy: WaitPolicy) -> Job {
        self.wait = policy;
        self
    }

    /// Where checkpoints are kept; switches them on. A job that finds a checkpoint of itself there goes on from it. By parameter:
    /// `state.checkpoints.dir`, in which each job has a directory of its name.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Job {
        self.state_dir = Some(dir.into());
        self
    }

    /// What is done after a failure (default: exponential delay where there is a state directory, none where there is not). By parameter:
    /// `restart-strategy`, with the keys of Flink's
    /// [restart strategies](https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/task_failure_recovery/).
    pub fn restart(mut self, strategy: RestartStrategy) -> Job {
        self.restart = Some(strategy);
        self
    }

    /// Takes settings that contradict each other as Flink takes them, with a warning instead of an error, and counts failure rates as Flink
    /// does: see [`RestartStrategy::FailureRate`] (default: what the parameter `flink-compat` says, else no).
    pub fn flink_compat(mut self, compat: bool) -> Job {
        self.flink_compat = Some(compat);
        self
    }

    /// Goes on from this checkpoint instead of the newest one; younger ones are dropped.
    pub fn from_checkpoint(mut self, epoch: Epoch) -> Job {
        self.from = Some(epoch);
        self
    }

    /// Begins with a savepoint (Flink's `run -s`): what operators of the same names had kept, records in flight and the places of sources come
    /// back, on any number of shards. A state directory is new, or the one of the job that the savepoint is of; its checkpoints go. A job that
    /// has made a checkpoint since it began with the savepoint goes on from there when it is started again.
    pub fn from_savepoint(mut self, dir: impl Into<PathBuf>) -> Job {
        self.from_savepoint = Some(dir.into());
        self
    }

    /// Whether state of operators that the program does not have any more is left behind when it goes on from a checkpoint or a savepoint
    /// (Flink's `--allowNonRestoredState`; default: no, it is an error that names them).
    pub fn allow_non_restored_state(mut self, allowed: bool) -> Job {
        self.allow_non_restored_state = allowed;
        self
    }

    /// What becomes of the values of a state when the job begins with a savepoint in which they are of another type than now, where that is
    /// more than fields that come, go, or are called something else (see [`Record`](macro@crate::Record)). The function is given each value as
    /// it was, and gives one that fits the type of now. For a list it is given each element; the records on their way to the first input of
    /// an operator are called `input 0`.
    ///
    /// ```
    /// # use millstream_engine::prelude::*;
    /// use millstream_engine::schema::Value;
    ///
    /// let job = Job::new("counts").migrate("count", "count", |mut then| {
    ///     let text = then.take("count").map(|count| count.to_string());
    ///     then.set("count", text.ok_or("there is no count")?);
    ///     Ok(then)
    /// });
    /// ```
    pub fn migrate(
        mut self,
        operator: impl Into<String>,
        state: impl Into<String>,
        migrate: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Job {
        self.migrations.add(operator.into(), state.into(), migrate);
        self
    }

    /// How many bytes of state the whole job may keep in memory (default: no limit). A job that needs more fails and says which state it was,
    /// unless [`Job::spill_state`] lets it go on.
    pub fn memory_limit(mut self, bytes: u64) -> Job {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Whether state may be larger than [`Job::memory_limit`] (default: no). What has not been used for longest then lies on disk, in
    /// pages of 4 KiB, and comes back when it is needed: results are the same, but whoever needs it waits for the disk. One step may pass
    /// the limit by the pages that it needs itself. Only on Linux, where the system's pages have 4 KiB.
    ///
    /// Flink keeps state on disk with the [RocksDB state backend](https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/state_backends/).
    pub fn spill_state(mut self, spills: bool) -> Job {
        self.spills_state = spills;
        self
    }

    /// The size of each ring between two shards (default 1 MiB). A record may take half of it.
    pub fn ring_bytes(mut self, bytes: usize) -> Job {
        self.ring_bytes = bytes;
        self
    }

    /// How many bytes of records may wait, over the whole job, when operators give out more than the rings take (default 256 MiB).
    pub fn overflow_bytes(mut self, bytes: u64) -> Job {
        self.overflow_bytes = bytes;
        self
    }

    /// What a tick of event time means (default: 1 ms). Timestamps, watermarks and windows count in ticks, and every rule holds in them:
    /// a window ends one tick before its end, a watermark trails by one tick. A checkpoint goes on with its own tick only.
    pub fn tick(mut self, tick: Tick) -> Job {
        self.tick = tick;
        self
    }

    /// Where processing time comes from (default: the clock on the wall). A [`VirtualClock`](crate::time::VirtualClock) is moved by hand:
    /// what depends on processing time comes out the same each time.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Job {
        self.clock = Some(clock.into());
        self
    }

    /// Parameters that the whole program can read (Flink's global job parameters): while it builds, as [`Flow::params`]; in functions,
    /// as [`States::params`](crate::operator::process::States::params). Those that are given and that nobody has asked for when all
    /// shards are open are logged as warnings: most likely they are misspelt.
    pub fn params(mut self, params: Params) -> Job {
        self.params = params;
        self
    }

    /// How the job runs (default: what the parameter `runtime-mode` or `execution.runtime-mode` of [`Job::params`] says, else
    /// [`RuntimeMode::Streaming`]). A program that is to run in either mode is best told by the parameter, as it is started.
    pub fn mode(mut self, mode: RuntimeMode) -> Job {
        self.mode = mode;
        self.mode_from = Some("Job::mode");
        self
    }

    /// In batch mode: how much memory all shards together may take to bring records of equal keys together (default 256 MiB, at most half of
    /// [`Job::memory_limit`], of which it is a part). What goes beyond lies on disk.
    pub fn sort_bytes(mut self, bytes: u64) -> Job {
        self.sort_bytes = Some(bytes);
        self
    }

    /// In batch mode: where records lie until all those of their key are together (default: `stages` in the state directory; without one,
    /// a directory of the job's own where the system keeps temporary files). It may take as much room as all records of the job.
    ///
    /// With [`Job::spill_state`]: where state lies that memory has no room for (default: `spilled` in the state directory; without one, where
    /// the system keeps temporary files). It takes at most as much room as all state of the job.
    pub fn spill_dir(mut self, dir: impl Into<PathBuf>) -> Job {
        self.spill_dir = Some(dir.into());
        self
    }

    /// What the job is, as text and as a drawing; nothing runs, but sources are asked for their partitions.
    ///
    /// # Errors
    /// [`JobError::Build`].
    pub fn explain(&self, program: impl Fn(&Flow)) -> Result<Explanation, JobError> {
        let job = self.clone().settled()?;
        let plan = planned(&job, || Flow::build_to_explain(&program, job.setting()))?;
        job.check_plan(&plan)?;
        let settings = explain::Settings {
            job: &job.name,
            checkpoints: job.state_dir.as_ref().map(|_| job.checkpoints.mode.value),
            memory: explain::Memory {
                limit: job.memory_bytes,
                spills: job.spills_state,
                ring_bytes: job.ring_bytes,
                overflow_bytes: job.overflow_bytes,
                sort_bytes: plan.mode.batch.then(|| job.bytes_to_sort_in()),
            },
        };
        Ok(Explanation::of(&plan, &settings))
    }

    /// What would become of each operator if the program began with this savepoint. Nothing runs; but functions are opened, so that they say
    /// what they keep.
    ///
    /// # Errors
    /// [`JobError::Build`], [`JobError::Savepoint`]; or a function cannot be opened.
    pub fn restore_check(
        &self,
        savepoint: impl AsRef<Path>,
        program: impl Fn(&Flow) + Send + Sync + 'static,
    ) -> Result<RestoreCheck, JobError> {
        let mut job = self.clone().settled()?;
        job.from_savepoint = Some(savepoint.as_ref().to_owned());
        super::attempts::restore_check(job, Arc::new(program), Arc::new(RealDisk))
    }

    /// Runs the job and waits for its end. The closure builds the graph; it is called once on each shard, and must build the same
    /// each time.
    ///
    /// # Errors
    /// What kept it from starting, or ended it.
    pub fn run(self, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<Summary, JobError> {
        self.spawn(program)?.wait()
    }

    /// Starts the job and returns. Mistakes in program and settings are returned here; what happens later, by
    /// [`JobHandle::wait`].
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn spawn(self, program: impl Fn(&Flow) + Send + Sync + 'static) -> Result<JobHandle, JobError> {
        let job = self.settled()?;
        job.check()?;
        let shared = Arc::new(Shared::new(job.name.clone()));
        let endpoints = job.endpoints.clone();
        endpoints.check()?;
        let state_dir = job.state_dir.clone();
        let supervisor = Supervisor::new(job, Arc::new(program), shared.clone())?;
        endpoints.start(state_dir.as_deref())?;
        let result = Arc::new(ResultSlot::default());
        let (slot, left_alone) = (result.clone(), shared.clone());
        let thread = spawn_beside("mill-control", move || {
            let ended = catch_unwind(AssertUnwindSafe(|| supervisor.run()));
            let ended = ended.unwrap_or_else(|payload| {
                let error = JobError::Engine { message: panic_message(&*payload) };
                left_alone.give_up(&error);
                Err(error)
            });
            endpoints.close(ended.as_ref().map_or(JobStatus::Failed, |summary| summary.status));
            slot.put(ended);
        });
        let thread = thread.map_err(|error| JobError::Setting {
            setting: "threads",
            problem: format!(
                "cannot start the control thread: {error}; raise the limit on threads (ulimit -u)"
            ),
        })?;
        Ok(JobHandle { shared, result, thread })
    }

    /// With what the parameters say, where the program says nothing; checked, as plans are made for it.
    pub(crate) fn settled(mut self) -> Result<Job, JobError> {
        let by_param = [("parallelism", "parameter `parallelism`"), ("p", "parameter `p`")];
        if self.shards_from.is_none()
            && let Some((shards, origin)) = self.by_param("shards", by_param)?
        {
            (self.shards, self.shards_from) = (shards, Some(origin));
        }
        let by_param = [
            ("runtime-mode", "parameter `runtime-mode`"),
            ("execution.runtime-mode", "parameter `execution.runtime-mode`"),
        ];
        if self.mode_from.is_none()
            && let Some((mode, origin)) = self.by_param("mode", by_param)?
        {
            (self.mode, self.mode_from) = (mode, Some(origin));
        }
        let compat = match self.flink_compat {
            Some(compat) => compat,
            None => self
                .params
                .get_or("flink-compat", false)
                .map_err(|error| JobError::Setting { setting: "flink_compat", problem: error.to_string() })?,
        };
        self.checkpoints.settle(&self.params, compat)?;
        restarting::settle(&mut self.restart, &self.params, compat)?;
        self.state_dir = checkpoint_dir::settle(self.state_dir.take(), &self.params, &self.name)?;
        if self.shards == 0 {
            return Err(PlacementError::NoShards.into());
        }
        for (name, on) in &self.shard_groups {
            let (first, end) = (u32::from(on.first), u32::from(on.first) + u32::from(on.count));
            if on.count == 0 || end > u32::from(self.shards) {
                let last = self.shards - 1;
                return Err(JobError::Setting {
                    setting: "shard_group",
                    problem: format!(
                        "group `{name}` is shards {first}..{end}, but the job has {}: 0 to {last}; name some of these, or raise Job::shards",
                        self.shards
                    ),
                });
            }
        }
        Ok(self)
    }

    /// What the first of these parameters says of a setting that is given at all, and which one that is.
    fn by_param<T: FromStr<Err: fmt::Display>>(
        &self,
        setting: &'static str,
        names: [(&str, &'static str); 2],
    ) -> Result<Option<(T, &'static str)>, JobError> {
        for (name, origin) in names {
            let wrong = |error: ParamError| JobError::Setting { setting, problem: error.to_string() };
            if let Some(value) = self.params.get(name).map_err(wrong)? {
                return Ok(Some((value, origin)));
            }
        }
        Ok(None)
    }

    /// How much memory sorting takes.
    pub(crate) fn bytes_to_sort_in(&self) -> u64 {
        let most = self.memory_bytes.map_or(u64::MAX, |bytes| bytes / 2);
        self.sort_bytes.unwrap_or_else(|| SORT_BYTES_DEFAULT.min(most))
    }

    /// Where the stages of the job lie, which has this seed.
    pub(crate) fn stage_dir(&self, seed: HashSeed) -> PathBuf {
        match (&self.spill_dir, &self.state_dir) {
            (None, Some(state_dir)) => state_dir.join("stages"),
            (dir, _) => {
                let dir = dir.clone().unwrap_or_else(std::env::temp_dir);
                dir.join(format!("millstream-{}-{:016x}", self.name, seed.0))
            }
        }
    }

    /// Where state lies that memory has no room for.
    pub(crate) fn dir_to_spill_to(&self) -> PathBuf {
        let in_state_dir = || self.state_dir.as_ref().map(|dir| dir.join("spilled"));
        self.spill_dir.clone().or_else(in_state_dir).unwrap_or_else(std::env::temp_dir)
    }

    /// What the program's graph is told.
    pub(crate) fn setting(&self) -> Setting {
        let shards = JobShards {
            count: self.shards,
            origin: self.shards_from.map(str::to_owned),
            groups: self.shard_groups.clone(),
        };
        let (params, mode) = (self.params.clone(), (self.mode, self.mode_from));
        Setting { tick: self.tick, shards, params, mode, endpoints: self.endpoints.clone() }
    }

    /// Whether the program can run with these settings.
    pub(crate) fn check_plan(&self, plan: &Plan) -> Result<(), JobError> {
        if plan.has_loops && self.checkpoints.mode.value != CheckpointMode::Unaligned {
            let problem = format!(
                "is {}, but the job has iterations, in which records are always on their way; leave it at unaligned",
                self.checkpoints.mode.value
            );
            return Err(JobError::Setting { setting: "checkpoint_mode", problem });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), JobError> {
        let wrong = |setting, problem: &str| Err(JobError::Setting { setting, problem: problem.to_owned() });
        if self.name.is_empty() || self.name.contains(['/', '\0']) {
            return wrong("name", "a job's name has at least one character and no `/`");
        }
        self.checkpoints.check()?;
        if self.sort_bytes.is_some_and(|bytes| bytes < SORT_BYTES_MIN) {
            return wrong("sort_bytes", "is below 1 MiB; give at least 1 MiB");
        }
        if self.memory_bytes == Some(0) {
            return wrong("memory_limit", "is 0; leave it out for no limit");
        }
        if self.from.is_some() && self.from_savepoint.is_some() {
            return wrong("from_savepoint", "comes with from_checkpoint: a job begins with one of them");
        }
        if self.from_savepoint.is_some() && self.mode == RuntimeMode::Batch {
            return wrong(
                "from_savepoint",
                "a job in batch mode begins with nothing; run it in streaming mode",
            );
        }
        if self.spills_state && self.memory_bytes.is_none() {
            return wrong(
                "spill_state",
                "needs a limit beyond which state goes to disk: call .memory_limit(..)",
            );
        }
        if self.spills_state && !arena::pages_can_go() {
            return wrong(
                "spill_state",
                "works only on Linux with pages of 4 KiB; leave it out, and raise the memory limit",
            );
        }
        if self.from.is_some() && self.state_dir.is_none() {
            return wrong("from_checkpoint", "needs a state directory: call .state_dir(..)");
        }
        if self.checkpoints.replica.is_some() && self.state_dir.is_none() {
            return wrong("replicate_to", "needs a state directory to copy from: call .state_dir(..)");
        }
        if self.checkpoints.replica.is_some() && self.checkpoints.replica == self.state_dir {
            return wrong("replicate_to", "is the state directory itself; name another one");
        }
        if let Some(problem) = self.restart.as_ref().and_then(RestartStrategy::problem) {
            return wrong("restart", problem);
        }
        Ok(())
    }
}
