//! What is done again after a failure, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use millstream::io::sequence;
use millstream::prelude::*;
use millstream::testing::golden::Once;

const NUMBERS: u64 = 1_000;

/// How often the stages of a job have handled a record, and how often the second is to fail yet.
#[derive(Clone, Default)]
struct Counters {
    first: Arc<AtomicU64>,
    second: Arc<AtomicU64>,
    third: Arc<AtomicU64>,
    failures: Arc<AtomicU32>,
}

impl Counters {
    fn failing(times: u32) -> Counters {
        let counters = Counters::default();
        counters.failures.store(times, Ordering::Relaxed);
        counters
    }

    fn counted(&self) -> [u64; 3] {
        [&self.first, &self.second, &self.third].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A program of three stages: numbers by their last two digits, sums by their last digit, and their number. The third stage fails.
fn three_stages(flow: &Flow, counters: &Counters, out: Once<(i64, u64)>) {
    let Counters { first, second, third, failures } = counters.clone();
    flow.source("numbers", sequence(1..=NUMBERS as i64))
        .map(move |n| {
            first.fetch_add(1, Ordering::Relaxed);
            n
        })
        .key_by(|n| n % 100)
        .fold(0i64, |sum, n| *sum += n)
        .name("sums")
        .map(move |(key, sum)| {
            second.fetch_add(1, Ordering::Relaxed);
            (key, sum)
        })
        .key_by(|(key, _)| key % 10)
        .count()
        .name("counts")
        .try_map(move |(key, count)| {
            third.fetch_add(1, Ordering::Relaxed);
            let left =
                failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if left.is_ok() { Err("not yet") } else { Ok((key, count)) }
        })
        .sink("out", out);
}

fn expected() -> Vec<(i64, u64)> {
    (0..10).map(|key| (key, 10)).collect()
}

#[test]
fn bm_02_stages_that_are_done_are_not_done_again() {
    for shards in [1, 2] {
        let (counters, out) = (Counters::failing(2), Once::new());
        let (told, sink) = (counters.clone(), out.clone());
        let summary = Job::new("stages")
            .mode(RuntimeMode::Batch)
            .shards(shards)
            .oversubscribe(true)
            .restart(RestartStrategy::fixed_delay(3, Duration::ZERO))
            .run(move |flow| three_stages(flow, &told, sink.clone()))
            .unwrap();
        // Two shards may fail in the same attempt.
        assert!((2 / u32::from(shards)..=2).contains(&summary.metrics.restarts), "on {shards} shards");
        let mut results = out.results();
        results.sort_unstable();
        assert_eq!(results, expected());
        let [first, second, third] = counters.counted();
        assert_eq!((first, second), (NUMBERS, 100), "on {shards} shards");
        assert!(third >= 12, "the last stage was done again");
    }
}

#[test]
fn bm_02_another_process_goes_on_from_stages_that_are_done() {
    let dir = tempfile::tempdir().unwrap();
    let job = || Job::new("stages").mode(RuntimeMode::Batch).state_dir(dir.path());
    let (counters, out) = (Counters::failing(1), Once::new());
    let (told, sink) = (counters.clone(), out.clone());
    job()
        .restart(RestartStrategy::None)
        .run(move |flow| three_stages(flow, &told, sink.clone()))
        .unwrap_err();
    assert_eq!(counters.counted(), [NUMBERS, 100, 1]);
    let (told, sink) = (counters.clone(), out.clone());
    job().run(move |flow| three_stages(flow, &told, sink.clone())).unwrap();
    assert_eq!(counters.counted(), [NUMBERS, 100, 11]);
    let mut results = out.results();
    results.sort_unstable();
    assert_eq!(results, expected());
    // The job is over: it does nothing when it is run once more.
    let (told, sink) = (counters.clone(), out.clone());
    job().run(move |flow| three_stages(flow, &told, sink.clone())).unwrap();
    assert_eq!((counters.counted(), out.results().len()), ([NUMBERS, 100, 11], 10));
}

#[test]
fn bm_02_a_program_that_has_changed_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let job = |shards| {
        Job::new("stages").mode(RuntimeMode::Batch).shards(shards).oversubscribe(true).state_dir(dir.path())
    };
    let (counters, out) = (Counters::failing(1), Once::new());
    let (told, sink) = (counters.clone(), out.clone());
    job(1)
        .restart(RestartStrategy::None)
        .run(move |flow| three_stages(flow, &told, sink.clone()))
        .unwrap_err();
    // On another number of shards, keys live elsewhere.
    let (told, sink) = (counters.clone(), out.clone());
    job(2).run(move |flow| three_stages(flow, &told, sink.clone())).unwrap();
    assert_eq!(counters.counted()[..2], [2 * NUMBERS, 200]);
    assert_eq!(out.results().len(), 10);
}

#[test]
fn bm_02_a_damaged_stage_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let job = || Job::new("stages").mode(RuntimeMode::Batch).state_dir(dir.path());
    let (counters, out) = (Counters::failing(1), Once::new());
    let (told, sink) = (counters.clone(), out.clone());
    job()
        .restart(RestartStrategy::None)
        .run(move |flow| three_stages(flow, &told, sink.clone()))
        .unwrap_err();
    // The run of the second stage.
    let run = dir.path().join("stages/stage-1-shard-0-run-0");
    let mut bytes = std::fs::read(&run).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&run, bytes).unwrap();
    let (told, sink) = (counters.clone(), out.clone());
    let summary = job()
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
        .run(move |flow| three_stages(flow, &told, sink.clone()))
        .unwrap();
    assert_eq!(summary.metrics.restarts, 1);
    let [first, second, _] = counters.counted();
    assert_eq!((first, second), (NUMBERS, 200), "the first stage was whole");
    assert_eq!(out.results().len(), 10);
}

#[test]
fn rs_06_what_sorting_leaves_on_disk_goes_with_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let (counters, out) = (Counters::failing(0), Once::new());
    Job::new("stages")
        .mode(RuntimeMode::Batch)
        .spill_dir(dir.path())
        .sort_bytes(1 << 20)
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
        .run(move |flow| three_stages(flow, &counters, out.clone()))
        .unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Job::new("stages")
        .mode(RuntimeMode::Batch)
        .spill_dir(&file)
        .run(|flow| three_stages(flow, &Counters::default(), Once::new()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("Job::spill_dir") && error.contains("file"), "{error}");
}
