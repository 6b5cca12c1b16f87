//! How checkpoints are taken: unaligned, aligned, aligned for a time, at least once. By the clock of a simulation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::operator::async_io::sleep;
use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::{Cue, Script, script};

use crate::ways::Once;

const MILLIS: fn(u64) -> Duration = Duration::from_millis;

/// Counts the records of a key and says when it did.
#[derive(Default)]
struct Counts(ValueState<u64>);

impl KeyedProcess<(u64, u64), u64> for Counts {
    type Out = (u64, u64, Timestamp);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.value("count");
    }

    fn process(&mut self, _: &View<(u64, u64)>, ctx: &mut KeyedContext<'_, u64, (u64, u64, Timestamp)>) {
        let count = ctx.get(&self.0).unwrap_or(0) + 1;
        ctx.set(&self.0, count);
        let said = (ctx.key(), count, ctx.processing_time());
        ctx.emit(said);
    }
}

const FAST: u64 = 1;
const SLOW: u64 = 2;
/// How many records the fast source gives, one every ten milliseconds.
const FAST_RECORDS: u64 = 150;

/// A count of two inputs. The first gives a record every 10 ms. What comes on the second goes through calls of 300 ms, one at a time, so that
/// the checkpoint that begins after a second finds a record waiting in front of a call. After 1.4 s the job fails once.
fn two_inputs(mode: CheckpointMode) -> Counted {
    let fast = (0..FAST_RECORDS).flat_map(|n| {
        let fails = (n == 140).then(Cue::abort);
        fails.into_iter().chain([Cue::record((FAST, n)), Cue::wait(MILLIS(10))])
    });
    let fast = Script::of(fast);
    let slow =
        [Cue::wait(MILLIS(900)), Cue::record((SLOW, 0)), Cue::record((SLOW, 1)), Cue::wait(MILLIS(800))];
    let slow = Script::of(slow);
    let (out, seen) = (Once::new(), Arc::new(Mutex::new(Vec::new())));
    let (sink, sees) = (out.clone(), seen.clone());
    let job = Job::new("two inputs")
        .state_dir("/state")
        .checkpoint_interval(MILLIS(1000))
        .checkpoint_mode(mode)
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
    let disk = SimDisk::new(1, SimFaults::default());
    let simulation = Simulation::new(1, job, &disk, move |flow| {
        let sees = sees.clone();
        let slow = flow.source("slow", slow.clone()).ordered_wait().capacity(1);
        let slow = slow.call(|record: (u64, u64)| async move {
            sleep(MILLIS(300)).await;
            record
        });
        flow.source("fast", fast.clone())
            .union(slow.name("calls"))
            .key_by(|record| record.0)
            .process(Counts::default())
            .name("counts")
            .inspect(move |(key, _, at)| sees.lock().unwrap().push((*key, at.0)))
            .map(|(key, count, _)| (key, count))
            .sink("out", sink.clone());
    });
    let mut simulation = simulation.unwrap();
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}\n{}", simulation.describe());
    assert_eq!(simulation.metrics().restarts, 1);
    let seen = seen.lock().unwrap().clone();
    Counted { seen, committed: out.results() }
}

/// What came of it.
struct Counted {
    /// Key and processing time of each record that was counted, those included that were counted again.
    seen: Vec<(u64, i64)>,
    /// Keys and counts, as committed.
    committed: Vec<(u64, u64)>,
}

impl Counted {
    /// The longest time between two records of the fast input before the failure, in milliseconds.
    fn longest_gap(&self) -> i64 {
        let times: Vec<i64> = self.seen.iter().filter(|(key, _)| *key == FAST).map(|of| of.1).collect();
        let before_failure = times.windows(2).filter(|pair| pair[1] < 1_390);
        before_failure.map(|pair| pair[1] - pair[0]).max().unwrap()
    }

    /// The greatest count of each input.
    fn counts(&self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for (key, n) in &self.committed {
            counts.entry(*key).and_modify(|most: &mut u64| *most = (*most).max(*n)).or_insert(*n);
        }
        counts
    }
}

#[test]
fn cp_01_a_chain_hears_from_each_of_its_inputs() {
    let plan = Job::new("barriers").shards(3).state_dir("/state").checkpoint_mode(CheckpointMode::Aligned);
    let plan = plan.explain(|flow| {
        flow.source("sources", script(0u64..9))
            .parallelism(3)
            .key_by(|n| *n)
            .count()
            .name("counts")
            .parallelism(2)
            .discard();
    });
    assert_eq!(
        plan.unwrap().checkpoints(),
        "checkpoints: aligned\n  \
           chain 0 on 3 shards: cut when its shard hears of the checkpoint\n  \
           chain 1 on 2 shards: each cut behind the marks of 3 of `sources`, which wait\n"
    );
}

#[test]
fn cp_02_aligned_an_input_waits_for_the_others() {
    let exact = BTreeMap::from([(FAST, FAST_RECORDS), (SLOW, 2)]);
    let aligned = two_inputs(CheckpointMode::Aligned);
    assert_eq!(aligned.counts(), exact);
    // The call that was under way at 1 s began at 900 ms and took 300.
    assert!((190..=215).contains(&aligned.longest_gap()), "{} ms", aligned.longest_gap());
    // No input waits where nothing is aligned.
    let unaligned = two_inputs(CheckpointMode::Unaligned);
    assert_eq!(unaligned.counts(), exact);
    assert!(unaligned.longest_gap() <= 12, "{} ms", unaligned.longest_gap());
}

#[test]
fn cp_03_at_least_once_no_input_waits_and_some_records_count_twice() {
    let counted = two_inputs(CheckpointMode::AtLeastOnce);
    assert!(counted.longest_gap() <= 12, "{} ms", counted.longest_gap());
    let counts = counted.counts();
    assert_eq!(counts[&SLOW], 2);
    // Those that came in the 200 ms from the first cut to the last came again.
    let twice = counts[&FAST] - FAST_RECORDS;
    assert!((15..=25).contains(&twice), "{twice} counted twice");
}

/// How many records lie in front of the slow stage.
const QUEUED: u64 = 10_000;

/// Gives all records at once to a stage that takes one per second, on another shard; or as fast as they come, once it is told so.
fn behind_a_slow_stage(
    mode: CheckpointMode,
    disk: &SimDisk,
    slow: &Arc<AtomicBool>,
    out: &Once<u64>,
) -> Simulation {
    let job = Job::new("behind a slow stage")
        .shards(2)
        .shard_group("left", 0..1)
        .shard_group("right", 1..2)
        .state_dir("/state")
        .checkpoint_interval(MILLIS(1000))
        .checkpoint_mode(mode)
        .restart(RestartStrategy::None);
    let (slow, out) = (slow.clone(), out.clone());
    let simulation = Simulation::new(3, job, disk, move |flow| {
        let slow = slow.clone();
        flow.source("numbers", script(0..QUEUED))
            .shard_group("left")
            .rebalance()
            .map(|n| *n)
            .shard_group("right")
            .ordered_wait()
            .capacity(1)
            .without_timeout()
            .call(move |n: u64| {
                let pause = if slow.load(Ordering::Relaxed) { MILLIS(1000) } else { Duration::ZERO };
                async move {
                    sleep(pause).await;
                    n
                }
            })
            .name("slow")
            .sink("out", out.clone());
    });
    simulation.unwrap()
}

/// Goes on until a checkpoint is complete.
fn first_checkpoint(simulation: &mut Simulation) -> millstream::runtime::metrics::CheckpointMetrics {
    for _ in 0..1_000_000 {
        if let Some(end) = simulation.run(1) {
            panic!("{end:?}");
        }
        let checkpoints = simulation.metrics().checkpoints;
        if checkpoints.completed > 0 {
            return checkpoints;
        }
    }
    panic!("no checkpoint was made: {}", simulation.describe());
}

#[test]
fn cp_04_unaligned_a_checkpoint_does_not_wait_for_what_is_queued() {
    let (slow, out) = (Arc::new(AtomicBool::new(true)), Once::new());
    let disk = SimDisk::new(2, SimFaults::default());
    let mut simulation = behind_a_slow_stage(CheckpointMode::Unaligned, &disk, &slow, &out);
    let checkpoint = first_checkpoint(&mut simulation);
    assert!(checkpoint.last_duration < MILLIS(50), "{:?}", checkpoint.last_duration);
    assert!(checkpoint.last_in_flight_bytes > 8 * (QUEUED - 10), "{} bytes", checkpoint.last_in_flight_bytes);
    // The process dies; another one has what was queued.
    drop(simulation);
    slow.store(false, Ordering::Relaxed);
    let disk = disk.copy();
    let mut simulation = behind_a_slow_stage(CheckpointMode::Unaligned, &disk, &slow, &out);
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}");
    assert_eq!(out.results(), (0..QUEUED).collect::<Vec<_>>());
}

#[test]
fn cp_04_aligned_a_checkpoint_waits_until_it_is_given_up() {
    let (slow, out) = (Arc::new(AtomicBool::new(true)), Once::new());
    let disk = SimDisk::new(2, SimFaults::default());
    let mut simulation = behind_a_slow_stage(CheckpointMode::Aligned, &disk, &slow, &out);
    match simulation.run(10_000_000) {
        Some(SimEnd::Failed(error)) => {
            assert!(error.to_string().contains("was not complete after 60s"), "{error}");
        }
        end => panic!("{end:?}\n{}", simulation.describe()),
    }
}

#[test]
fn cp_05_what_takes_too_long_to_align_is_cut_as_it_is() {
    let (slow, out) = (Arc::new(AtomicBool::new(true)), Once::new());
    let disk = SimDisk::new(2, SimFaults::default());
    let mode = CheckpointMode::AlignedFor(MILLIS(5));
    let mut simulation = behind_a_slow_stage(mode, &disk, &slow, &out);
    let checkpoint = first_checkpoint(&mut simulation);
    assert!(checkpoint.last_gave_up_aligning);
    assert!(
        (MILLIS(5)..MILLIS(50)).contains(&checkpoint.last_aligned_in),
        "{:?}",
        checkpoint.last_aligned_in
    );
    drop(simulation);
    slow.store(false, Ordering::Relaxed);
    let disk = disk.copy();
    let mut simulation = behind_a_slow_stage(mode, &disk, &slow, &out);
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}");
    assert_eq!(out.results(), (0..QUEUED).collect::<Vec<_>>());
    // Where nothing is in the way, all is aligned in time.
    assert!(!simulation.metrics().checkpoints.last_gave_up_aligning);
}

#[test]
fn cp_05_no_time_to_align_is_unaligned() {
    let (slow, out) = (Arc::new(AtomicBool::new(true)), Once::new());
    let disk = SimDisk::new(2, SimFaults::default());
    let mode = CheckpointMode::AlignedFor(Duration::ZERO);
    let checkpoint = first_checkpoint(&mut behind_a_slow_stage(mode, &disk, &slow, &out));
    assert!(checkpoint.last_in_flight_bytes > 8 * (QUEUED - 10), "{} bytes", checkpoint.last_in_flight_bytes);
}

#[test]
fn cp_22_so_many_inputs_say_that_they_were_cut() {
    let explained = |before: u16, after: u16| {
        let plan = Job::new("barriers").shards(before.max(after)).oversubscribe(true).state_dir("/state");
        let plan = plan.explain(|flow| {
            flow.source("sources", script(0u64..9))
                .parallelism(before)
                .key_by(|n| *n)
                .count()
                .name("counts")
                .parallelism(after)
                .discard();
        });
        plan.unwrap().checkpoints().to_owned()
    };
    for (before, after) in [(2, 4), (4, 2), (2, 1)] {
        let each = if after == 1 { "1 shard".to_owned() } else { format!("{after} shards") };
        let chain = format!(
            "chain 1 on {each}: each cut with its shard, with what is on its way up to the marks of {before} of `sources`\n"
        );
        let text = explained(before, after);
        assert!(text.starts_with("checkpoints: unaligned\n") && text.contains(&chain), "{text}");
    }
}

#[test]
fn cp_04_iterations_are_unaligned() {
    for mode in [CheckpointMode::Aligned, CheckpointMode::AlignedFor(MILLIS(1)), CheckpointMode::AtLeastOnce]
    {
        let explained = Job::new("loop").state_dir("/state").checkpoint_mode(mode).explain(|flow| {
            let numbers = flow.source("numbers", script([8u64, 9]));
            let out = numbers.iterate(|n| {
                let (again, done) = n.owned().map(|n| n / 2).fork();
                (again.filter(|n| *n > 0), done.owned().filter(|n| *n == 0))
            });
            out.discard();
        });
        let error = explained.unwrap_err().to_string();
        assert!(error.contains("checkpoint_mode") && error.contains("the job has iterations"), "{error}");
    }
}
