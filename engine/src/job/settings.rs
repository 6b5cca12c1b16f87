//! A job's name and settings.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::JobError;
use super::result::ResultSlot;
use super::supervisor::{Shared, Supervisor};
use super::{JobHandle, Summary};
use crate::element::Epoch;
use crate::graph::{Explanation, Flow, JobShards, ShardRange, explain};
use crate::limits::RING_BYTES_DEFAULT;
use crate::operator::failure::panic_message;
use crate::params::{ParamError, Params};
use crate::runtime::driver::DriverKind;
use crate::runtime::placement::PlacementError;
use crate::runtime::restart::RestartStrategy;
use crate::runtime::wait::WaitPolicy;
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
    pub(crate) checkpoint_interval: Option<Duration>,
    pub(crate) checkpoint_min_pause: Duration,
    pub(crate) checkpoint_timeout: Duration,
    pub(crate) tolerable_checkpoint_failures: u32,
    pub(crate) retained_checkpoints: usize,
    pub(crate) restart: Option<RestartStrategy>,
    pub(crate) from: Option<Epoch>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) ring_bytes: usize,
    pub(crate) overflow_bytes: u64,
    pub(crate) tick: Tick,
    pub(crate) clock: Option<Clock>,
    pub(crate) params: Params,
    pub(crate) stall_after: Duration,
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
            checkpoint_interval: Some(Duration::from_secs(1)),
            checkpoint_min_pause: Duration::ZERO,
            checkpoint_timeout: Duration::from_secs(60),
            tolerable_checkpoint_failures: 0,
            retained_checkpoints: 3,
            restart: None,
            from: None,
            memory_bytes: None,
            ring_bytes: RING_BYTES_DEFAULT,
            overflow_bytes: 256 * 1024 * 1024,
            tick: Tick::default(),
            clock: None,
            params: Params::new(),
            stall_after: Duration::from_millis(50),
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

    /// Where checkpoints are kept; switches them on. A job that finds a checkpoint of itself there goes on from it.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Job {
        self.state_dir = Some(dir.into());
        self
    }

    /// The time between the beginnings of two checkpoints (default 1 s; at least 1 ms).
    pub fn checkpoint_interval(mut self, interval: Duration) -> Job {
        self.checkpoint_interval = Some(interval);
        self
    }

    /// The least time between the end of a checkpoint and the beginning of the next (default 0).
    pub fn checkpoint_min_pause(mut self, pause: Duration) -> Job {
        self.checkpoint_min_pause = pause;
        self
    }

    /// After this long a checkpoint is given up and counts as failed (default 60 s).
    pub fn checkpoint_timeout(mut self, timeout: Duration) -> Job {
        self.checkpoint_timeout = timeout;
        self
    }

    /// How many checkpoints may fail in a row without failing the job (default 0).
    pub fn tolerable_checkpoint_failures(mut self, failures: u32) -> Job {
        self.tolerable_checkpoint_failures = failures;
        self
    }

    /// How many checkpoints are kept (default 3).
    pub fn retained_checkpoints(mut self, checkpoints: usize) -> Job {
        self.retained_checkpoints = checkpoints;
        self
    }

    /// What is done after a failure (default: exponential delay where there is a state directory, none where there is not).
    pub fn restart(mut self, strategy: RestartStrategy) -> Job {
        self.restart = Some(strategy);
        self
    }

    /// Goes on from this checkpoint instead of the newest one; younger ones are dropped.
    pub fn from_checkpoint(mut self, epoch: Epoch) -> Job {
        self.from = Some(epoch);
        self
    }

    /// How many bytes of state the whole job may keep in memory (default: no limit).
    pub fn memory_limit(mut self, bytes: u64) -> Job {
        self.memory_bytes = Some(bytes);
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

    /// What the job is, as text and as a drawing; nothing runs, but sources are asked for their partitions.
    ///
    /// # Errors
    /// [`JobError::Build`].
    pub fn explain(&self, program: impl Fn(&Flow)) -> Result<Explanation, JobError> {
        let job = self.clone().settled()?;
        let built = Flow::build_to_explain(&program, job.tick, &job.job_shards(), &job.params)
            .map_err(|errors| JobError::Build { job: job.name.clone(), errors })?;
        let settings = explain::Settings {
            job: &job.name,
            checkpoints: job.state_dir.is_some(),
            ring_bytes: job.ring_bytes,
        };
        Ok(Explanation::of(&built.plan, &settings))
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
        let shared = Arc::new(Shared::new());
        let supervisor = Supervisor::new(job, Arc::new(program), shared.clone())?;
        let result = Arc::new(ResultSlot::default());
        let slot = result.clone();
        let thread =
            std::thread::Builder::new()
                .name("mill-control".to_owned())
                .spawn(move || {
                    let ended = catch_unwind(AssertUnwindSafe(|| supervisor.run()));
                    slot.put(ended.unwrap_or_else(|payload| {
                        Err(JobError::Engine { message: panic_message(&*payload) })
                    }));
                })
                .map_err(|error| JobError::Setting {
                    setting: "threads",
                    problem: format!(
                        "cannot start the control thread: {error}; raise the limit on threads (ulimit -u)"
                    ),
                })?;
        Ok(JobHandle { shared, result, thread })
    }

    /// With the number of shards that the parameters say, where the program says none; checked, as plans are made for it.
    pub(crate) fn settled(mut self) -> Result<Job, JobError> {
        if self.shards_from.is_none() {
            for (name, origin) in [("parallelism", "parameter `parallelism`"), ("p", "parameter `p`")] {
                let wrong =
                    |error: ParamError| JobError::Setting { setting: "shards", problem: error.to_string() };
                if let Some(shards) = self.params.get(name).map_err(wrong)? {
                    (self.shards, self.shards_from) = (shards, Some(origin));
                    break;
                }
            }
        }
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

    /// The shards as the program's graph sees them.
    pub(crate) fn job_shards(&self) -> JobShards {
        JobShards {
            count: self.shards,
            origin: self.shards_from.map(str::to_owned),
            groups: self.shard_groups.clone(),
        }
    }

    fn check(&self) -> Result<(), JobError> {
        let wrong = |setting, problem: &str| Err(JobError::Setting { setting, problem: problem.to_owned() });
        if self.name.is_empty() || self.name.contains(['/', '\0']) {
            return wrong("name", "a job's name has at least one character and no `/`");
        }
        if self.checkpoint_interval.is_some_and(|interval| interval < Duration::from_millis(1)) {
            return wrong("checkpoint_interval", "is below 1 ms; give at least 1 ms");
        }
        if self.checkpoint_timeout.is_zero() {
            return wrong(
                "checkpoint_timeout",
                "is 0, so that every checkpoint would fail; give some seconds",
            );
        }
        if self.retained_checkpoints == 0 {
            return wrong("retained_checkpoints", "is 0, so that nothing could be restored; keep at least 1");
        }
        if self.memory_bytes == Some(0) {
            return wrong("memory_limit", "is 0; leave it out for no limit");
        }
        if self.from.is_some() && self.state_dir.is_none() {
            return wrong("from_checkpoint", "needs a state directory: call .state_dir(..)");
        }
        if let Some(RestartStrategy::ExponentialDelay { multiplier, .. }) = &self.restart
            && !(1.0..=1000.0).contains(multiplier)
        {
            return wrong("restart", "the multiplier of an exponential delay lies between 1 and 1000");
        }
        Ok(())
    }
}
