//! The life of one job, from its first process through all crashes to its end.

use std::io::ErrorKind;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use millstream_engine::limits::RING_BYTES_MIN;
use millstream_engine::prelude::*;
use millstream_engine::testing::sim::{Plant, SimEnd, SimSchedule, Simulation};
use millstream_engine::testing::sim_disk::{SimDisk, SimFaults};

use crate::model::Expected;
use crate::outside::Outside;
use crate::random::Random;
use crate::topology::Topology;

/// A process that nothing disturbs has to finish within so many turns.
const TURNS_MAX: u64 = 300_000;

/// A process to which something happens is left alone no longer than this.
const TROUBLED_TURNS_MAX: u64 = 20_000;

const RESTARTS_MAX: u32 = 12;

/// The outside system takes a turn after so many of the job.
const OUTSIDE_TURN_EVERY: u64 = 8;

const STATE_DIR: &str = "/state";

/// What lives added up to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub lives: u64,
    pub processes: u64,
    pub turns: u64,
    pub outputs: u64,
    pub checkpoints: u64,
    pub failed_checkpoints: u64,
    pub restarts: u64,
    pub power_cuts: u64,
    pub kills: u64,
    pub flips: u64,
    pub refused: u64,
    pub trace: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.lives += other.lives;
        self.processes += other.processes;
        self.turns += other.turns;
        self.outputs += other.outputs;
        self.checkpoints += other.checkpoints;
        self.failed_checkpoints += other.failed_checkpoints;
        self.restarts += other.restarts;
        self.power_cuts += other.power_cuts;
        self.kills += other.kills;
        self.flips += other.flips;
        self.refused += other.refused;
        self.trace ^= other.trace;
    }
}

pub struct Life {
    random: Random,
    plant: Option<Plant>,
    topology: Topology,
    outside: Outside,
    disk: SimDisk,
    /// Processes that something will happen to before the last one.
    troubled: u64,
    flipped: bool,
    loud: bool,
    tally: Tally,
}

/// How a process is to end, where it does not finish before.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Killed after so many turns.
    Kill(u64),
    /// The power goes after so many turns.
    PowerCut(u64),
    /// The power goes in the middle of a disk operation.
    PowerCutAtOperation(u64),
    /// Nothing does.
    None,
}

/// What the disk does to a process.
#[derive(Clone, Copy, Debug)]
enum DiskTrouble {
    None,
    /// Operations fail now and then.
    Errors(u32),
    /// It is full for a while.
    Full {
        from: u64,
        turns: u64,
    },
    /// Some operation fails.
    OneError(u64),
}

/// A way to take checkpoints that counts no record twice.
fn exactly_once_mode(random: &mut Random) -> CheckpointMode {
    match random.below(4) {
        0 | 1 => CheckpointMode::Unaligned,
        2 => CheckpointMode::Aligned,
        _ => CheckpointMode::AlignedFor(Duration::from_micros(random.skewed(1, 2_000))),
    }
}

impl Life {
    pub fn draw(seed: u64, plant: Option<Plant>) -> Life {
        let mut random = Random(seed);
        random.next();
        let topology = Topology::draw(&mut random);
        let disk = SimDisk::new(random.next(), SimFaults::default());
        let troubled = random.pick(&[0, 1, 2, 2, 3, 4, 6]);
        let loud = std::env::var_os("MILLSTREAM_SEED").is_some();
        let outside = Outside::default();
        Life {
            random,
            plant,
            topology,
            outside,
            disk,
            troubled,
            flipped: false,
            loud,
            tally: Tally::default(),
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{}", what());
        }
    }

    /// Lives it.
    pub fn live(mut self) -> Result<Tally, String> {
        self.say(|| format!("{:?}", self.topology.levels));
        self.say(|| {
            let partitions: Vec<usize> = self.topology.partitions.iter().map(|of| of.records.len()).collect();
            format!("partitions {partitions:?}, idleness {}", self.topology.marks_idle)
        });
        let expected = Expected::of(&self.topology);
        let finished = loop {
            let calm = self.tally.processes >= self.troubled;
            if self.tally.processes > self.troubled + 5 {
                return Err("calm processes keep failing".to_owned());
            }
            self.tally.processes += 1;
            match self.process(calm)? {
                Some(finished) => break finished,
                None => {
                    let wrongs = self.outside.wrongs();
                    if !wrongs.is_empty() {
                        return Err(format!("the outside system complains: {wrongs:?}"));
                    }
                    self.outside.crash(&mut self.random);
                }
            }
        };
        let (outputs, wrongs) = (self.outside.visible(), self.outside.wrongs());
        if !wrongs.is_empty() {
            return Err(format!("the outside system complains: {wrongs:?}"));
        }
        expected.check(&outputs, finished)?;
        if finished && self.outside.pending() > 0 {
            return Err(format!("{} transactions are left over", self.outside.pending()));
        }
        self.tally.lives = 1;
        self.tally.outputs = outputs.len() as u64;
        self.tally.refused = u64::from(!finished);
        Ok(self.tally)
    }

    /// A process's settings, and its number of shards.
    fn job(&mut self, calm: bool) -> (Job, u16) {
        let random = &mut self.random;
        let micros = Duration::from_micros;
        let timeout = if calm {
            Duration::from_secs(3600)
        } else {
            random.pick(&[micros(3_000), micros(20_000), Duration::from_secs(60)])
        };
        // Silence takes long; checkpoints are not to be all that happens meanwhile.
        let intervals: &[u64] = if self.topology.marks_idle {
            &[1_000, 5_000, 50_000]
        } else {
            &[20, 50, 100, 200, 1_000, 10_000]
        };
        let shards = random.pick(&[1, 2, 2, 3, 4]);
        let job = Job::new("simulated")
            .shards(shards)
            .state_dir(STATE_DIR)
            .checkpoint_interval(micros(random.pick(intervals)))
            .checkpoint_min_pause(micros(random.pick(&[0, 0, 500])))
            .checkpoint_timeout(timeout)
            .tolerable_checkpoint_failures(random.pick(&[0, 1, 3, 100]))
            .retained_checkpoints(random.between(1, 3) as usize)
            .restart(RestartStrategy::fixed_delay(RESTARTS_MAX, micros(random.pick(&[0, 1000, 20_000_000]))))
            .ring_bytes(random.pick(&[RING_BYTES_MIN, RING_BYTES_MIN, 4 * RING_BYTES_MIN]));
        (job, shards)
    }

    fn schedule(&mut self) -> SimSchedule {
        let random = &mut self.random;
        SimSchedule {
            burst_max: random.pick(&[1, 1, 4, 30, 300]),
            starve_every: random.pick(&[0, 0, 50, 500]),
            starve_max: random.pick(&[10, 100, 1000]),
            publication_delay_max: random.pick(&[0, 10, 100, 1000]),
            turn_nanos_max: random.pick(&[100, 2_000, 10_000]),
            spins: random.one_in(4),
        }
    }

    /// One process. `Some(true)`: the job is done. `Some(false)`: it was refused, for a good reason. `None`: there has to be another process.
    fn process(&mut self, calm: bool) -> Result<Option<bool>, String> {
        let random = &mut self.random;
        let turns = if random.one_in(2) { random.between(1, 1000) } else { random.skewed(1, 5000) };
        let trouble = match random.below(4) {
            _ if calm => Trouble::None,
            0 => Trouble::Kill(turns),
            1 => Trouble::PowerCut(turns),
            2 => Trouble::PowerCutAtOperation(random.skewed(0, 400)),
            _ => Trouble::None,
        };
        let disk_trouble = match random.below(8) {
            _ if calm => DiskTrouble::None,
            0 => DiskTrouble::Errors(random.pick(&[1_000, 20_000, 100_000])),
            1 => DiskTrouble::Full { from: random.skewed(1, 2000), turns: random.skewed(1, 2000) },
            2 => DiskTrouble::OneError(random.skewed(0, 200)),
            _ => DiskTrouble::None,
        };
        let fuse = if random.one_in(4) { random.skewed(1, 3000) as i64 } else { i64::MAX };
        let delay_polls_max = random.pick(&[0, 0, 3, 40]);
        let (sink_delay, seed) = (random.pick(&[0, 1, 20]), random.next());
        let calm_faults = SimFaults { delay_polls_max, ..SimFaults::default() };
        let ((job, shards), schedule) = (self.job(calm), self.schedule());
        // Drawn apart, so that everything else is as it would be without.
        let mut places = Random(!seed);
        let narrow = places.one_in(4);
        let mut place = || if narrow { places.between(1, u64::from(shards)) as u16 } else { shards };
        let parallelism: Vec<u16> = (0..=self.topology.levels.len()).map(|_| place()).collect();
        let job = job.checkpoint_mode(exactly_once_mode(&mut Random(seed.rotate_left(32))));
        self.say(|| {
            format!(
                "process {}: {trouble:?}, {disk_trouble:?}, fuse {fuse}, parallelism {parallelism:?}, {schedule:?}\n  {job:?}",
                self.tally.processes
            )
        });
        self.disk.forget_plans();
        if let Trouble::PowerCutAtOperation(after) = trouble {
            self.disk.cut_power_after(after);
        }
        match disk_trouble {
            DiskTrouble::Errors(io_errors_per_million) => {
                self.disk.set_faults(SimFaults { io_errors_per_million, ..calm_faults });
            }
            _ => self.disk.set_faults(calm_faults),
        }
        if let DiskTrouble::OneError(after) = disk_trouble {
            self.disk.fail_operation(after, ErrorKind::Other);
        }
        let program = self.topology.program(
            self.outside.clone(),
            sink_delay,
            Arc::new(AtomicI64::new(fuse)),
            parallelism,
        );
        let disk_fails = !matches!(disk_trouble, DiskTrouble::None);
        let mut simulation = match Simulation::new(seed, job, &self.disk, program) {
            Ok(simulation) => simulation,
            Err(_) if self.disk.is_dead() => return self.power_cut(),
            Err(error) => return self.gave_up(&error, disk_fails),
        };
        simulation.set_schedule(schedule);
        simulation.plant(self.plant);
        let end = self.run(&mut simulation, trouble, disk_trouble, calm_faults, calm);
        self.tally.turns += simulation.turns();
        self.tally.trace = self.tally.trace.rotate_left(7) ^ simulation.trace();
        let metrics = simulation.metrics();
        self.tally.checkpoints += metrics.checkpoints.completed;
        self.tally.failed_checkpoints += metrics.checkpoints.failed;
        self.tally.restarts += u64::from(metrics.restarts);
        self.say(|| {
            let checkpoints = &metrics.checkpoints;
            let (turns, completed, failed) = (simulation.turns(), checkpoints.completed, checkpoints.failed);
            format!(
                "  {end:?} after {turns} turns, {completed} checkpoints, {failed} failed; {:?}",
                simulation.failures()
            )
        });
        for failure in simulation.failures() {
            let damage = self.flipped && is_damage(failure);
            let planned = failure.contains("the planned failure");
            let timed_out = !calm && failure.contains("was not complete after");
            let by_disk = disk_fails || self.disk.is_dead();
            if !(damage || planned || timed_out || by_disk && is_of_disk(failure)) {
                return Err(format!("an attempt failed for no reason: {failure}"));
            }
        }
        match end {
            Some(SimEnd::Finished) => Ok(Some(true)),
            Some(SimEnd::PowerCut) => {
                drop(simulation);
                self.power_cut()
            }
            Some(SimEnd::Failed(error)) => {
                drop(simulation);
                self.gave_up(&error, disk_fails)
            }
            None => match trouble {
                Trouble::Kill(_) => {
                    drop(simulation);
                    self.disk = self.disk.copy();
                    self.tally.kills += 1;
                    self.maybe_flip();
                    Ok(None)
                }
                Trouble::PowerCut(_) => {
                    drop(simulation);
                    self.power_cut()
                }
                // Checkpoints that have to be done in no time may never be done.
                _ if !calm => {
                    self.disk = self.disk.copy();
                    Ok(None)
                }
                _ => Err(format!("no end after {TURNS_MAX} turns:\n{}", simulation.describe())),
            },
        }
    }

    fn run(
        &mut self,
        simulation: &mut Simulation,
        trouble: Trouble,
        disk_trouble: DiskTrouble,
        calm_faults: SimFaults,
        calm: bool,
    ) -> Option<SimEnd> {
        let mut turns = match trouble {
            Trouble::Kill(turns) | Trouble::PowerCut(turns) => turns,
            Trouble::PowerCutAtOperation(_) | Trouble::None if calm => TURNS_MAX,
            Trouble::PowerCutAtOperation(_) | Trouble::None => TROUBLED_TURNS_MAX,
        };
        if let DiskTrouble::Full { from, turns: full } = disk_trouble {
            let from = from.min(turns);
            if let Some(end) = self.turns(simulation, from) {
                return Some(end);
            }
            let used: u64 = self
                .disk
                .paths()
                .iter()
                .filter_map(|path| self.disk.contents(path))
                .map(|of| of.len() as u64)
                .sum();
            let room = self.random.pick(&[0, 5_000, 50_000]);
            self.disk.set_faults(SimFaults { capacity_bytes: Some(used + room), ..calm_faults });
            let full = full.min(turns - from);
            if let Some(end) = self.turns(simulation, full) {
                return Some(end);
            }
            self.disk.set_faults(calm_faults);
            turns -= from + full;
        }
        self.turns(simulation, turns)
    }

    /// So many turns of the job, with some of the outside system in between.
    fn turns(&self, simulation: &mut Simulation, turns: u64) -> Option<SimEnd> {
        let stop = simulation.turns() + turns;
        while simulation.turns() < stop {
            if let Some(end) = simulation.run(OUTSIDE_TURN_EVERY.min(stop - simulation.turns())) {
                return Some(end);
            }
            self.outside.turn();
        }
        None
    }

    fn power_cut(&mut self) -> Result<Option<bool>, String> {
        self.disk = self.disk.crash();
        self.tally.power_cuts += 1;
        self.maybe_flip();
        Ok(None)
    }

    /// The process gave up by itself.
    fn gave_up(&mut self, error: &JobError, disk_fails: bool) -> Result<Option<bool>, String> {
        let what = error.to_string();
        self.say(|| format!("  gave up: {what}"));
        if self.flipped && is_damage(&what) {
            return Ok(Some(false));
        }
        if disk_fails && is_of_disk(&what) {
            self.disk = self.disk.copy();
            self.disk.set_faults(SimFaults::default());
            return Ok(None);
        }
        // The restart strategy has an end, and checkpoints that have to be done in no time use it up.
        let used_up = what.contains(&format!("after {RESTARTS_MAX} restarts"));
        if what.contains("was not complete after") || used_up && what.contains("the planned failure") {
            self.disk = self.disk.copy();
            return Ok(None);
        }
        Err(format!("the job gave up for no reason: {what}"))
    }

    /// Damages a file, now and then.
    fn maybe_flip(&mut self) {
        if !self.random.one_in(12) {
            return;
        }
        let paths = self.disk.paths();
        if paths.is_empty() {
            return;
        }
        let path = self.random.pick(&paths);
        let len = self.disk.contents(&path).map_or(0, |bytes| bytes.len() as u64);
        if len == 0 || path == Path::new(STATE_DIR).join("LOCK") {
            return;
        }
        let (offset, bit) = (self.random.below(len), self.random.below(8) as u8);
        self.say(|| format!("  bit {bit} of byte {offset} of {} flips", path.display()));
        self.flipped |= self.disk.flip_bit(&path, offset, bit);
        self.tally.flips += 1;
    }
}

/// Whether a message tells of a disk that failed.
fn is_of_disk(what: &str) -> bool {
    ["simulated", "power is off", "No space left"].iter().any(|words| what.contains(words))
}

/// Whether a message tells of damage.
fn is_damage(what: &str) -> bool {
    !what.contains("panicked")
}
