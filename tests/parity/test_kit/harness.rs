//! Operators in a harness: fed and read by hand.

use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::{Harness, HarnessError, Input, Single, Step, TestFlow};
use millstream::time::Ticks;

const FIVE: Duration = Duration::from_secs(5);

#[test]
fn ut_03_wn_14_allowed_lateness_in_less_than_twenty_lines() {
    let mut sums = Harness::single(|flow, money: Input<i64>| {
        let late = flow.tag("late");
        let windows = money.key_by(|_| 1u64).window(Tumbling::of(Duration::from_secs(5)));
        let sums = windows.allowed_lateness(Duration::from_secs(3)).late_to(&late).sum(|money| *money);
        flow.side_output(&late, &sums);
        sums.map(|sum| (sum.window.start.0, sum.value))
    });
    let records =
        [(1000, 10), (4999, 5), (7999, 1), (8000, 2), (4000, 7), (10_999, 1), (3000, 1), (11_000, 1)];
    let mut greatest = 0;
    for (at, money) in records {
        greatest = at.max(greatest);
        sums.push(money, at);
        sums.watermark(greatest - 3001);
    }
    assert_eq!(sums.values(), [(0, 15), (0, 22), (0, 23)]);
    sums.push(9, 2000);
    assert_eq!((sums.side_outputs("late"), sums.late_records()), (vec![(9i64, Timestamp(2000))], 1));
    let snapshot = sums.snapshot();
    sums.restore(&snapshot, 2);
    assert_eq!(sums.late_records(), 1, "what was late is known after a restart");
    sums.end();
    assert_eq!(sums.outputs(), [((5000, 3), Timestamp(9999)), ((10_000, 2), Timestamp(14_999))]);
}

#[test]
fn ut_03_what_comes_out_is_there_at_once_and_taken_once() {
    let mut counts =
        Harness::single(|_, words: Input<String>| words.key_by_ref(|word| word.as_str()).count());
    counts.push("to".to_owned(), 1);
    counts.push("be".to_owned(), 2);
    counts.push("to".to_owned(), 3);
    let expected = [(("to".to_owned(), 1), 1), (("be".to_owned(), 1), 2), (("to".to_owned(), 2), 3)];
    assert_eq!(counts.outputs(), expected.map(|(count, at)| (count, Timestamp(at))));
    assert_eq!(counts.outputs(), []);
}

/// An interval join: left and right records of one key that are at most ten ticks apart.
fn joined(shards: u16) -> Harness {
    let program = |flow: &TestFlow| {
        let (late_left, late_right) = (flow.tag("late left"), flow.tag("late right"));
        let left = flow.input::<(u64, i64)>("left").key_by(|(key, _)| *key);
        let right = flow.input::<(u64, i64)>("right").key_by(|(key, _)| *key);
        let pairs = left
            .interval_join(right, Ticks(-10), Ticks(10))
            .late_to(&late_left, &late_right)
            .join(|left, right| (left.0, left.1, right.1));
        flow.side_output(&late_left, &pairs);
        flow.side_output(&late_right, &pairs);
        flow.output("pairs", pairs);
    };
    Harness::of(Job::new("joined").shards(shards), program).unwrap()
}

#[test]
fn ut_03_inputs_and_outputs_have_names_and_types() {
    for shards in [1, 3] {
        let mut join = joined(shards);
        join.push_to("left", (1u64, 50i64), 50);
        join.push_to("right", (1u64, 55i64), 55);
        join.push_to("right", (2u64, 51i64), 51);
        assert_eq!(join.outputs_of("pairs"), [((1u64, 50i64, 55i64), Timestamp(55))]);
        join.watermark_of("left", 100);
        assert_eq!(join.event_time("pairs"), Timestamp::MIN, "the right input has said nothing");
        join.idle("right");
        assert!(join.event_time("pairs") > Timestamp::MIN, "an idle input is not waited for");
        join.push_to("left", (1u64, 80i64), 80);
        assert_eq!(join.side_outputs("late left"), [((1u64, 80i64), Timestamp(80))]);
        assert_eq!(join.outputs_of::<(u64, i64, i64)>("pairs"), []);
        assert_eq!(join.late_records(), 1);
    }
}

/// Counts of keys in windows of five seconds by the clock.
fn on_clock() -> Single<u64, u64> {
    Harness::single(|_, keys: Input<u64>| {
        let windows = keys.key_by(|key| *key).window(Tumbling::of(FIVE).on_clock());
        windows.count().map(|count| count.value)
    })
}

#[test]
fn ut_03_the_clock_stands_unless_it_is_moved() {
    let mut counts = on_clock();
    assert_eq!(counts.clock(), Timestamp(0));
    counts.push(7, 0);
    counts.advance_clock(4_998);
    counts.push(7, 0);
    assert_eq!(counts.outputs(), []);
    counts.advance_clock(4_999);
    assert_eq!(counts.values(), [2]);
    // Each of these windows is due at a moment of its own, which a clock passes that is moved by hours too.
    counts.push(7, 0);
    counts.advance_clock(3_600_000);
    assert_eq!((counts.values(), counts.clock()), (vec![1], Timestamp(3_600_000)));
}

#[test]
fn ut_03_a_snapshot_is_restored_on_any_number_of_shards() {
    let mut counts = on_clock();
    let mut snapshots = Vec::new();
    for key in 0..20 {
        counts.push(key, 0);
        counts.push(key, 0);
    }
    snapshots.push((counts.snapshot(), 20));
    counts.advance_clock(1_000);
    counts.push(100, 0);
    snapshots.push((counts.snapshot(), 21));
    for (snapshot, windows) in &snapshots {
        for shards in [1, 2, 5] {
            counts.restore(snapshot, shards);
            let clock = counts.clock();
            counts.push(0, 0);
            counts.advance_clock(5_000);
            let mut values = counts.values();
            values.sort_unstable();
            assert_eq!(values.len(), *windows, "on {shards} shards, from {clock}");
            assert_eq!((values[0], values[windows - 1]), (if *windows == 20 { 2 } else { 1 }, 3));
        }
    }
    // The one that the harness goes on with now may be taken for another snapshot.
    let last = counts.snapshot();
    counts.restore(&last, 1);
    assert_eq!(counts.outputs(), []);
}

#[test]
fn ut_03_a_harness_says_what_cannot_be_done() {
    let says = |step: Step, words: &str| {
        let error = joined(1).step(&step).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    };
    says(Step::push((1u64, 1i64), 1), "which input is meant? The program has `left`, `right`");
    says(Step::push((1u64, 1i64), 1).to("middle"), "no input `middle`; it has `left`, `right`");
    says(Step::push(1u64, 1).to("left"), "`left` has records of type (u64, i64), not u64");
    says(Step::watermark(i64::MAX), "is the end of input");
    says(Step::clock(-1), "the clock stands at 0 and cannot go back to -1");
    let mut join = joined(1);
    join.watermark(5);
    let error = join.step(&Step::watermark(4)).unwrap_err().to_string();
    assert!(error.contains("stands at 5 and cannot go back to 4"), "{error}");
    join.end();
    let error = join.step(&Step::watermark(6)).unwrap_err();
    assert!(matches!(error, HarnessError::Over { .. }), "{error}");
}

#[test]
fn ut_03_a_failure_names_operator_and_record() {
    let mut divide = Harness::single(|_, numbers: Input<i64>| numbers.map(|n| 10 / n).name("divide"));
    divide.push(5, 1);
    let before = divide.snapshot();
    let error = divide.step(&Step::push(0i64, 2)).unwrap_err().to_string();
    for words in ["operator `divide`", "item 1 of input `in`", "attempt to divide by zero"] {
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    assert_eq!(divide.values(), [2], "what came out before the failure is there");
    divide.restore(&before, 1);
    divide.push(2, 3);
    assert_eq!(divide.values(), [5]);
}

#[test]
fn ut_03_a_program_that_makes_its_own_watermarks_is_tested_as_it_is() {
    let mut counts = Harness::single(|_, at: Input<i64>| {
        at.event_time(Watermarks::bounded_out_of_orderness(Ticks(3)), |at| *at)
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(10)))
            .count()
            .map(|count| count.value)
    });
    counts.push(4, 0);
    counts.push(12, 0);
    assert_eq!(counts.event_time("out"), Timestamp(8));
    counts.push(13, 0);
    assert_eq!(counts.outputs(), [(1, Timestamp(9))]);
}
