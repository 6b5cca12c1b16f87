//! RS-01: records that fail the job again and again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use millstream::io::sequence;
use millstream::job::PoisonPolicy;
use millstream::operator::{KeyedContext, KeyedProcess, States, Timer};
use millstream::prelude::*;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};

use crate::ways::{Once, Run};

/// Without end, and without waiting.
fn at_once() -> RestartStrategy {
    RestartStrategy::ExponentialDelay {
        initial: Duration::ZERO,
        max: Duration::ZERO,
        multiplier: 1.0,
        reset_after: Duration::from_secs(60),
        jitter: 0.0,
    }
}

/// A job whose operator `picky` never takes the record 300; how often it was given it.
fn picky(job: Job, out: &Once<i64>) -> (Result<Summary, JobError>, u32) {
    let (failures, out) = (Arc::new(AtomicU32::new(0)), out.clone());
    let failed = failures.clone();
    let outcome = job.run(move |flow| {
        let (failed, run) = (failed.clone(), Run::straight(out.clone()));
        flow.source("numbers", sequence(0..=999))
            .try_map(move |n| match n {
                300 => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    Err("three hundred is not liked")
                }
                _ => Ok(n),
            })
            .name("picky")
            .sink("out", run.sink());
    });
    (outcome, failures.load(Ordering::Relaxed))
}

#[test]
fn rs_01_the_same_record_stops_the_job_after_three_failures() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("poisoned").state_dir(dir.path()).restart(at_once());
    let (outcome, failures) = picky(job, &Once::new());
    let error = outcome.unwrap_err();
    assert_eq!((error.restarts(), failures), (Some(2), 3), "{error}");
    let said = error.to_string();
    for words in [
        "has made it fail 3 times",
        "operator `picky`",
        "three hundred is not liked",
        "source `numbers`",
        "at offset 0x",
        "its 8 bytes: \",\\x01\\x00",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    let JobError::Poison { record, .. } = error else { panic!("{said}") };
    assert_eq!(record.bytes.as_deref(), Some(&300u64.to_le_bytes()[..]));
    assert!(!record.source.unwrap().2.is_empty());
}

#[test]
fn rs_01_bytes_can_be_kept_out_of_errors() {
    let job = Job::new("redacted")
        .restart(at_once())
        .redact_records(|bytes| format!("({} secret ones)", bytes.len()));
    let said = picky(job, &Once::new()).0.unwrap_err().to_string();
    assert!(said.contains("(8 secret ones)") && !said.contains("\\x01"), "{said}");
}

#[test]
fn rs_01_a_strategy_with_an_end_of_its_own_counts_alone_unless_told_otherwise() {
    let job = || Job::new("bounded").restart(RestartStrategy::fixed_delay(5, Duration::ZERO));
    let (outcome, failures) = picky(job(), &Once::new());
    assert_eq!((outcome.unwrap_err().restarts(), failures), (Some(5), 6));
    let (outcome, failures) = picky(job().on_poison_record(PoisonPolicy::Fail), &Once::new());
    assert_eq!((outcome.unwrap_err().restarts(), failures), (Some(2), 3));
}

fn letters(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn rs_01_a_dead_letter_is_left_out_and_all_others_are_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letters/dead");
    let job = |state: &str| {
        Job::new("letters")
            .state_dir(dir.path().join(state))
            .checkpoint_interval(Duration::from_millis(1))
            .restart(at_once())
            .on_poison_record(PoisonPolicy::DeadLetter(path.clone()))
    };
    let out = Once::new();
    let (outcome, failures) = picky(job("state"), &out);
    assert_eq!((outcome.unwrap().metrics.restarts, failures), (3, 3));
    let expected: Vec<i64> = (0..1000).filter(|n| *n != 300).collect();
    assert_eq!(out.results(), expected);
    let letter = letters(&path).pop().unwrap();
    for part in [
        r#""job":"letters""#,
        r#""operator":"picky""#,
        r#""source":"numbers""#,
        r#""bytes":"2c01000000000000""#,
    ] {
        assert!(letter.contains(part), "{part:?} is not in {letter:?}");
    }
    assert_eq!(letters(&path).len(), 1);
}

/// A job that fails on a record behind an exchange: the third with the key 3.
fn picky_keys(job: Job, out: &Once<(u64, u64)>) -> Result<Summary, JobError> {
    let out = out.clone();
    job.run(move |flow| {
        let run = Run::straight(out.clone());
        flow.source("numbers", run.source((0u64..1000).map(|n| (n % 10, n))))
            .key_by(|record| record.0)
            .flat_map_with_value("count", |key, record, count: &mut Value<u64>, out| {
                assert!(record.1 != 23, "twenty-three is not liked");
                let next = count.take().unwrap_or(0) + 1;
                count.set(next);
                out.emit((*key, next));
            })
            .name("picky")
            .sink("out", run.sink());
    })
}

#[test]
fn rs_01_behind_an_exchange_a_record_is_known_by_its_key_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("keyed").shards(2).oversubscribe(true).state_dir(dir.path()).restart(at_once());
    let error = picky_keys(job, &Once::new()).unwrap_err();
    let JobError::Poison { record, restarts, .. } = &error else { panic!("{error}") };
    assert_eq!((*restarts, record.failures, record.failure.key.as_deref()), (2, 3, Some("3")));
    assert_eq!(record.bytes.as_deref().unwrap()[8..], 23u64.to_le_bytes());
}

#[test]
fn rs_01_behind_an_exchange_a_dead_letter_is_left_out_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead");
    let job = Job::new("keyed")
        .shards(2)
        .oversubscribe(true)
        .state_dir(dir.path().join("state"))
        .checkpoint_interval(Duration::from_millis(1))
        .restart(at_once())
        .on_poison_record(PoisonPolicy::DeadLetter(path.clone()));
    let out = Once::new();
    assert_eq!(picky_keys(job, &out).unwrap().metrics.restarts, 3);
    let mut results = out.results();
    results.sort_unstable();
    // Key 3 has one record fewer, the others all of theirs.
    let counts = |key: u64| 1..=if key == 3 { 99 } else { 100 };
    let expected: Vec<(u64, u64)> =
        (0..10).flat_map(|key| counts(key).map(move |count| (key, count))).collect();
    assert_eq!(results, expected);
    assert!(letters(&path)[0].contains(r#""key":"3""#), "{:?}", letters(&path));
}

/// Sets a timer that fails.
struct FailsLater;

impl KeyedProcess<i64, i64> for FailsLater {
    type Out = i64;

    fn open(&mut self, _: &mut States<'_, i64>) {}

    fn process(&mut self, _: &i64, ctx: &mut KeyedContext<'_, i64, i64>) {
        ctx.register_event_timer(Timestamp(10));
    }

    fn on_timer(&mut self, _: Timer<'_>, _: &mut KeyedContext<'_, i64, i64>) {
        panic!("timers are not liked");
    }
}

#[test]
fn rs_01_a_timer_that_fails_is_known_by_its_key() {
    let error = Job::new("timers").restart(at_once()).run(|flow| {
        flow.source("numbers", sequence(7..=7))
            .event_time(Watermarks::monotonous(), |n| *n)
            .key_by(|n| *n)
            .process(FailsLater)
            .discard();
    });
    let error = error.unwrap_err();
    let JobError::Poison { record, .. } = &error else { panic!("{error}") };
    assert_eq!((record.failures, &record.bytes), (3, &None));
    assert!(error.to_string().contains("the same key has made it fail 3 times"), "{error}");
}

/// Whatever happens to the process and its disk, each record but the poison is there once.
#[test]
fn rs_01_dead_letters_through_crashes() {
    for seed in 0..20 {
        let mut disk = SimDisk::new(seed, SimFaults::default());
        let out: Once<u64> = Once::new();
        let mut power = 20 + seed * 7;
        let mut crashes = 0;
        loop {
            if crashes < 4 {
                disk.cut_power_after(power);
            }
            power += 30;
            let job = Job::new("letters")
                .shards(2)
                .state_dir("/state")
                .checkpoint_interval(Duration::from_micros(1000 + seed * 50))
                .restart(at_once())
                .on_poison_record(PoisonPolicy::DeadLetter("/letters/dead".into()));
            let sink = out.clone();
            let program = move |flow: &Flow| {
                let run = Run::straight(sink.clone());
                let numbers = run.source(0u64..400);
                flow.source("numbers", numbers)
                    .try_map(|n| if n == 77 { Err("seventy-seven") } else { Ok(n) })
                    .rebalance()
                    .try_map(|n| if *n == 123 { Err("one hundred and twenty-three") } else { Ok(*n) })
                    .sink("out", run.sink());
            };
            let mut simulation = Simulation::new(seed * 100 + crashes, job, &disk, program).unwrap();
            match simulation.run(10_000_000) {
                Some(SimEnd::PowerCut) => {
                    crashes += 1;
                    disk = disk.crash();
                }
                Some(SimEnd::Finished) => break,
                end => {
                    panic!("seed {seed}: {end:?}\n{:#?}\n{}", simulation.failures(), simulation.describe())
                }
            }
        }
        let mut results = out.results();
        results.sort_unstable();
        let expected: Vec<u64> = (0..400).filter(|n| ![77, 123].contains(n)).collect();
        assert_eq!(results, expected, "seed {seed}");
    }
}
