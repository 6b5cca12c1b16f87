//! Loops: records that go round until they are done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream::io::sequence;
use millstream::prelude::*;
use proptest::prelude::*;

use crate::ways::{Once, every_way};

#[test]
fn it_01_a_record_goes_round_until_it_is_done() {
    every_way(1, |flow, run| {
        flow.source("numbers", run.source([3u64]))
            .iterate(|n| {
                let (again, done) = n.owned().map(|n| n - 1).fork();
                (again.filter(|n| *n > 0), done.owned().filter(|n| *n == 0))
            })
            .sink("out", run.sink());
    })
    .are(&[0]);
}

/// How many steps it takes from a number down to one.
fn collatz(mut n: u64) -> u64 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

/// The loop that finds out; each step is made on the shard that the number at hand belongs to.
fn steps<S: Source<Item = u64>>(flow: &Flow, numbers: S, out: Once<(u64, u64)>) {
    flow.source("numbers", numbers)
        .map(|n| (n, n, 0u64))
        .iterate(|numbers| {
            let (again, done) = numbers
                .key_by(|at| at.1)
                .views()
                .owned()
                .map(|(start, n, steps)| match n {
                    1 => (start, 1, steps),
                    n if n.is_multiple_of(2) => (start, n / 2, steps + 1),
                    n => (start, 3 * n + 1, steps + 1),
                })
                .fork();
            (again.filter(|(_, n, _)| *n != 1), done.owned().filter(|(_, n, _)| *n == 1))
        })
        .map(|(start, _, steps)| (start, steps))
        .sink("out", out);
}

#[test]
fn it_01_loops_over_all_shards() {
    let expected: Vec<(u64, u64)> = (2..12).map(|n| (n, collatz(n))).collect();
    every_way(10, |flow, run| {
        steps(flow, run.source(2u64..12), run.sink());
    })
    .are_in_any_order(&expected);
}

#[test]
fn it_02_a_crash_in_the_middle_of_a_loop_loses_and_doubles_nothing() {
    let state = tempfile::tempdir().unwrap();
    let (out, failed) = (Once::new(), Arc::new(AtomicBool::new(false)));
    let sink = out.clone();
    let summary = Job::new("crash")
        .shards(2)
        .oversubscribe(true)
        .state_dir(state.path())
        .checkpoint_interval(Duration::from_millis(1))
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
        .run(move |flow| {
            let failed = failed.clone();
            flow.source("numbers", sequence(1..=300))
                .map(|n| (n as u64, 0u64))
                .iterate(|pairs| {
                    let stepped = pairs.rebalance().owned().map(move |(n, rounds)| {
                        assert!(
                            (n, rounds) != (200, 150) || failed.swap(true, Ordering::AcqRel),
                            "in the middle of the loop"
                        );
                        (n, rounds + 1)
                    });
                    let (again, done) = stepped.fork();
                    (again.filter(|(n, rounds)| rounds < n), done.owned().filter(|(n, rounds)| rounds == n))
                })
                .sink("out", sink.clone());
        })
        .unwrap();
    assert_eq!(summary.metrics.restarts, 1);
    let mut results = out.results();
    results.sort_unstable();
    assert_eq!(results, (1..=300).map(|n| (n, n)).collect::<Vec<(u64, u64)>>());
}

#[test]
fn it_01_a_loop_cannot_come_to_stand() {
    // A ring of 128 KiB takes a small part of what goes round.
    let summary = Job::new("full")
        .shards(2)
        .oversubscribe(true)
        .ring_bytes(128 * 1024)
        .run(|flow| {
            let rounds = flow.counter("rounds");
            flow.source("numbers", sequence(0..=49_999))
                .map(|n| (n as u64, 0u64))
                .iterate(|pairs| {
                    let stepped = pairs.rebalance().owned().map(move |(n, round)| {
                        rounds.add(1);
                        (n, round + 1)
                    });
                    let (again, done) = stepped.fork();
                    (again.filter(|(_, round)| *round < 5), done.owned().filter(|(_, round)| *round == 5))
                })
                .discard();
        })
        .unwrap();
    assert_eq!(summary.accumulators.counter("rounds"), Ok(250_000));
    assert_eq!(summary.metrics.records_out(), 50_000);
}

#[test]
fn it_01_a_loop_that_grows_for_ever_names_the_limit() {
    let error = Job::new("grows")
        .overflow_bytes(1024 * 1024)
        .run(|flow| {
            flow.source("numbers", sequence(0..=9))
                .iterate(|n| {
                    let (again, done) = n.owned().flat_map(|n| [n, n]).fork();
                    (again, done.owned())
                })
                .discard();
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains("overflow_bytes"), "{error}");
}

#[test]
fn it_01_a_window_in_a_loop_that_gives_back_at_the_end_is_refused() {
    let error = Job::new("window")
        .run(|flow| {
            flow.source("numbers", sequence(0..=9))
                .event_time(Watermarks::monotonous(), |n| *n)
                .iterate(|n| {
                    let counts = n
                        .key_by(|_| 0u64)
                        .window(Tumbling::of(Duration::from_secs(1)))
                        .count()
                        .map(|count| count.value as i64);
                    let (again, done) = counts.fork();
                    (again, done.owned())
                })
                .discard();
        })
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`feedback`") && error.contains("comes back to an iteration that is over"),
        "{error}"
    );
}

#[test]
fn it_01_a_loop_within_a_loop() {
    // The inner one counts down to a multiple of ten, the outer one by tens.
    every_way(4, |flow, run| {
        flow.source("numbers", run.source([7u64, 23, 30, 101]))
            .iterate(|outer| {
                let tens = outer.owned().iterate(|inner| {
                    let (again, done) =
                        inner.name("inner").owned().map(|n| if n % 10 == 0 { n } else { n - 1 }).fork();
                    (again.filter(|n| n % 10 != 0), done.owned().filter(|n| n % 10 == 0))
                });
                let (again, done) = tens.map(|n| n.saturating_sub(10)).fork();
                (again.filter(|n| *n > 0), done.owned().filter(|n| *n == 0))
            })
            .sink("out", run.sink());
    })
    .are_in_any_order(&[0, 0, 0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn it_01_loops_are_what_loops_are(numbers in prop::collection::vec(1u64..40, 0..20)) {
        let mut expected: Vec<(u64, u64)> = numbers
            .iter()
            // A number that is 1 already makes one round.
            .map(|n| (*n, collatz(*n)))
            .collect();
        expected.sort_unstable();
        let out = Once::new();
        let sink = out.clone();
        Job::new("random")
            .shards(2)
            .oversubscribe(true)
            .run(move |flow| {
                steps(flow, millstream::testing::script(numbers.clone()), sink.clone());
            })
            .unwrap();
        let mut results = out.results();
        results.sort_unstable();
        prop_assert_eq!(results, expected);
    }
}
