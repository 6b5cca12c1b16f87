//! A job on one thread, in an order and by a clock that a seed decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream::job::{Change, JobEvent, TaskState};
use millstream::prelude::*;
use millstream::testing::sim::{SimEnd, SimSchedule, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::{Cue, Script};

use crate::ways::Once;

/// How long the program's restart strategy waits.
const DELAY: Duration = Duration::from_secs(10);

/// What a simulated run of the program has shown.
struct Ran {
    events: Vec<JobEvent>,
    counts: Vec<(String, u64)>,
    trace: u64,
}

/// Counts words, of which one comes every five seconds. Checkpoints are made every second. Each `ERROR` fails the job the first time it is
/// read; the job is started again three times, and goes on behind the error.
fn ran(seed: u64) -> Ran {
    let words = ["a", "a", "b", "ERROR", "b", "a", "ERROR", "a", "ERROR", "b", "ERROR"];
    let lines = Script::of((0u64..).zip(words).flat_map(|(number, word)| {
        [Cue::record((number, word.to_owned())), Cue::wait(Duration::from_secs(5))]
    }));
    let (failed_at, out) = (Arc::new(AtomicU64::new(0)), Once::new());
    let sink = out.clone();
    let job = Job::new("restore checkpoint")
        .state_dir("/state")
        .checkpoint_interval(Duration::from_secs(1))
        .restart(RestartStrategy::fixed_delay(3, DELAY));
    let disk = SimDisk::new(seed, SimFaults::default());
    let mut simulation = Simulation::new(seed, job, &disk, move |flow| {
        let failed_at = failed_at.clone();
        flow.source("MySourceFunction", lines.clone())
            .try_flat_map(move |(number, word)| {
                match word == "ERROR" && failed_at.fetch_max(number, Ordering::Relaxed) < number {
                    true => Err("custom error flag"),
                    false => Ok((word != "ERROR").then_some(word)),
                }
            })
            .name("MyFlatMapFunction")
            .key_by(|word| word.clone())
            .count()
            .name("MySumFunction")
            .sink("MyPrintFunction", sink.clone());
    })
    .unwrap();
    simulation.set_schedule(SimSchedule { turn_nanos_max: 100_000, ..SimSchedule::default() });
    match simulation.run(10_000_000) {
        Some(SimEnd::Failed(error)) => assert!(error.to_string().contains("custom error flag"), "{error}"),
        end => panic!("{end:?}\n{}", simulation.describe()),
    }
    Ran { events: simulation.events(), counts: out.results(), trace: simulation.trace() }
}

/// The events of one attempt, in words. Why a job is restarted is left out: it has lines of its own.
fn in_words(events: &[JobEvent], attempt: u32) -> Vec<String> {
    let of_attempt = events.iter().filter(|event| event.attempt == attempt);
    of_attempt
        .map(|event| event.to_string().lines().next().unwrap_or_default().to_owned())
        .map(|line| match line.split_once("RESTARTING: ") {
            Some((words, _)) => format!("{words}RESTARTING"),
            None => line,
        })
        .collect()
}

#[test]
fn ex_11_a_job_fails_and_runs_again_in_flinks_order() {
    let Ran { events, counts, .. } = ran(1);
    let counted = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 3), ("a", 4), ("b", 3)];
    assert_eq!(counts, counted.map(|(word, count)| (word.to_owned(), count)));

    const FIRST: &str = "MySourceFunction -> MyFlatMapFunction (1/1), attempt 2, switched from";
    const SECOND: &str = "MySumFunction -> MyPrintFunction (1/1), attempt 2, switched from";
    assert_eq!(
        in_words(&events, 2),
        [
            format!("{FIRST} CREATED to DEPLOYING"),
            format!("{SECOND} CREATED to DEPLOYING"),
            "job switched from CREATED to RUNNING".to_owned(),
            format!("{FIRST} DEPLOYING to RUNNING"),
            format!("{SECOND} DEPLOYING to RUNNING"),
            format!("{FIRST} RUNNING to FAILED: custom error flag"),
            format!("{SECOND} RUNNING to CANCELING"),
            format!("{SECOND} CANCELING to CANCELED"),
            "job switched from RUNNING to RESTARTING".to_owned(),
            "job switched from RESTARTING to CREATED".to_owned(),
        ]
    );

    // By the simulation's clock, the tasks run again when the delay is over.
    let switched = |to: TaskState| {
        let events = events.iter().filter(move |event| match &event.change {
            Change::Task { chain, to: state, .. } => chain.starts_with("MySourceFunction") && *state == to,
            Change::Job { .. } => false,
        });
        events.map(|event| event.at).collect::<Vec<_>>()
    };
    let (failed, running) = (switched(TaskState::Failed), switched(TaskState::Running));
    assert_eq!((failed.len(), running.len()), (4, 4));
    for (failed, running) in failed.iter().zip(&running[1..]) {
        let after = running.duration_since(*failed).unwrap();
        assert!((DELAY..DELAY + Duration::from_millis(100)).contains(&after), "{after:?}");
    }
    let last = events.last().unwrap();
    assert!(matches!(last.change, Change::Job { to: JobStatus::Failed, .. }), "{last}");
    assert!(last.cause.as_ref().unwrap().contains("custom error flag"));
}

#[test]
fn ex_17_a_seed_decides_all_that_happens() {
    let (first, second, other) = (ran(7), ran(7), ran(8));
    assert_eq!(first.events, second.events);
    assert_eq!((first.trace, &first.counts), (second.trace, &second.counts));
    // Another one decides otherwise, but for the results.
    assert_ne!((first.trace, &first.events), (other.trace, &other.events));
    assert_eq!(first.counts, other.counts);
}

#[test]
fn ex_10_a_record_does_not_wait_for_others_to_fill_its_batch() {
    let numbers = Script::of((0..20u64).flat_map(|n| [Cue::record(n), Cue::wait(Duration::from_secs(1))]));
    let out = Once::new();
    let sink = out.clone();
    let disk = SimDisk::new(2, SimFaults::default());
    let mut simulation = Simulation::new(2, Job::new("one a second").shards(2), &disk, move |flow| {
        flow.source("numbers", numbers.clone()).key_by(|n| *n).process(Stamps).sink("out", sink.clone());
    })
    .unwrap();
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}");
    let stamped: std::collections::BTreeMap<u64, i64> = out.results().into_iter().collect();
    assert_eq!(stamped.len(), 20);
    // One is given each second, and handled within a millisecond of it.
    for (n, at) in &stamped {
        assert!((0..=1).contains(&(at - *n as i64 * 1_000)), "{n} at {at} ms");
    }
}

/// Says when it handles a number.
struct Stamps;

impl millstream::operator::KeyedProcess<u64, u64> for Stamps {
    type Out = (u64, i64);

    fn process(&mut self, n: &u64, ctx: &mut millstream::operator::KeyedContext<'_, u64, (u64, i64)>) {
        let at = ctx.processing_time().0;
        ctx.emit((*n, at));
    }
}
