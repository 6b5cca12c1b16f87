//! A harness for operators: runs a piece of a program in the test's own thread, fed and read by hand.
//!
//! ```text
//!  test                 push(record, at)  watermark(t)  advance_clock(t)      outputs()   snapshot()   restore(.., shards)
//!                              |               |              |                  ^            |              |
//!  flow.input("in")  ==> source with one partition ==> what is under test ==> flow.output("out", ..)         |
//!                       \------------ real shards, the real coordinator, real checkpoints on a simulated disk --------/
//! ```
//!
//! After each call the shards have run until there is nothing left to do, so all output that follows from it is there. Nothing is random and
//! nothing waits: the clock stands unless it is moved, event time stands unless a watermark moves it.

mod error;
mod feed;
mod flow;
mod output;
mod ports;
mod single;
mod step;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

pub use error::HarnessError;
pub use feed::{Feed, FeedReader};
pub use flow::{Input, TestFlow};
pub use single::{Single, single};
pub use step::Step;

pub(super) use ports::{INPUT, Shown, Width};

use error::must;
use ports::{Fed, Ports};
use step::Act;

use super::sim::{Settled, SimEnd, Simulation};
use super::sim_disk::{SimDisk, SimFaults};
use crate::element::{Nanos, Timestamp};
use crate::job::{CheckpointInterval, Job};
use crate::record::Record;
use crate::runtime::metrics::JobMetrics;
use crate::runtime::restart::RestartStrategy;
use crate::time::ProcessingTime;

/// Decides in which order the shards take their turns.
const SEED: u64 = 0x6d69_6c6c;

/// How many turns a job may take before it rests.
const TURNS_MAX: u64 = 1_000_000;

/// Where the simulated disk has the job's state.
const STATE_DIR: &str = "/state";

/// A program under test; see the [module](self).
///
/// A test that does what cannot be done (pushes into an input that is not there, lets a watermark go back), or whose job fails, panics with
/// the reason. Where the failure is what is tested, [`Harness::step`] and [`Harness::of`] give it back.
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::testing::Harness;
/// use std::time::Duration;
///
/// let mut harness = Harness::new(|flow| {
///     let late = flow.tag::<(u64, i64)>("late");
///     let sums = flow
///         .input::<(u64, i64)>("money")
///         .key_by(|(user, _)| *user)
///         .window(Tumbling::of(Duration::from_secs(5)))
///         .late_to(&late)
///         .sum(|record| record.1)
///         .map(|sum| (sum.key, sum.value));
///     flow.side_output(&late, &sums);
///     flow.output("sums", sums);
/// });
/// harness.push((1u64, 10i64), 1_000);
/// harness.watermark(4_999);
/// assert_eq!(harness.outputs_of("sums"), [((1u64, 10i64), Timestamp(4_999))]);
///
/// let snapshot = harness.snapshot();
/// harness.restore(&snapshot, 2);
/// harness.push((1u64, 7i64), 4_000);
/// assert_eq!(harness.side_outputs("late"), [((1u64, 7i64), Timestamp(4_000))]);
/// assert_eq!(harness.late_records(), 1);
/// ```
pub struct Harness {
    program: Arc<dyn Fn(&TestFlow) + Send + Sync>,
    job: Job,
    ports: Ports,
    disk: SimDisk,
    simulation: Simulation,
    /// How the job ended, once it has.
    over: Option<String>,
}

/// All that a harness and its job knew at a moment: made by [`Harness::snapshot`], and restored as often as one likes.
#[derive(Clone)]
pub struct Snapshot {
    disk: SimDisk,
    inputs: BTreeMap<String, Fed>,
    /// By output.
    event_times: BTreeMap<String, Timestamp>,
    now: Nanos,
}

impl Harness {
    /// A harness for a program on one shard. The program is called once on each shard, and once more to check it.
    ///
    /// # Panics
    /// The program cannot be built.
    #[track_caller]
    pub fn new(program: impl Fn(&TestFlow) + Send + Sync + 'static) -> Harness {
        must(Harness::of(Job::new("harness"), program))
    }

    /// The same for a job with settings of its own, like its number of shards and its tick. Its clock, state directory and checkpoint interval are
    /// those of the harness. It is not restarted after a failure unless it says so.
    ///
    /// # Errors
    /// The program cannot be built.
    pub fn of(
        job: Job,
        program: impl Fn(&TestFlow) + Send + Sync + 'static,
    ) -> Result<Harness, HarnessError> {
        Harness::start(job, Arc::new(program), Width::default())
    }

    pub(super) fn start(
        job: Job,
        program: Arc<dyn Fn(&TestFlow) + Send + Sync>,
        width: Width,
    ) -> Result<Harness, HarnessError> {
        let restart = job.restart.clone().or(Some(RestartStrategy::None));
        let job = job.checkpoint_interval(CheckpointInterval::Off);
        let job = Job { state_dir: Some(STATE_DIR.into()), restart, ..job };
        let ports = Ports::default();
        ports.lock().width = width;
        let disk = SimDisk::new(SEED, SimFaults::default());
        let simulation = simulate(&job, &disk, &ports, &program, Nanos(0))?;
        let mut harness = Harness { program, job, ports, disk, simulation, over: None };
        harness.rest()?;
        Ok(harness)
    }

    /// Does something to the program, and runs the job until it rests.
    ///
    /// # Errors
    /// It cannot be done, or the job failed on it.
    pub fn step(&mut self, step: &Step) -> Result<(), HarnessError> {
        self.feed(step)?;
        self.rest()
    }

    /// Does something to the program, without running the job.
    pub(super) fn feed(&mut self, step: &Step) -> Result<(), HarnessError> {
        if let Some(how) = &self.over {
            let nothing_to_end = step.ends_all() && self.ports.lock().open_inputs().is_empty();
            return if nothing_to_end { Ok(()) } else { Err(HarnessError::Over { how: how.clone() }) };
        }
        if let Act::Clock(to) = step.act {
            return self.pass_time(to);
        }
        let mut ports = self.ports.lock();
        let inputs = match (&step.input, &step.act) {
            (Some(input), _) => vec![input.clone()],
            (None, Act::Push { .. }) => vec![ports.main_input()?],
            (None, _) => ports.open_inputs(),
        };
        for name in inputs {
            let input = ports.input(&name)?;
            match &step.act {
                Act::Push { of, bytes, at, .. } => input.record(&name, *of, bytes.clone(), *at)?,
                Act::Watermark(to) => input.watermark(&name, *to)?,
                Act::Idle => input.idle(&name)?,
                Act::End => input.end(&name)?,
                Act::Clock(_) => {}
            }
        }
        drop(ports);
        self.simulation.wake();
        Ok(())
    }

    /// Pushes a record with this event time into the only input, or the one that is called `in`.
    ///
    /// # Panics
    /// It is not clear which input is meant, or it has another type; the job fails, or is over.
    #[track_caller]
    pub fn push<T: Record + Debug>(&mut self, record: T, at: impl Into<Timestamp>) {
        must(self.step(&Step::push(record, at)));
    }

    /// Pushes a record with this event time into an input.
    ///
    /// # Panics
    /// There is no such input, or it has another type; the job fails, or is over.
    #[track_caller]
    pub fn push_to<T: Record + Debug>(&mut self, input: &str, record: T, at: impl Into<Timestamp>) {
        must(self.step(&Step::push(record, at).to(input)));
    }

    /// Raises the watermark of all inputs. An input whose program [makes its own watermarks](crate::stream::Stream::event_time) ignores it.
    ///
    /// # Panics
    /// It would go back; the job fails, or is over.
    #[track_caller]
    pub fn watermark(&mut self, to: impl Into<Timestamp>) {
        must(self.step(&Step::watermark(to)));
    }

    /// Raises the watermark of one input. Event time of what is fed by several is the least of theirs.
    ///
    /// # Panics
    /// There is no such input; the watermark would go back; the job fails, or is over.
    #[track_caller]
    pub fn watermark_of(&mut self, input: &str, to: impl Into<Timestamp>) {
        must(self.step(&Step::watermark(to).to(input)));
    }

    /// Says that an input is idle until its next record or watermark: event time does not wait for it.
    ///
    /// # Panics
    /// There is no such input; the job fails, or is over.
    #[track_caller]
    pub fn idle(&mut self, input: &str) {
        must(self.step(&Step::idle().to(input)));
    }

    /// Moves the clock to this processing time, in ticks since 1970. It stops at each moment at which something is due, as a clock
    /// that goes on by itself would.
    ///
    /// # Panics
    /// It would go back; the job fails, or is over.
    #[track_caller]
    pub fn advance_clock(&mut self, to: impl Into<Timestamp>) {
        must(self.step(&Step::clock(to)));
    }

    /// Processing time, in ticks since 1970. It begins there.
    pub fn clock(&self) -> Timestamp {
        self.processing().at(self.simulation.now())
    }

    /// Ends all inputs, and with them the job: event time comes to its end, and whatever is open closes.
    ///
    /// # Panics
    /// The job fails, or is over.
    #[track_caller]
    pub fn end(&mut self) {
        must(self.step(&Step::end()));
    }

    /// Takes what has come out of the only output, or the one that is called `out`, since the last call, with its event time.
    ///
    /// # Panics
    /// It is not clear which output is meant, or it has another type.
    #[track_caller]
    pub fn outputs<U: 'static>(&mut self) -> Vec<(U, Timestamp)> {
        let mut ports = self.ports.lock();
        let name = must(ports.main_output());
        must(ports.output(&name).and_then(|kept| kept.take(&name)))
    }

    /// Takes what has come out of an output since the last call, with its event time.
    ///
    /// # Panics
    /// There is no such output, or it has another type.
    #[track_caller]
    pub fn outputs_of<U: 'static>(&mut self, name: &str) -> Vec<(U, Timestamp)> {
        must(self.ports.lock().output(name).and_then(|kept| kept.take(name)))
    }

    /// Takes what has come out beside, under the tag of this name: what [`TestFlow::side_output`] reads.
    ///
    /// # Panics
    /// There is no such side output, or it has another type.
    #[track_caller]
    pub fn side_outputs<U: 'static>(&mut self, tag: &str) -> Vec<(U, Timestamp)> {
        self.outputs_of(tag)
    }

    /// Takes everything that has come out, by output, as `Debug` shows it, and adds it to what is there.
    pub(super) fn take_into(&mut self, records: &mut BTreeMap<String, Vec<Shown>>) {
        for (name, kept) in &mut self.ports.lock().outputs {
            records.entry(name.clone()).or_default().extend(kept.take_shown());
        }
    }

    /// How far event time has come, by output.
    pub(super) fn event_times(&self) -> BTreeMap<String, Timestamp> {
        let ports = self.ports.lock();
        ports.outputs.iter().map(|(name, kept)| (name.clone(), kept.watermark())).collect()
    }

    /// How far event time has come at an output.
    ///
    /// # Panics
    /// There is no such output.
    #[track_caller]
    pub fn event_time(&self, output: &str) -> Timestamp {
        must(self.ports.lock().output(output).map(|kept| kept.watermark()))
    }

    /// How many records were too late for what was to be done with them. A snapshot holds that, too.
    pub fn late_records(&self) -> u64 {
        self.metrics().late_records()
    }

    /// The figures of the job.
    pub fn metrics(&self) -> JobMetrics {
        self.simulation.metrics()
    }

    /// Makes a checkpoint, and keeps it together with what the harness knows. The job goes on.
    ///
    /// # Panics
    /// The job fails, or is over.
    #[track_caller]
    pub fn snapshot(&mut self) -> Snapshot {
        must(self.try_snapshot())
    }

    pub(super) fn try_snapshot(&mut self) -> Result<Snapshot, HarnessError> {
        if let Some(how) = &self.over {
            return Err(HarnessError::Over { how: how.clone() });
        }
        self.simulation.ask_for_checkpoint();
        self.settle()?;
        let inputs = self.ports.lock().inputs.clone();
        let (disk, now, event_times) = (self.disk.copy(), self.simulation.now(), self.event_times());
        Ok(Snapshot { disk, inputs, event_times, now })
    }

    /// Lets the job be what it was at a snapshot, on so many shards now. What has come out and was not taken is forgotten.
    ///
    /// # Panics
    /// The checkpoint does not fit, which is a mistake in an operator.
    #[track_caller]
    pub fn restore(&mut self, snapshot: &Snapshot, shards: u16) {
        must(self.try_restore(snapshot, shards));
    }

    pub(super) fn try_restore(&mut self, snapshot: &Snapshot, shards: u16) -> Result<(), HarnessError> {
        self.begin_again(snapshot, shards)?;
        self.rest()
    }

    /// Restores a snapshot, without running the job.
    pub(super) fn begin_again(&mut self, snapshot: &Snapshot, shards: u16) -> Result<(), HarnessError> {
        self.job.shards = shards;
        self.disk = snapshot.disk.copy();
        let mut ports = self.ports.lock();
        ports.inputs = snapshot.inputs.clone();
        for (name, kept) in &mut ports.outputs {
            kept.begin(snapshot.event_times.get(name).copied().unwrap_or(Timestamp::MIN));
        }
        drop(ports);
        self.simulation = simulate(&self.job, &self.disk, &self.ports, &self.program, snapshot.now)?;
        self.over = None;
        Ok(())
    }

    /// The output that is meant where none is named.
    pub(super) fn main_output(&self) -> Result<String, HarnessError> {
        self.ports.lock().main_output()
    }

    /// Whether the job has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Whether an output takes nothing more before it is opened again.
    pub(super) fn is_full(&self) -> bool {
        self.ports.lock().is_full()
    }

    fn processing(&self) -> ProcessingTime {
        ProcessingTime::from_epoch(self.job.tick)
    }

    fn pass_time(&mut self, to: Timestamp) -> Result<(), HarnessError> {
        let stands = self.clock();
        if to < stands {
            return Err(HarnessError::ClockBack { stands, to });
        }
        let to = self.processing().when(to);
        while self.simulation.pass_time(to).is_some() {
            self.rest()?;
        }
        self.simulation.set_time(to);
        Ok(())
    }

    /// Runs the job until nothing is left to do and all outputs are open.
    pub(super) fn rest(&mut self) -> Result<(), HarnessError> {
        loop {
            self.settle()?;
            if !self.open_outboxes() {
                return Ok(());
            }
        }
    }

    /// Lets outputs that are full take records again. Gives back whether there were any.
    pub(super) fn open_outboxes(&mut self) -> bool {
        let opened = self.ports.lock().open_outboxes();
        if opened {
            self.simulation.wake();
        }
        opened
    }

    /// Runs the job until nothing is left to do, or all outputs that something is to be done for are full.
    pub(super) fn settle(&mut self) -> Result<(), HarnessError> {
        if self.over.is_some() {
            return Ok(());
        }
        match self.simulation.settle(TURNS_MAX) {
            Settled::Rests => Ok(()),
            Settled::Works => {
                Err(HarnessError::Restless { turns: TURNS_MAX, state: self.simulation.describe() })
            }
            Settled::Ended(SimEnd::Failed(error)) => {
                self.over = Some(format!("it failed: {error}"));
                Err(error.into())
            }
            Settled::Ended(SimEnd::Finished) => {
                self.over = Some("all its inputs have ended".to_owned());
                Ok(())
            }
            Settled::Ended(SimEnd::PowerCut) => unreachable!("nobody cuts the power of a harness"),
        }
    }
}

fn simulate(
    job: &Job,
    disk: &SimDisk,
    ports: &Ports,
    program: &Arc<dyn Fn(&TestFlow) + Send + Sync>,
    now: Nanos,
) -> Result<Simulation, HarnessError> {
    let (ports, program) = (ports.clone(), program.clone());
    let mut simulation =
        Simulation::new(SEED, job.clone(), disk, move |flow| program(&TestFlow::new(flow, &ports)))?;
    simulation.stop_time(now);
    Ok(simulation)
}
