//! The control thread of a job: drives its attempts on real threads, listens to shards, and waits between attempts.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use super::answers::Answers;
use super::attempts::{Attempts, Begun, End};
use super::error::JobError;
use super::id::{JobId, random};
use super::lifecycle::Lifecycle;
use super::settings::Job;
use super::summary::{JobStatus, Summary};
use super::{Cancel, EventTime, HotKeys, NoAnswer};
use crate::accumulator::Accumulators;
use crate::disk::RealDisk;
use crate::element::{Nanos, ShardId};
use crate::graph::Plan;
use crate::key::HashSeed;
use crate::runtime::attempt::Program;
use crate::runtime::control::{Control, Phase, ShardAnswer, ShardEvent};
use crate::runtime::coordinator::Coordinator;
use crate::runtime::driver::{self, RunningShards, ShardSpec};
use crate::runtime::metrics::{CheckpointMetrics, JobMetrics};
use crate::runtime::placement::{self, Placement};
use crate::runtime::stalls::{ShardStall, Watchdog};
use crate::time::Clock;

/// How often the control thread looks for what nobody tells it of: a cancellation, a dead shard.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a shard has to say how things stand.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What the control thread knows beside the shards' counters.
#[derive(Default)]
struct Figures {
    checkpoints: CheckpointMetrics,
    restarts: u32,
    stalls: Vec<ShardStall>,
}

/// What the handle and the control thread share.
pub(crate) struct Shared {
    pub(super) id: JobId,
    pub(super) lifecycle: Lifecycle,
    status: AtomicU8,
    cancel: Cancel,
    stop: Cancel,
    control: Mutex<Option<Arc<Control>>>,
    figures: Mutex<Figures>,
    plan: OnceLock<Arc<Plan>>,
    answers: Answers,
}

impl Shared {
    pub(super) fn new() -> Shared {
        Shared {
            id: JobId::random(),
            lifecycle: Lifecycle::default(),
            status: AtomicU8::new(JobStatus::Created as u8),
            cancel: Cancel::default(),
            stop: Cancel::default(),
            control: Mutex::default(),
            figures: Mutex::default(),
            plan: OnceLock::new(),
            answers: Answers::default(),
        }
    }

    pub(crate) fn status(&self) -> JobStatus {
        JobStatus::from_u8(self.status.load(Ordering::Acquire))
    }

    fn set_status(&self, status: JobStatus, cause: Option<&JobError>) {
        self.lifecycle.job(self.status(), status, cause.map(JobError::to_string), SystemTime::now());
        self.status.store(status as u8, Ordering::Release);
    }

    pub(crate) fn cancel(&self) {
        self.cancel.ask();
    }

    pub(crate) fn stop(&self) {
        self.stop.ask();
    }

    fn control(&self) -> Option<Arc<Control>> {
        self.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn metrics(&self) -> JobMetrics {
        let shards = self.control().map(|control| control.counters.iter().map(|of| of.read()).collect());
        let figures = self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        JobMetrics {
            shards: shards.unwrap_or_default(),
            checkpoints: figures.checkpoints.clone(),
            restarts: figures.restarts,
            stalls: figures.stalls.clone(),
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
        let plan = self.plan.get().expect("a job that runs has a plan");
        Ok(EventTime::new(plan.clone(), shards))
    }

    pub(crate) fn hot_keys(&self) -> Result<HotKeys, NoAnswer> {
        let shards: Vec<_> = self.ask()?.into_iter().map(|answer| answer.keys).collect();
        let plan = self.plan.get().expect("a job that runs has a plan");
        Ok(HotKeys::of(plan, &shards))
    }

    pub(crate) fn accumulators(&self) -> Result<Accumulators, NoAnswer> {
        Ok(Accumulators::of(self.ask()?.iter().map(|answer| &answer.accumulators)))
    }

    pub(crate) fn take_loop_gaps(&self) -> Vec<Duration> {
        let control = self.control();
        control
            .map_or_else(Vec::new, |control| control.counters.iter().map(|of| of.take_loop_gap()).collect())
    }
}

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
}

impl Supervisor {
    /// Checks program and settings, and opens the state directory.
    pub(crate) fn new(job: Job, program: Program, shared: Arc<Shared>) -> Result<Supervisor, JobError> {
        let placement = placement::place(usize::from(job.shards), job.cores.clone(), job.oversubscribe)?;
        if let Some(throttled) = &placement.throttled {
            tracing::warn!(job = job.name, "{throttled}");
        }
        let clock = Clock::wall();
        let shard_clock = job.clock.clone().unwrap_or_else(|| clock.clone());
        let processing = shard_clock.processing_time(job.tick);
        let watchdog = Watchdog::new(job.stall_after);
        let attempts = Attempts::new(job, program, Arc::new(RealDisk), HashSeed(random()), processing)?;
        // Nobody else sets it.
        let _ = shared.plan.set(attempts.plan.clone());
        Ok(Supervisor { attempts, placement, shared, clock, shard_clock, driver: String::new(), watchdog })
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
                        self.shared.set_status(JobStatus::Failed, Some(&error));
                        tracing::error!(job, "{error}");
                        return Err(error);
                    }
                },
            };
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
            });
        }
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
        true
    }

    /// Whether somebody has asked the job to end, in whichever way.
    fn is_to_end(&self) -> bool {
        self.shared.cancel.asked() || self.shared.stop.asked()
    }

    fn publish_figures(&self) {
        let mut figures = self.shared.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *figures = Figures {
            checkpoints: self.attempts.metrics.clone(),
            restarts: self.attempts.restarts.done(),
            stalls: self.watchdog.stalls().to_vec(),
        };
    }

    fn attempt(&mut self) -> Result<End, JobError> {
        let Begun { attempt, mut coordinator, from } = self.attempts.begin(self.clock.now())?;
        let control = attempt.control.clone();
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
        *self.shared.control.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(control.clone());
        self.shared.set_status(JobStatus::Running, None);
        tracing::info!(
            job = self.attempts.job.name,
            driver = self.driver,
            from = from.map(|epoch| epoch.0),
            "RUNNING"
        );
        let end = self.watch(&attempt.events, &control, &mut coordinator, &mut running);
        control.set_phase(match end {
            End::Finished => Phase::Finish,
            End::Failed(JobError::Failed { .. }, _) => Phase::RunOut,
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
