//! The contract that every operator keeps, held against operators of the engine and against some that break it.

use std::cell::Cell;

use millstream::prelude::*;
use millstream::testing::contract::{self, Broken};
use millstream::testing::{Input, Step, TestFlow, single};
use millstream::time::Ticks;

use super::sums;

/// Records `(at, value)` of one key, each followed by a watermark that is three seconds behind.
fn trace(records: &[(i64, i64)]) -> Vec<Step> {
    let mut greatest = i64::MIN;
    let mut trace = Vec::new();
    for (at, value) in records {
        greatest = greatest.max(*at);
        trace.extend([Step::push(*value, *at), Step::watermark(greatest - 3001)]);
    }
    trace
}

#[test]
fn ut_03_wn_14_late_firings_survive_a_restart_after_every_element() {
    let records =
        [(1000, 10), (4999, 5), (7999, 1), (8000, 2), (4000, 7), (10_999, 1), (3000, 1), (11_000, 1)];
    contract::hold(sums(), &trace(&[&records[..], &[(2000, 9)]].concat()));
}

#[test]
fn ut_03_windows_of_many_keys_may_be_stopped_while_they_fire() {
    let program = single(|_, keys: Input<u64>| {
        let windows = keys.key_by(|key| *key).window(Sliding::of(Ticks(20)).every(Ticks(10)));
        windows.count().map(|count| (count.key, count.window.start.0, count.value))
    });
    let mut trace: Vec<Step> = (0..24u64).map(|n| Step::push(n % 12, n as i64)).collect();
    trace.push(Step::watermark(19));
    contract::hold(program, &trace);
}

#[test]
fn ut_03_sessions_and_the_clock_keep_the_contract() {
    let program = |flow: &TestFlow| {
        let keys = flow.input::<u64>("keys");
        let (sessions, keys) = keys.fork();
        let sessions = sessions.key_by(|key| *key).window(Session::gap(Ticks(10))).count();
        flow.output("sessions", sessions.map(|count| (count.key, count.window.end.0, count.value)));
        let on_clock =
            keys.key_by(|key| *key).window(Tumbling::of(Ticks(100)).on_clock()).count().name("by the clock");
        flow.output("on the clock", on_clock.map(|count| (count.key, count.value)));
    };
    let trace = [
        Step::push(1u64, 5),
        Step::push(1u64, 25),
        Step::push(2u64, 7),
        Step::clock(50),
        Step::push(1u64, 15),
        Step::watermark(20),
        Step::clock(250),
        Step::push(2u64, 40),
        Step::idle(),
        Step::clock(300),
    ];
    contract::hold(program, &trace);
}

#[test]
fn ut_03_joins_keep_the_contract() {
    let program = |flow: &TestFlow| {
        let late = (flow.tag("late left"), flow.tag("late right"));
        let left = flow.input::<i64>("left").key_by(|_| 7u64);
        let right = flow.input::<i64>("right").key_by(|_| 7u64);
        let join = left.interval_join(right, Ticks(-2), Ticks(1)).late_to(&late.0, &late.1);
        let pairs = join.full_join(|left, right| (left.copied(), right.copied()));
        flow.side_output(&late.0, &pairs);
        flow.side_output(&late.1, &pairs);
        flow.output("pairs", pairs);
    };
    let at = |input: &str, at: i64| Step::push(at, at).to(input);
    let trace = [
        at("left", 5),
        at("right", 3),
        at("right", 6),
        Step::watermark(5).to("left"),
        at("right", 7),
        Step::watermark(6),
        at("left", 2),
        at("left", 9),
        Step::end().to("left"),
        at("right", 10),
    ];
    contract::hold(program, &trace);
}

#[test]
fn ut_03_state_that_is_not_in_a_checkpoint_breaks_the_contract() {
    let program = single(|_, numbers: Input<i64>| {
        let sum = Cell::new(0);
        numbers.map(move |n| {
            sum.set(sum.get() + n);
            sum.get()
        })
    });
    let trace = [Step::push(1i64, 10), Step::watermark(10), Step::push(2i64, 20)];
    let broken = contract::check(program, &trace).unwrap_err();
    let said = broken.to_string();
    assert_eq!(
        said,
        "step 3 (push 2 at 20), restored after every step: output `out` is not what it is in a straight run\n  \
         expected 3 at 20\n       got 2 at 20\n"
    );
    assert!(matches!(broken, Broken::Diverged(divergence) if divergence.number == 3));
}

#[test]
fn ut_03_what_depends_on_the_number_of_shards_breaks_the_contract() {
    let program = single(|_, numbers: Input<u64>| {
        let seen = Cell::new(0);
        numbers.key_by(|n| *n).count().map(move |_| {
            seen.set(seen.get() + 1);
            seen.get()
        })
    });
    let trace: Vec<Step> = (0..8u64).map(|n| Step::push(n, 0)).collect();
    let said = contract::check(program, &trace).unwrap_err().to_string();
    assert!(said.contains("on two shards"), "{said}");
}

#[test]
fn ut_03_a_trace_that_cannot_be_run_says_at_which_step() {
    let program = || single(|_, numbers: Input<i64>| numbers.map(|n| 10 / n).name("divide"));
    let said = |trace: &[Step]| contract::check(program(), trace).unwrap_err().to_string();
    let back = said(&[Step::watermark(5), Step::watermark(4)]);
    assert!(back.starts_with("straight, at step 2 (watermark 4): the watermark of input `in`"), "{back}");
    let failed = said(&[Step::push(5i64, 0), Step::push(0i64, 0)]);
    assert!(failed.contains("at step 2 (push 0 at 0)") && failed.contains("operator `divide`"), "{failed}");
}

#[test]
fn tm_12_an_idle_source_does_not_come_to_its_end_with_the_shards_that_read_nothing_of_it() {
    // On the second shard the source has no partition, and so it has ended there.
    let counts = single(|_, keys: Input<u64>| {
        keys.key_by(|key| *key).window(Tumbling::of(Ticks(10))).count().map(|count| count.value)
    });
    let trace =
        [Step::push(1u64, 5), Step::watermark(5), Step::idle(), Step::push(1u64, 8), Step::watermark(9)];
    contract::hold(counts, &trace);
}
