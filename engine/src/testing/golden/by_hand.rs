//! Runs in the test's own thread, on a simulated disk: record by record, with a checkpoint for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::paused::Pauses;
use super::{Once, Ran, Run, job};
use crate::element::Nanos;
use crate::graph::Flow;
use crate::job::{CheckpointInterval, CheckpointMode, JobError};
use crate::savepoint::SavepointError;
use crate::testing::sim::{Settled, SimEnd, Simulation};
use crate::testing::sim_disk::{SimDisk, SimFaults};

/// How many turns a job may take before it rests.
const TURNS_MAX: u64 = 1_000_000;

/// How long a job may rest before something comes from a thread that a source or a sink has started.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to run a job.
struct Way {
    name: &'static str,
    mode: CheckpointMode,
    /// The shards that it begins with, and those that it is restored on after each record, one number after the other.
    shards: u16,
    restored: &'static [u16],
    /// Whether it is restored from a savepoint each time, with a state directory of its own.
    savepoints: bool,
}

impl Way {
    const fn checkpoints(
        name: &'static str,
        mode: CheckpointMode,
        shards: u16,
        restored: &'static [u16],
    ) -> Way {
        Way { name, mode, shards, restored, savepoints: false }
    }

    const fn savepoints(name: &'static str, shards: u16, restored: &'static [u16]) -> Way {
        Way { name, mode: UNALIGNED, shards, restored, savepoints: true }
    }
}

const UNALIGNED: CheckpointMode = CheckpointMode::Unaligned;
const ALIGNED: CheckpointMode = CheckpointMode::Aligned;

const WAYS: [Way; 8] = [
    Way::checkpoints("a checkpoint after every record", UNALIGNED, 1, &[]),
    Way::checkpoints("a checkpoint after every record on two shards", UNALIGNED, 2, &[]),
    Way::checkpoints("restored after every record", UNALIGNED, 1, &[1]),
    Way::checkpoints("restored on other shards after every record", UNALIGNED, 1, &[2, 3, 1, 2]),
    Way::checkpoints("an aligned checkpoint after every record", ALIGNED, 2, &[]),
    Way::checkpoints("restored from an aligned checkpoint after every record", ALIGNED, 1, &[2, 3, 1, 2]),
    Way::savepoints("a savepoint after every record", 1, &[1]),
    Way::savepoints("a savepoint after every record, for other shards", 2, &[3, 1, 2]),
];

/// All runs by hand.
pub(super) fn all<O, P>(records: usize, program: &P) -> Vec<Ran<O>>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let ways = WAYS.iter().zip(1..).filter(|(way, _)| way.mode == UNALIGNED || can_align(program));
    ways.map(|(way, seed)| ByHand::new(way, seed, program).run(records)).collect()
}

/// Whether a program's checkpoints can be aligned: those of iterations cannot.
fn can_align<O, P>(program: &P) -> bool
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let explained =
        job(1).checkpoint_mode(ALIGNED).explain(|flow| program(flow, &Run::straight(Once::new())));
    !matches!(explained, Err(JobError::Setting { setting: "checkpoint_mode", .. }))
}

/// A job that is led from record to record.
struct ByHand<'a, O, P> {
    way: &'a Way,
    seed: u64,
    program: &'a P,
    sink: Once<O>,
    pauses: Arc<Pauses>,
    disk: SimDisk,
    simulation: Simulation,
    /// The savepoint that the job was last begun with.
    savepoint: Option<PathBuf>,
    finished: bool,
}

impl<'a, O, P> ByHand<'a, O, P>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    fn new(way: &'a Way, seed: u64, program: &'a P) -> Self {
        let disk = SimDisk::new(seed, SimFaults::default());
        let (sink, pauses) = (Once::new(), Arc::new(Pauses::after(0)));
        let place = Place { shards: way.shards, savepoint: None, now: Nanos(0) };
        let simulation = begin(way, seed, place, &disk, (&sink, &pauses), program);
        ByHand { way, seed, program, sink, pauses, disk, simulation, savepoint: None, finished: false }
    }

    fn run(mut self, records: usize) -> Ran<O> {
        for number in 0..=records {
            self.pauses.move_to(number);
            self.simulation.wake();
            if number % 2 == 0 {
                self.settle();
            }
            self.simulation.ask_for_checkpoint();
            self.settle();
            if self.finished {
                break;
            }
            if !self.way.restored.is_empty() {
                self.restore(self.way.restored[number % self.way.restored.len()]);
            }
        }
        self.pauses.move_to(usize::MAX);
        self.simulation.wake();
        self.finish();
        let most = self.way.restored.iter().copied().chain([self.way.shards]).max();
        Ran {
            way: self.way.name.to_owned(),
            shards: most.unwrap_or(self.way.shards),
            results: self.sink.results(),
            late: self.simulation.metrics().late_records(),
            accumulators: self.simulation.accumulators(),
        }
    }

    /// Lets the process die, and another one go on.
    fn restore(&mut self, shards: u16) {
        if self.way.savepoints {
            match self.simulation.savepoint(Path::new("/savepoints")) {
                Ok(path) => self.savepoint = Some(path),
                // There is no checkpoint since it began: it begins once more where it did.
                Err(SavepointError::NotRunning { .. }) => {}
                Err(error) => panic!("{}: {error}", self.way.name),
            }
        }
        self.disk = self.disk.copy();
        let shared = (&self.sink, &self.pauses);
        let place = Place { shards, savepoint: self.savepoint.as_deref(), now: self.simulation.now() };
        self.simulation = begin(self.way, self.seed, place, &self.disk, shared, self.program);
    }

    fn settle(&mut self) {
        if self.finished {
            return;
        }
        match self.simulation.settle(TURNS_MAX) {
            Settled::Rests => {}
            Settled::Ended(SimEnd::Finished) => self.finished = true,
            Settled::Ended(SimEnd::Failed(error)) => panic!("{}: {error}", self.way.name),
            Settled::Ended(SimEnd::PowerCut) => unreachable!("nobody cuts the power"),
            Settled::Works => {
                panic!("{}: it does not come to rest: {}", self.way.name, self.simulation.describe());
            }
        }
    }

    /// Runs the job to its end. Where it rests before that, time passes.
    fn finish(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.settle();
            if self.finished {
                return;
            }
            if self.simulation.pass_time(Nanos(u64::MAX)).is_none() {
                assert!(
                    Instant::now() < end,
                    "{}: it does not come to its end: {}",
                    self.way.name,
                    self.simulation.describe()
                );
                std::thread::sleep(Duration::from_millis(1));
                self.simulation.wake();
            }
        }
    }
}

/// Where a process begins.
struct Place<'a> {
    shards: u16,
    savepoint: Option<&'a Path>,
    now: Nanos,
}

fn begin<O, P>(
    way: &Way,
    seed: u64,
    place: Place<'_>,
    disk: &SimDisk,
    (sink, pauses): (&Once<O>, &Arc<Pauses>),
    program: &P,
) -> Simulation
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let job = job(place.shards).checkpoint_mode(way.mode).checkpoint_interval(CheckpointInterval::Off);
    let job = match place.savepoint {
        None => job.state_dir("/state"),
        Some(savepoint) => job.state_dir(savepoint.with_extension("state")).from_savepoint(savepoint),
    };
    let (program, sink, pauses) = (program.clone(), sink.clone(), pauses.clone());
    let simulation = Simulation::new(seed, job, disk, move |flow| {
        program(flow, &Run { pauses: pauses.clone(), sink: sink.clone() });
    });
    match simulation {
        Ok(mut simulation) => {
            simulation.stop_time(place.now);
            simulation
        }
        Err(error) => panic!("{}: {error}", way.name),
    }
}
