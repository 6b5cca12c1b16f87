//! What checkpoints cost: they write what has changed, nothing waits for them, and going on does not wait for the state.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;
use millstream::testing::golden::Paused;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::{Cue, Script};

/// How many keys there are: a few thousand pages of state.
const KEYS: u64 = 60_000;

/// How many keys change every second, once all are there.
const CHANGES: u64 = 10;

/// Keeps 64 bytes per key, and says when.
#[derive(Default)]
struct Keeps(ValueState<[u64; 8]>);

impl KeyedProcess<u64, u64> for Keeps {
    type Out = (u64, i64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.value("kept");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        let mut kept = ctx.get(&self.0).unwrap_or_default();
        kept[0] += 1;
        ctx.set(&self.0, kept);
        let at = ctx.processing_time().0;
        ctx.emit((*n, at));
    }
}

/// What came out: keys and processing times.
type Seen = Arc<Mutex<Vec<(u64, i64)>>>;

/// All keys at once; then one of `hot` keys after each pause, so many times.
fn job(disk: &SimDisk, (hot, pause, times): (u64, Duration, u64), seen: &Seen) -> Simulation {
    let first = (0..KEYS).map(Cue::record).chain([Cue::wait(Duration::from_millis(100))]);
    let then = (0..times).flat_map(move |n| [Cue::record(n * 7 % hot), Cue::wait(pause)]);
    let numbers = Script::of(first.chain(then));
    let seen = seen.clone();
    let job = Job::new("cost").state_dir("/state").checkpoint_interval(Duration::from_secs(1));
    let simulation = Simulation::new(6, job, disk, move |flow| {
        let seen = seen.clone();
        flow.source("numbers", numbers.clone())
            .key_by(|n| *n)
            .process(Keeps::default())
            .for_each(move |said, _| seen.lock().unwrap().push(*said));
    });
    simulation.unwrap()
}

/// Goes on until there are so many checkpoints.
fn until(simulation: &mut Simulation, checkpoints: u64) {
    while simulation.metrics().checkpoints.completed < checkpoints {
        if let Some(end) = simulation.run(100) {
            panic!("{end:?}");
        }
    }
}

#[test]
fn cp_17_a_checkpoint_writes_what_has_changed() {
    let disk = SimDisk::new(1, SimFaults::default());
    let pause = Duration::from_secs(1) / CHANGES as u32;
    let mut simulation = job(&disk, (CHANGES, pause, 100), &Seen::default());
    until(&mut simulation, 5);
    let checkpoints = simulation.metrics().checkpoints;
    let pages: Vec<u64> = checkpoints.history().map(|checkpoint| checkpoint.pages()).collect();
    let bytes: Vec<u64> = checkpoints.history().map(|checkpoint| checkpoint.bytes()).collect();
    let (first, bytes_of_first) = (*pages.iter().max().unwrap(), *bytes.iter().max().unwrap());
    assert!(first > 1_000, "{pages:?}");
    let last = pages.len() - 1;
    assert!(pages[last] <= CHANGES && bytes[last] * 100 <= bytes_of_first * 3, "{pages:?}, {bytes:?}");
}

#[test]
fn cp_18_records_go_on_while_a_checkpoint_is_saved() {
    let faults = SimFaults { delay_polls_max: 40, ..SimFaults::default() };
    let (disk, seen) = (SimDisk::new(2, faults), Seen::default());
    let mut simulation = job(&disk, (KEYS, Duration::from_millis(1), 4_000), &seen);
    let end = simulation.run(100_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}");
    let checkpoints = simulation.metrics().checkpoints;
    assert!(checkpoints.completed >= 4 && checkpoints.history().any(|of| of.pages() > 500));
    // One record a millisecond, and none of them waits.
    let times: Vec<i64> = seen.lock().unwrap().iter().skip(KEYS as usize).map(|(_, at)| *at).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 2, "{longest} ms");
}

/// All keys one after the other, without a pause.
fn filling(disk: &SimDisk, seen: &Seen) -> Simulation {
    let (seen, keys) = (seen.clone(), (0..KEYS).map(|n| (n, Timestamp(0))).collect::<Vec<_>>());
    let job = Job::new("filling").state_dir("/state").checkpoint_interval(Duration::from_millis(50));
    let simulation = Simulation::new(8, job, disk, move |flow| {
        let seen = seen.clone();
        flow.source("keys", Paused::of(vec![keys.clone()]))
            .key_by(|n| *n)
            .process(Keeps::default())
            .for_each(move |said, _| seen.lock().unwrap().push(*said));
    });
    simulation.unwrap()
}

#[test]
fn cp_19_the_first_record_does_not_wait_for_the_state() {
    let (disk, seen) = (SimDisk::new(3, SimFaults::default()), Seen::default());
    let mut simulation = filling(&disk, &seen);
    until(&mut simulation, 1);
    let pages = simulation.metrics().checkpoints.history().map(|of| of.pages()).max().unwrap();
    drop(simulation);
    let disk = disk.copy();
    seen.lock().unwrap().clear();
    let mut simulation = filling(&disk, &seen);
    while seen.lock().unwrap().is_empty() {
        assert!(simulation.run(1).is_none());
    }
    // A turn is one step at the most, which brings in eight pages at the most, and one for the record.
    let turns = simulation.turns();
    assert!(9 * turns < pages, "{turns} turns, {pages} pages");
    // It went on where the checkpoint was, not at the beginning.
    assert!(seen.lock().unwrap()[0].0 > 0);
}
