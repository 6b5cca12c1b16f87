//! Runs a whole job in one thread: real shards, the real coordinator and the real checkpoints, on a simulated disk, under a simulated
//! clock, in an order that a seed decides. What happens once for a seed happens each time.
//!
//! ```no_run
//! use millstream_engine::prelude::*;
//! use millstream_engine::testing::script;
//! use millstream_engine::testing::sim::{SimEnd, Simulation};
//! use millstream_engine::testing::sim_disk::{SimDisk, SimFaults};
//!
//! let mut disk = SimDisk::new(1, SimFaults::default());
//! loop {
//!     disk.cut_power_after(40);
//!     let job = Job::new("evens").shards(3).state_dir("/state");
//!     let program = |flow: &Flow| flow.source("numbers", script([1u64, 2, 3])).filter(|n| n % 2 == 0).discard();
//!     let mut simulation = Simulation::new(1, job, &disk, program).unwrap();
//!     match simulation.run(1_000_000) {
//!         Some(SimEnd::PowerCut) => disk = disk.crash(),
//!         end => break println!("{end:?}"),
//!     }
//! }
//! ```
//!
//! What is decided by the seed: who takes the next turn (a shard, or the control thread), for how many turns in a row, who gets none for a while,
//! and how long each turn takes. Shards sleep as they do on their threads, so that a wake-up that is missing keeps a shard asleep.
//! Not simulated: threads that sources and sinks start for themselves, and the order in which the processor makes writes visible to
//! other cores (loom does that for the rings).

mod by_hand;
mod told;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub(crate) use by_hand::Settled;

use super::seat::Seat;
use super::sim_disk::{Random, SimDisk};
use crate::accumulator::Accumulators;
use crate::element::{Epoch, Nanos, ShardId};
use crate::graph::Flow;
use crate::job::attempts::{Attempts, Begun, End};
use crate::job::lifecycle::Lifecycle;
use crate::job::{Job, JobError, JobStatus};
use crate::key::HashSeed;
use crate::runtime::control::{Control, Phase, ShardEvent};
use crate::runtime::coordinator::Coordinator;
use crate::runtime::driver::Step;
use crate::runtime::metrics::{JobMetrics, ShardMetrics};
use crate::time::ProcessingTime;

/// How often the control thread looks at the time, at the least.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the scheduler may do.
#[derive(Clone, Copy, Debug)]
pub struct SimSchedule {
    /// How many turns in a row one shard (or the control thread) gets at the most.
    pub burst_max: u64,
    /// At about every so-manieth turn, one of them gets none for a while; 0 for never.
    pub starve_every: u64,
    /// For how many turns at the most.
    pub starve_max: u64,
    /// How long a turn takes at the most.
    pub turn_nanos_max: u64,
    /// For how many turns at the most a shard does not see that a checkpoint was asked for, while others do already.
    pub publication_delay_max: u64,
    /// Whether shards also step when nothing has woken them, as those do that never sleep. (Now and then; the time that they would spin
    /// through is skipped.)
    pub spins: bool,
}

impl Default for SimSchedule {
    fn default() -> Self {
        SimSchedule {
            burst_max: 4,
            starve_every: 0,
            starve_max: 0,
            turn_nanos_max: 5_000,
            publication_delay_max: 8,
            spins: false,
        }
    }
}

/// How a simulated process ended.
#[derive(Debug)]
pub enum SimEnd {
    /// The job is done, and its output committed.
    Finished,
    /// It failed for good, or could not be started (again).
    Failed(JobError),
    /// The simulated disk lost its power.
    PowerCut,
}

/// A fault that can be planted in the engine, to see that a simulation finds it.
#[cfg(feature = "planted-faults")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Rings are read past switches of their producers.
    ReadPastSwitch,
    /// A checkpoint forgets the records that wait for room on a ring.
    ForgetUnsent,
    /// What a failed checkpoint held does not go along with the next one.
    ForgetFailed,
}

/// A process that runs a job. Dropping it is killing it: the disk keeps what was written.
pub struct Simulation {
    random: Random,
    schedule: SimSchedule,
    disk: SimDisk,
    attempts: Attempts,
    status: JobStatus,
    lifecycle: Lifecycle,
    running: Option<Running>,
    now: Nanos,
    /// Whether time passes only when it is told to.
    stands: bool,
    turns: u64,
    trace: u64,
    failures: Vec<String>,
    /// The figures of the attempt that has ended.
    ended: Vec<ShardMetrics>,
}

/// An attempt under way.
struct Running {
    control: Arc<Control>,
    events: Receiver<ShardEvent>,
    inbox: VecDeque<ShardEvent>,
    coordinator: Coordinator,
    from: Option<Epoch>,
    seats: Vec<Seat>,
    looked: Nanos,
    /// Who has the turn, and for how many more.
    burst: Option<(Actor, u64)>,
    /// Per shard: the turn at which it sees the newest publication.
    shows_at: Vec<u64>,
    /// Who gets no turn before which.
    starved: Option<(Actor, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Shard(usize),
    Control,
}

impl Simulation {
    /// Starts a process that is to run this job on this disk. Nothing but the seed decides what happens. The simulation has a clock of its own,
    /// which begins at the Unix epoch.
    ///
    /// # Errors
    /// What keeps the job from being started: mistakes in the program, a state directory that cannot be used.
    pub fn new(
        seed: u64,
        job: Job,
        disk: &SimDisk,
        program: impl Fn(&Flow) + Send + Sync + 'static,
    ) -> Result<Simulation, JobError> {
        let mut random = Random(seed);
        let drawn = HashSeed(random.next());
        let processing = ProcessingTime::from_epoch(job.tick);
        Ok(Simulation {
            attempts: Attempts::new(job.settled()?, Arc::new(program), disk.shared(), drawn, processing)?,
            status: JobStatus::Created,
            lifecycle: Lifecycle::default(),
            random,
            schedule: SimSchedule::default(),
            disk: disk.clone(),
            running: None,
            now: Nanos(1),
            stands: false,
            turns: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            failures: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// Changes what the scheduler may do.
    pub fn set_schedule(&mut self, schedule: SimSchedule) {
        self.schedule = schedule;
    }

    /// Plants a fault in the attempts that follow.
    #[cfg(feature = "planted-faults")]
    #[doc(hidden)]
    pub fn plant(&mut self, plant: Option<Plant>) {
        self.attempts.plant = plant;
    }

    /// Goes on for so many turns. `None`: the process is still at it.
    pub fn run(&mut self, turns: u64) -> Option<SimEnd> {
        let stop = self.turns + turns;
        while self.turns < stop {
            self.turns += 1;
            let end = match self.running.take() {
                None => self.begin(),
                Some(running) => self.turn(running),
            };
            if self.disk.is_dead() {
                self.running = None;
                return Some(SimEnd::PowerCut);
            }
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// How many turns were taken.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// A fingerprint of all that happened: equal for equal seeds.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// What went wrong in each attempt that failed, in order.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The figures of the job.
    pub fn metrics(&self) -> JobMetrics {
        let running = self.running.as_ref();
        JobMetrics {
            shards: running.map_or_else(|| self.ended.clone(), Running::figures),
            checkpoints: running
                .map_or_else(|| self.attempts.metrics.clone(), |running| running.coordinator.metrics.clone()),
            restarts: self.attempts.restarts.done(),
            // Nothing stands still while the simulator holds the clock.
            stalls: Vec::new(),
            job_memory: self.attempts.memory(),
        }
    }

    /// What the accumulators had come to when the job ended.
    pub fn accumulators(&self) -> Accumulators {
        self.attempts.accumulators()
    }

    /// Who waits for what: for a job that makes no progress.
    pub fn describe(&self) -> String {
        let mut text = format!("turn {}, {} ns\n", self.turns, self.now.0);
        let Some(running) = &self.running else { return text + "no attempt runs\n" };
        let _ = writeln!(text, "from {:?}, {}", running.from, running.coordinator.describe());
        let _ = writeln!(text, "{} events wait, starved {:?}", running.inbox.len(), running.starved);
        for (number, seat) in running.seats.iter().enumerate() {
            let Some(drive) = &seat.drive else {
                let _ = writeln!(text, "shard {number}: done");
                continue;
            };
            let _ = writeln!(
                text,
                "shard {number}: asleep {}, until {:?}, has work {}, {} disk operations under way; {:?}",
                seat.asleep,
                seat.until,
                drive.has_work(),
                seat.outstanding(),
                running.control.counters[number].read(),
            );
        }
        text
    }

    fn note(&mut self, what: u64) {
        for byte in what.to_le_bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Makes the next attempt.
    fn begin(&mut self) -> Option<SimEnd> {
        self.set_status(JobStatus::Created, None);
        let Begun { attempt, coordinator, from } = match self.attempts.begin(self.now) {
            Ok(begun) => begun,
            Err(error) => return self.failed(error, false),
        };
        self.note(from.map_or(0, |epoch| epoch.0));
        let (job, shards) = (&self.attempts.job.name, self.attempts.job.shards);
        self.lifecycle.deploy(job, &self.attempts.plan, shards, self.date());
        self.set_status(JobStatus::Running, None);
        let seats = attempt.builders.into_iter().map(|build| Seat::new(build, &self.disk));
        self.running = Some(Running {
            shows_at: vec![0; attempt.control.counters.len()],
            seats: seats.collect(),
            control: attempt.control,
            events: attempt.events,
            inbox: VecDeque::new(),
            coordinator,
            from,
            looked: self.now,
            burst: None,
            starved: None,
        });
        None
    }

    /// Lets somebody take a turn.
    fn turn(&mut self, mut running: Running) -> Option<SimEnd> {
        running.inbox.extend(running.events.try_iter());
        let Some(actor) = self.choose(&mut running) else {
            // All sleep: time passes until the first has something to do.
            running.show_publications(u64::MAX);
            if !self.stands {
                self.now = running.next_due(self.now);
            }
            self.running = Some(running);
            return None;
        };
        if !self.stands {
            self.now = Nanos(self.now.0 + 1 + self.random.below(self.schedule.turn_nanos_max));
        }
        let end = match actor {
            Actor::Shard(number) => {
                let step = running.step(number, self.now);
                self.note(number as u64 * 4 + step);
                None
            }
            Actor::Control => {
                running.looked = self.now;
                let event = running.inbox.pop_front();
                self.note(if event.is_some() { 1 << 32 } else { 1 << 33 });
                if let Some(event) = &event {
                    self.lifecycle.hear(event, self.date());
                }
                let published = running.control.published();
                let end = self.attempts.turn(&mut running.coordinator, event, self.now);
                if running.control.published() > published {
                    self.delay_publication(&mut running);
                }
                end
            }
        };
        self.note(self.now.0);
        let Some(end) = end else {
            self.running = Some(running);
            return None;
        };
        let finished = matches!(end, End::Finished);
        running.control.set_phase(if finished { Phase::Finish } else { Phase::Stop });
        if !finished {
            self.lifecycle.canceling(self.date());
        }
        running.stop(self.now);
        self.lifecycle.stopped(finished, self.date());
        self.ended = running.figures();
        self.attempts.metrics = running.coordinator.metrics;
        match end {
            End::Finished => {
                self.set_status(JobStatus::Finished, None);
                Some(SimEnd::Finished)
            }
            End::Canceled | End::Stopped => unreachable!("nobody cancels a simulation"),
            End::Failed(error, retryable) => self.failed(error, retryable),
        }
    }

    /// Lets each shard see a publication at a time of its own.
    fn delay_publication(&mut self, running: &mut Running) {
        for (number, shows_at) in running.shows_at.iter_mut().enumerate() {
            let delay = self.random.below(self.schedule.publication_delay_max + 1);
            *shows_at = self.turns + delay;
            if delay > 0 {
                running.control.hide_publication(ShardId(number as u16));
            }
        }
    }

    fn choose(&mut self, running: &mut Running) -> Option<Actor> {
        let now = self.now;
        running.show_publications(self.turns);
        if let Some((actor, left)) = running.burst.take()
            && left > 0
            && running.is_ready(actor, now)
        {
            running.burst = Some((actor, left - 1));
            return Some(actor);
        }
        let mut ready: Vec<Actor> = running.actors().filter(|actor| running.is_ready(*actor, now)).collect();
        if self.schedule.starve_every > 0 && self.random.one_in(self.schedule.starve_every) {
            let victim = self.random.below(running.seats.len() as u64 + 1) as usize;
            let victim = if victim == running.seats.len() { Actor::Control } else { Actor::Shard(victim) };
            running.starved = Some((victim, self.turns + self.random.below(self.schedule.starve_max + 1)));
        }
        if let Some((victim, until)) = running.starved {
            if self.turns < until && ready.iter().any(|actor| *actor != victim) {
                ready.retain(|actor| *actor != victim);
            } else {
                running.starved = None;
            }
        }
        if ready.is_empty() {
            let spun = self.random.below(2 * running.seats.len() as u64) as usize;
            return (self.schedule.spins && spun < running.seats.len()).then_some(Actor::Shard(spun));
        }
        let actor = ready[self.random.below(ready.len() as u64) as usize];
        running.burst = Some((actor, self.random.below(self.schedule.burst_max.max(1))));
        Some(actor)
    }

    /// After a failure: waits as the restart strategy says, or gives up.
    fn failed(&mut self, error: JobError, retryable: bool) -> Option<SimEnd> {
        self.failures.push(error.to_string());
        let delay = if retryable { self.attempts.restarts.after_failure(self.now) } else { None };
        match delay {
            None => {
                self.set_status(JobStatus::Failed, Some(&error));
                Some(SimEnd::Failed(error))
            }
            Some(delay) => {
                self.set_status(JobStatus::Restarting, Some(&error));
                self.now = self.now.after(delay);
                None
            }
        }
    }
}

impl Running {
    fn figures(&self) -> Vec<ShardMetrics> {
        self.control.counters.iter().map(|counters| counters.read()).collect()
    }

    fn actors(&self) -> impl Iterator<Item = Actor> + use<> {
        (0..self.seats.len()).map(Actor::Shard).chain([Actor::Control])
    }

    fn is_ready(&self, actor: Actor, now: Nanos) -> bool {
        match actor {
            Actor::Control => !self.inbox.is_empty() || now >= self.control_due(),
            Actor::Shard(number) => {
                let seat = &self.seats[number];
                seat.drive.is_some()
                    && (!seat.asleep
                        || self.control.wakers[number].is_notified()
                        || seat.outstanding() > 0
                        || seat.until.is_some_and(|until| until <= now))
            }
        }
    }

    /// Lets those shards see the newest publication that are to see it by this turn.
    fn show_publications(&mut self, turn: u64) {
        for (number, shows_at) in self.shows_at.iter().enumerate() {
            if *shows_at <= turn {
                self.control.show_publication(ShardId(number as u16));
            }
        }
    }

    fn control_due(&self) -> Nanos {
        let look = self.looked.after(LOOK_EVERY);
        self.coordinator.next_deadline().map_or(look, |deadline| look.min(deadline.max(self.looked)))
    }

    /// The next time at which somebody has something to do.
    fn next_due(&self, now: Nanos) -> Nanos {
        let seats = self.seats.iter().filter(|seat| seat.drive.is_some()).filter_map(|seat| seat.until);
        seats.chain([self.control_due()]).min().unwrap_or(now).max(Nanos(now.0 + 1))
    }

    /// Lets a shard step, and puts it to sleep as its thread would. Gives back a number for the trace.
    fn step(&mut self, number: usize, now: Nanos) -> u64 {
        let (seat, waker) = (&mut self.seats[number], &self.control.wakers[number]);
        waker.end_sleep();
        seat.asleep = false;
        let Some(drive) = &mut seat.drive else { return 3 };
        match drive.step(now) {
            Step::Worked => 0,
            Step::Idle { until } => {
                seat.until = until;
                waker.begin_sleep();
                seat.asleep = !drive.has_work();
                if !seat.asleep {
                    waker.end_sleep();
                }
                1
            }
            Step::Done => {
                seat.drive = None;
                2
            }
        }
    }

    /// Lets all shards see that the attempt is over.
    fn stop(&mut self, now: Nanos) {
        for number in 0..self.seats.len() {
            while self.seats[number].drive.is_some() {
                self.step(number, now);
            }
        }
    }
}
