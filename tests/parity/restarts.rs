//! What a job does after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millstream::io::sequence;
use millstream::job::PoisonPolicy;
use millstream::prelude::*;

use crate::ways::{Once, Run};

/// A job whose operator `picky` fails at the record 3, as often as it is told to.
fn failing(strategy: RestartStrategy, times: u32) -> (Result<Summary, JobError>, u32) {
    let failures = Arc::new(AtomicU32::new(0));
    let failed = failures.clone();
    let job = Job::new("failing").restart(strategy).on_poison_record(PoisonPolicy::Restart);
    let outcome = job.run(move |flow| {
        let failures = failures.clone();
        flow.source("numbers", sequence(0..=5))
            .try_map(move |n| {
                if n == 3 && failures.load(Ordering::Relaxed) < times {
                    failures.fetch_add(1, Ordering::Relaxed);
                    return Err("three is not liked");
                }
                Ok(n)
            })
            .name("picky")
            .discard();
    });
    (outcome, failed.load(Ordering::Relaxed))
}

#[test]
fn rs_02_none_fails_at_once() {
    let (outcome, failures) = failing(RestartStrategy::None, u32::MAX);
    let error = outcome.unwrap_err();
    assert_eq!((error.restarts(), failures), (Some(0), 1));
}

#[test]
fn rs_03_a_fixed_delay_counts_over_the_whole_life_of_the_job() {
    let delay = Duration::from_millis(100);
    let begin = Instant::now();
    let (outcome, failures) = failing(RestartStrategy::fixed_delay(3, delay), u32::MAX);
    assert_eq!((outcome.unwrap_err().restarts(), failures), (Some(3), 4));
    assert!(begin.elapsed() >= 3 * delay);
    let (outcome, failures) = failing(RestartStrategy::fixed_delay(3, Duration::ZERO), 3);
    let summary = outcome.unwrap();
    assert_eq!((summary.status, summary.metrics.restarts, failures), (JobStatus::Finished, 3, 3));
}

#[test]
fn rs_04_a_failure_rate_allows_so_many_restarts_in_any_interval() {
    let hour = Duration::from_secs(3600);
    let rate = |flink_exact| RestartStrategy::FailureRate {
        max_failures: 3,
        interval: hour,
        delay: Duration::ZERO,
        flink_exact,
    };
    let (outcome, failures) = failing(rate(false), u32::MAX);
    assert_eq!((outcome.unwrap_err().restarts(), failures), (Some(3), 4));
    let (outcome, failures) = failing(rate(true), u32::MAX);
    assert_eq!((outcome.unwrap_err().restarts(), failures), (Some(2), 3));
}

#[test]
fn rs_05_an_exponential_delay_waits_longer_each_time() {
    let strategy = RestartStrategy::ExponentialDelay {
        initial: Duration::from_millis(10),
        max: Duration::from_millis(40),
        multiplier: 2.0,
        reset_after: Duration::from_secs(60),
        jitter: 0.0,
    };
    let begin = Instant::now();
    let (outcome, failures) = failing(strategy, 5);
    assert_eq!((outcome.unwrap().metrics.restarts, failures), (5, 5));
    assert!(begin.elapsed() >= Duration::from_millis(10 + 20 + 40 + 40 + 40));
}

#[test]
fn rs_01_without_checkpoints_nothing_is_restarted_unless_asked_for() {
    let error = Job::new("default")
        .run(|flow| flow.source("numbers", sequence(0..=5)).map(|n| 10 / (n - 3)).discard())
        .unwrap_err();
    assert_eq!(error.restarts(), Some(0));
}

#[test]
fn rs_07_what_no_restart_can_mend_is_not_restarted() {
    let missing = millstream::io::TextFiles::new(["/no/such/file"]);
    let error = Job::new("fatal")
        .restart(RestartStrategy::fixed_delay(3, Duration::ZERO))
        .run(move |flow| flow.source("text", missing.clone()).discard())
        .unwrap_err();
    assert_eq!(error.restarts(), Some(0), "{error}");
}

#[test]
fn rs_08_the_error_names_operator_place_shard_and_cause() {
    let (outcome, _) = failing(RestartStrategy::None, u32::MAX);
    let said = outcome.unwrap_err().to_string();
    for words in [
        "job `failing` FAILED",
        "operator `picky`",
        "restarts.rs:",
        "shard 0",
        "value 3",
        "three is not liked",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    // A panic names its operator as well, inside a chain of several.
    let error = Job::new("panicking")
        .run(|flow| {
            let numbers = flow.source("numbers", sequence(0..=5)).map(|n| n - 3).name("shift");
            numbers.map(|n| 10 / n).name("divide").filter(|n| *n > 0).name("positive").discard();
        })
        .unwrap_err();
    let said = error.to_string();
    for words in ["operator `divide`", "panicked: attempt to divide by zero"] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
}

#[test]
fn rs_10_results_of_a_job_that_failed_in_the_middle_are_there_once() {
    let state = tempfile::tempdir().unwrap();
    let out: Once<(u64, u64)> = Once::new();
    let failures = Arc::new(AtomicU32::new(0));
    let (sink, failed) = (out.clone(), failures.clone());
    let summary = Job::new("once")
        .state_dir(state.path())
        .checkpoint_interval(Duration::from_millis(1))
        .restart(RestartStrategy::fixed_delay(5, Duration::ZERO))
        .run(move |flow| {
            let (failures, run) = (failed.clone(), Run::straight(sink.clone()));
            flow.source("numbers", run.source((0u64..2000).map(|n| n % 10)))
                .inspect({
                    let mut seen = 0;
                    move |_| {
                        seen += 1;
                        // Each attempt comes a little further.
                        let failed = failures.load(Ordering::Relaxed);
                        if failed < 5 && seen == 300 {
                            failures.fetch_add(1, Ordering::Relaxed);
                            panic!("as planned");
                        }
                    }
                })
                .key_by(|n| *n)
                .count()
                .sink("out", run.sink());
        })
        .unwrap();
    assert_eq!(summary.metrics.restarts, 5);
    let mut results = out.results();
    results.sort_unstable();
    let expected: Vec<(u64, u64)> =
        (0..10).flat_map(|key| (1..=200).map(move |count| (key, count))).collect();
    assert_eq!(results, expected);
}
