//! The shape of programs, and names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millstream::io::{FileSink, TcpLines, sequence};
use millstream::prelude::*;
use millstream::testing::script;

#[test]
fn ex_01_building_a_program_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (state, output) = (dir.path().join("state"), dir.path().join("output"));
    let job = Job::new("never").state_dir(&state).shards(2).oversubscribe(true);
    let program = {
        let output = output.clone();
        move |flow: &Flow| {
            // Nobody listens there; nobody is asked either.
            flow.source("socket", TcpLines::new("localhost:1"))
                .key_by_ref(|line| line.as_str())
                .count()
                .map(|(line, count)| format!("{line}: {count}"))
                .sink("counts", FileSink::lines(&output));
        }
    };
    let plan = job.explain(program).unwrap();
    for words in ["socket", "count", "map", "counts"] {
        assert!(plan.contains(words), "{words:?} is not in the plan:\n{plan}");
    }
    drop(job);
    assert!(!state.exists() && !output.exists());
}

#[test]
fn ex_02_a_job_can_be_run_or_spawned_and_has_a_status() {
    let summary = Job::new("ten").run(|flow| flow.source("numbers", sequence(1..=10)).discard()).unwrap();
    assert_eq!((summary.metrics.records_in(), summary.metrics.records_out()), (10, 10));
    assert_eq!(summary.status, JobStatus::Finished);

    let running =
        Job::new("endless").spawn(|flow| flow.source("numbers", sequence(0..=i64::MAX)).discard()).unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while running.status() != JobStatus::Running || running.metrics().records_in() == 0 {
        assert!(Instant::now() < end, "{:?}", running.status());
        std::thread::sleep(Duration::from_millis(1));
    }
    running.cancel();
    assert_eq!(running.wait().unwrap().status, JobStatus::Canceled);
}

#[test]
fn ex_12_two_stateful_operators_need_names_of_their_own() {
    let twice = |flow: &Flow| {
        let numbers = flow.source("numbers", sequence(0..=5)).key_by(|n| n % 2).count();
        numbers.map(|(key, _)| key).key_by(|key| *key).count().discard();
    };
    let error = Job::new("names").run(twice).unwrap_err().to_string();
    // Both places.
    assert_eq!(error.matches("programs.rs:").count(), 2, "{error}");
    assert!(error.contains("`count`") && error.contains(".name("), "{error}");
}

/// Counts the records of two lives. The second has something to say about what becomes of the numbers before the count.
fn counts(
    state: &std::path::Path,
    program: impl Fn(&Flow, Arc<AtomicUsize>) + Send + Sync + 'static,
) -> usize {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    Job::new("names").state_dir(state).run(move |flow| program(flow, seen.clone())).unwrap();
    most.load(Ordering::Relaxed)
}

#[test]
fn ex_12_a_stateless_operator_more_does_not_keep_state_from_its_operator() {
    let state = tempfile::tempdir().unwrap();
    let first = counts(state.path(), |flow, most| {
        flow.source("numbers", script(0u64..10)).key_by(|_| 0u64).count().name("total").for_each(
            move |(_, count), _| {
                most.fetch_max(*count as usize, Ordering::Relaxed);
            },
        );
    });
    assert_eq!(first, 10);
    // The source goes on after its tenth record, behind a map that was not there before.
    let second = counts(state.path(), |flow, most| {
        flow.source("numbers", script(0u64..10)).discard();
        flow.source("more", script(0u64..5))
            .map(|n| n + 1)
            .inspect(|_| ())
            .key_by(|_| 0u64)
            .count()
            .name("total")
            .map(|(key, count)| (key, count))
            .for_each(move |(_, count), _| {
                most.fetch_max(*count as usize, Ordering::Relaxed);
            });
    });
    assert_eq!(second, 15);
}
