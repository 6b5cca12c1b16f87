//! Sources that fail a job on purpose.

use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::golden::Once;
use millstream::testing::{Harness, HarnessError, script};

#[test]
fn ut_03_a_script_that_aborts_exercises_the_restart_strategy() {
    for (attempts, aborts_survived) in [(2, true), (1, false)] {
        let state = tempfile::tempdir().unwrap();
        let words = script!["to".to_owned(), "be".to_owned(), Abort, "or".to_owned(), Abort, "to".to_owned()];
        let out: Once<(String, u64)> = Once::new();
        let sink = out.clone();
        let outcome = Job::new("aborted")
            .state_dir(state.path())
            .restart(RestartStrategy::fixed_delay(attempts, Duration::ZERO))
            .run(move |flow| {
                flow.source("words", words.clone())
                    .key_by_ref(|word| word.as_str())
                    .count()
                    .sink("counts", sink.clone());
            });
        match outcome {
            Ok(summary) => {
                assert_eq!((summary.metrics.restarts, aborts_survived), (2, true));
                let counts =
                    [("to", 1), ("be", 1), ("or", 1), ("to", 2)].map(|(word, n)| (word.to_owned(), n));
                assert_eq!(out.results(), counts, "each result is there once");
            }
            Err(error) => {
                assert_eq!((error.restarts(), aborts_survived), (Some(1), false));
                assert!(error.to_string().contains("the script aborts the job before cue 5"), "{error}");
            }
        }
    }
}

#[test]
fn ut_03_a_script_aborts_in_a_harness_too() {
    let numbers = script![1i64 => 10, Watermark(10), Abort, 2i64 => 20];
    let program = move |flow: &millstream::testing::TestFlow| {
        let numbers = flow.source("numbers", numbers.clone()).source_time(Watermarks::from_source());
        flow.output("out", numbers);
    };
    // Not restarted unless the job says so.
    let failed = Harness::of(Job::new("fails"), program.clone()).err().unwrap();
    assert!(matches!(failed, HarnessError::Job(_)), "{failed}");
    // The abort has happened: what shares the script passes over it.
    let mut harness = Harness::new(program);
    assert_eq!(harness.outputs(), [(1i64, Timestamp(10)), (2, Timestamp(20))]);
}
