//! The control thread of a job: drives its attempts on real threads, listens to shards, and waits between attempts.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::attempts::{Attempts, Begun, End};
use super::error::JobError;
use super::id::random;
use super::savepoints::{Ending, Savepoints};
use super::settings::Job;
use super::shared::{Figures, Shared, Started};
use super::summary::{JobStatus, Summary};
use super::watch::Looking;
use crate::disk::RealDisk;
use crate::element::{Epoch, Nanos, ShardId};
use crate::key::HashSeed;
use crate::limits::IO_BYTES_PER_SHARD;
use crate::runtime::attempt::Program;
use crate::runtime::control::{Control, Phase, ShardEvent};
use crate::runtime::coordinator::Coordinator;
use crate::runtime::driver::{self, DriverKind, RunningShards, ShardSpec};
use crate::runtime::metrics::MemoryUse;
use crate::runtime::placement::{self, HeldCores, Placement};
use crate::runtime::prefaults::Prefaults;
use crate::runtime::stalls::Watchdog;
use crate::time::Clock;

/// How often the control thread looks for what nobody tells it of: a cancellation, a dead shard.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the [module](self).
pub(crate) struct Supervisor {
    attempts: Attempts,
    placement: Placement,
    shared: Arc<Shared>,
    /// Real time, for checkpoints and restarts.
    clock: Clock,
    /// What the shards take for processing time.
    shard_clock: Clock,
    driver: String,
    watchdog: Watchdog,
    savepoints: Savepoints,
    looking: Looking,
    /// The newest checkpoint that is durable and that sinks have been told of, when the last attempt ended.
    committed: Epoch,
    /// Other jobs of the process keep off them while they can.
    _cores: HeldCores,
}

impl Supervisor {
    /// Checks program and settings, and opens the state directory.
    pub(crate) fn new(job: Job, program: Program, shared: Arc<Shared>) -> Result<Supervisor, JobError> {
        let (placement, held, overlaps) = placement::place_and_hold(
            &job.name,
            usize::from(job.shards),
            job.cores.clone(),
            job.oversubscribe,
        )?;
        if let Some(throttled) = &placement.throttled {
            tracing::warn!(
                job = job.name,
                "{throttled}: each would be stopped for a part of every period; raise the quota, or lower the number of shards"
            );
        }
        // Whoever allows more shards than cores has said that they may share them.
        for overlap in overlaps.iter().filter(|_| !job.oversubscribe) {
            tracing::warn!("{overlap}");
        }
        let clock = Clock::wall();
        let shard_clock = job.clock.clone().unwrap_or_else(|| clock.clone());
        let processing = shard_clock.processing_time(job.tick);
        let watchdog = Watchdog::new(job.stall_after);
        let mut attempts = Attempts::new(job, program, Arc::new(RealDisk), HashSeed(random()), processing)?;
        attempts.prefaults = Prefaults::start()
            .inspect_err(|error| tracing::debug!("memory is given on first touch: {error}"))
            .ok();
        shared.start(Started {
            plan: attempts.plan.clone(),
            seed: attempts.seed,
            state_dir: attempts.job.state_dir.clone(),
            cores: placement.cores.clone(),
            stall_after: attempts.job.stall_after,
            spills: attempts.job.spills_state,
        });
        Ok(Supervisor {
            attempts,
            placement,
            shared,
            clock,
            shard_clock,
            driver: String::new(),
            watchdog,
            savepoints: Savepoints::default(),
            looking: Looking::default(),
            committed: Epoch(0),
            _cores: held,
        })
    }

    /// Runs the job to its end.
    pub(crate) fn run(mut self) -> Result<Summary, JobError> {
        let guarantee = self.attempts.guarantee();
        let (job, shards) = (self.attempts.job.name.clone(), self.attempts.job.shards);
        tracing::info!(job, shards, "exactly once end to end: {guarantee}");
        loop {
            self.shared.set_status(JobStatus::Created, None);
            let end = match self.attempt() {
                Ok(end) => end,
                Err(error) => End::Failed(error, false),
            };
            let status = match end {
                End::Finished => JobStatus::Finished,
                End::Canceled => JobStatus::Canceled,
                End::Stopped => JobStatus::Stopped,
                End::Failed(error, retryable) => match self.restart_after(&error, retryable) {
                    true => continue,
                    false if self.is_to_end() => JobStatus::Canceled,
                    false => {
                        self.end(JobStatus::Failed);
                        self.shared.set_status(JobStatus::Failed, Some(&error));
                        tracing::error!(job, "{error}");
                        return Err(error);
                    }
                },
            };
            self.end(status);
            self.publish_figures();
            self.shared.set_status(status, None);
            return Ok(Summary {
                id: self.shared.id,
                job,
                status,
                elapsed: Duration::from_nanos(self.clock.now().0),
                driver: self.driver,
                guarantee,
                metrics: self.shared.metrics(),
                accumulators: self.attempts.accumulators(),
                late_records: self.attempts.late_records(),
            });
        }
    }

    /// The job is over: serves whoever still waits for something of it, and tidies up.
    fn end(&mut self, status: JobStatus) {
        self.savepoints.end(&self.shared.savepoints, &mut self.attempts, status);
        self.looking.end(&self.shared.watches, &mut self.attempts, self.committed);
        self.attempts.end(status);
    }

    /// Waits as the strategy says. False where there is to be no further attempt.
    fn restart_after(&mut self, error: &JobError, retryable: bool) -> bool {
        if !retryable {
            return false;
        }
        let Some(delay) = self.attempts.restarts.after_failure(self.clock.now()) else { return false };
        self.shared.set_status(JobStatus::Restarting, Some(error));
        let (job, restart) = (&self.attempts.job.name, self.attempts.restarts.done());
        tracing::warn!(job, restart, ?delay, "{error}; starting again");
        let until = self.clock.now().after(delay);
        while self.clock.now() < until {
            if self.is_to_end() {
                return false;
            }
            std::thread::sleep(LOOK_EVERY.min(until.since(self.clock.now())));
        }
        self.publish_figures();
        self.savepoints.start_again();
        true
    }

    /// Whether somebody has asked the job to end, in whichever way.
    fn is_to_end(&self) -> bool {
        self.shared.cancel.asked() || self.shared.stop.asked()
    }

    /// What the driver has set aside for I/O.
    fn io_memory(&self) -> MemoryUse {
        let registers = self.driver == DriverKind::Glommio.to_string();
        let io = if registers { u64::from(self.attempts.job.shards) * IO_BYTES_PER_SHARD as u64 } else { 0 };
        MemoryUse { io, ..MemoryUse::default() }
    }

    fn publish_figures(&self) {
        *self.shared.figures() = Figures {
            checkpoints: self.attempts.checkpoint_metrics(),
            restarts: self.attempts.restarts.done(),
            stalls: self.watchdog.stalls().to_vec(),
            seen: self.watchdog.seen().collect(),
            memory: self.attempts.memory() + self.io_memory(),
            at: Some((self.clock.now(), Instant::now())),
        };
    }

    fn attempt(&mut self) -> Result<End, JobError> {
        let Begun { attempt, mut coordinator, from } = self.attempts.begin(self.clock.now())?;
        let control = attempt.control.clone();
        self.looking.begin(&self.shared.watches, from.unwrap_or_default());
        let (name, shards) = (self.attempts.job.name.as_str(), self.attempts.job.shards);
        self.shared.lifecycle.deploy(name, &self.attempts.plan, shards, SystemTime::now());
        let wait = self.attempts.job.wait;
        let specs = attempt.builders.into_iter().enumerate().map(|(shard, build)| ShardSpec {
            shard: ShardId(shard as u16),
            core: self.placement.cores[shard],
            wait: self.placement.wait(wait),
            waker: control.wakers[shard].clone(),
            build,
        });
        self.shard_clock.wakes(&control.wakers);
        let mut running = driver::start(self.attempts.job.driver, self.shard_clock.clone(), specs.collect())?;
        self.driver = running.driver().to_string();
        self.shared.run(control.clone());
        self.shared.set_status(JobStatus::Running, None);
        tracing::info!(
            job = self.attempts.job.name,
            driver = self.driver,
            from = from.map(|epoch| epoch.0),
            "RUNNING"
        );
        let end = self.watch(&attempt.events, &control, &mut coordinator, &mut running);
        self.committed = control.committed();
        control.set_phase(match end {
            End::Finished => Phase::Finish,
            End::Failed(JobError::Failed { .. } | JobError::Poison { .. }, _) => Phase::RunOut,
            End::Failed(..) | End::Canceled | End::Stopped => Phase::Stop,
        });
        if !matches!(end, End::Finished) {
            self.shared.lifecycle.canceling(SystemTime::now());
        }
        let ends = running.join();
        self.shared.lifecycle.stopped(matches!(end, End::Finished), SystemTime::now());
        self.attempts.hear_out(attempt.events.try_iter());
        self.attempts.metrics = coordinator.metrics;
        self.watchdog.forget_shards();
        self.publish_figures();
        // A shard that panicked outside of its operators says so only here.
        if let (End::Finished, Some(failure)) = (&end, ends.into_iter().find_map(|end| end.result.err())) {
            return Ok(self.attempts.shard_failed(failure));
        }
        Ok(end)
    }

    /// Listens to the shards until the attempt is over.
    fn watch(
        &mut self,
        events: &Receiver<ShardEvent>,
        control: &Control,
        coordinator: &mut Coordinator,
        running: &mut RunningShards,
    ) -> End {
        let mut published = Nanos(0);
        // The newest epoch when somebody asked the job to stop.
        let mut stops_after = None;
        loop {
            let now = self.clock.now();
            let deadline = coordinator.next_deadline().map_or(LOOK_EVERY, |at| at.since(now).min(LOOK_EVERY));
            let event = match events.recv_timeout(deadline) {
                Ok(ShardEvent::Answer(shard, question, answer)) => {
                    self.shared.answers.put(shard, question, answer);
                    None
                }
                Ok(event) => {
                    self.shared.lifecycle.hear(&event, SystemTime::now());
                    Some(event)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    return match running.next_end(Duration::from_secs(1)) {
                        Some(driver::ShardEnd { result: Err(failure), .. }) => {
                            self.attempts.shard_failed(failure.clone())
                        }
                        _ => End::Canceled,
                    };
                }
            };
            if let Some(end) = self.attempts.turn(coordinator, event, self.clock.now()) {
                return end;
            }
            if self.shared.cancel.asked() {
                return End::Canceled;
            }
            self.looking.turn(&self.shared.watches, &mut self.attempts, control.committed(), now);
            match self.savepoints.turn(&self.shared.savepoints, &mut self.attempts, coordinator) {
                Some(Ending::Stop) => self.shared.stop(),
                Some(Ending::Drain) => control.drain(),
                None => {}
            }
            if self.shared.stop.asked() && self.attempts.plan.mode.batch {
                // The stages that are done stay; there is no checkpoint before the end.
                return End::Stopped;
            }
            if self.shared.stop.asked() {
                let after = *stops_after.get_or_insert_with(|| {
                    coordinator.ask();
                    coordinator.newest()
                });
                if coordinator.has_committed_after(after) {
                    return End::Stopped;
                }
            }
            if let Some(driver::ShardEnd { result: Err(failure), .. }) = running.next_end(Duration::ZERO) {
                return self.attempts.shard_failed(failure.clone());
            }
            if now.since(published) >= LOOK_EVERY {
                published = now;
                self.look_for_stalls(control, now);
                self.attempts.metrics = coordinator.metrics.clone();
                self.publish_figures();
            }
        }
    }
}

impl Supervisor {
    fn look_for_stalls(&mut self, control: &Control, now: Nanos) {
        let plan = &self.attempts.plan;
        let operators =
            |chain: usize| plan.chains[chain].ops.iter().map(|op| plan.name(*op).to_owned()).collect();
        let shards = control.counters.iter().map(|of| of.whereabouts());
        for stall in self.watchdog.look(now, shards, operators) {
            tracing::warn!(job = self.attempts.job.name, "{stall}");
        }
    }
}
