//! Timestamps that event time cannot use: refused at build, or named with operator, place and value when they come.

use millstream::prelude::*;
use millstream::testing::timed_script;
use millstream::time::Ticks;

/// What a job says whose third record has this timestamp.
fn failure(watermarks: fn() -> Watermarks, at: i64) -> Option<String> {
    let program = move |flow: &Flow| {
        let records = [5, 6, at, 7].map(|at| (0u64, Timestamp(at))).to_vec();
        flow.source("readings", timed_script(vec![records]))
            .source_time(watermarks())
            .key_by(|key| *key)
            .window(Tumbling::of(Ticks(10)))
            .count()
            .discard();
    };
    Job::new("timestamps").run(program).err().map(|error| error.to_string())
}

#[test]
fn tm_07_windows_over_a_source_without_timestamps_are_refused() {
    let program = |flow: &Flow| {
        flow.source("readings", timed_script(vec![vec![(0u64, Timestamp(5))]]))
            .key_by(|key| *key)
            .window(Tumbling::of(Ticks(10)))
            .count()
            .discard();
    };
    let error = Job::new("timestamps").run(program).unwrap_err().to_string();
    assert!(error.contains("`window_count`") && error.contains("timestamps.rs:"), "{error}");
    assert!(error.contains("call .event_time(..) right after .source(..)"), "{error}");
}

#[test]
fn tm_07_a_record_without_a_timestamp_is_named() {
    let error = failure(Watermarks::monotonous, i64::MIN).unwrap();
    assert!(error.contains("operator `readings`") && error.contains("record 2 of the script"), "{error}");
    assert!(error.contains("the record has no timestamp"), "{error}");
    let assigned = |flow: &Flow| {
        flow.source("readings", timed_script(vec![vec![(7u64, Timestamp(5))]]))
            .event_time(Watermarks::monotonous(), |_| Timestamp::MIN)
            .discard();
    };
    let error = Job::new("timestamps").run(assigned).unwrap_err().to_string();
    assert!(error.contains("record 0 of the script: the record has no timestamp"), "{error}");
}

#[test]
fn tm_07_a_timestamp_that_overflowed_is_named() {
    let error = failure(Watermarks::monotonous, i64::MAX).unwrap();
    assert!(error.contains("record 2 of the script, event time +inf"), "{error}");
    assert!(error.contains("9223372036854775807") && error.contains("overflow"), "{error}");
}

#[test]
fn tm_07_negative_timestamps_are_times_before_1970_unless_they_are_refused() {
    let bounded = || Watermarks::bounded_out_of_orderness(Ticks(100));
    assert_eq!(failure(bounded, -20), None);
    let error = failure(|| Watermarks::monotonous().refuse_before(Timestamp(0)), -20).unwrap();
    assert!(error.contains("record 2 of the script, event time -20"), "{error}");
    assert!(error.contains("the timestamp -20 lies before 0"), "{error}");
}

#[test]
fn timestamps_next_to_the_ends_of_time_are_like_others() {
    assert_eq!(failure(Watermarks::monotonous, i64::MAX - 1), None);
    assert_eq!(failure(Watermarks::monotonous, i64::MIN + 1), None);
}
