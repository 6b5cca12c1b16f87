//! Joins of records whose event times are near each other.

use millstream::operator::{JoinContext, ProcessJoin};
use millstream::prelude::*;
use millstream::time::Ticks;

use crate::time::fed::{Fed, Stepped};
use crate::ways::{Results, every_way};

/// Records of key 7 that are their own event times.
fn times(times: &[i64]) -> Vec<(i64, Timestamp)> {
    times.iter().map(|at| (*at, Timestamp(*at))).collect()
}

type Pair = (Option<i64>, Option<i64>);

/// The pairs of two streams of one key, with what is alone.
fn full(left: &[i64], right: &[i64], bounds: (i64, i64)) -> Results<Pair> {
    let records = left.len().max(right.len());
    let (left, right) = (times(left), times(right));
    every_way(records, move |flow, run| {
        let keyed = |name: &str, records: &[(i64, Timestamp)]| {
            flow.source(name, run.timed(vec![records.to_vec()]))
                .source_time(Watermarks::monotonous())
                .key_by(|_| 7u64)
        };
        keyed("left", &left)
            .interval_join(keyed("right", &right), Ticks(bounds.0), Ticks(bounds.1))
            .full_join(|left, right| (left.copied(), right.copied()))
            .sink("out", run.sink());
    })
}

#[test]
fn jn_03_records_meet_within_the_bounds_which_are_included() {
    full(&[5], &[3, 6, 7], (-2, 1)).are_in_any_order(&[
        (Some(5), Some(3)),
        (Some(5), Some(6)),
        (None, Some(7)),
    ]);
}

#[test]
fn jn_03_the_interval_may_lie_before_or_behind() {
    full(&[100, 200], &[110, 120, 131, 215], (10, 30)).are_in_any_order(&[
        (Some(100), Some(110)),
        (Some(100), Some(120)),
        (Some(200), Some(215)),
        (None, Some(131)),
    ]);
    full(&[100, 200], &[75, 90, 170], (-30, -20)).are_in_any_order(&[
        (Some(100), Some(75)),
        (Some(200), Some(170)),
        (None, Some(90)),
    ]);
    full(&[-5, 0, 5], &[-5, 5], (0, 0)).are_in_any_order(&[
        (Some(-5), Some(-5)),
        (Some(5), Some(5)),
        (Some(0), None),
    ]);
}

#[test]
fn jn_03_what_is_alone_is_in_time_for_the_windows_behind_the_join() {
    let (left, right) = (times(&[0, 5, 95, 200]), times(&[5, 90, 300]));
    every_way(4, move |flow, run| {
        let keyed = |name: &str, records: &[(i64, Timestamp)]| {
            flow.source(name, run.timed(vec![records.to_vec()]))
                .source_time(Watermarks::monotonous())
                .key_by(|_| 7u64)
        };
        keyed("left", &left)
            .interval_join(keyed("right", &right), Ticks(-20), Ticks(20))
            .full_join(|left, right| (left.copied(), right.copied()))
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(10)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 2), (90, 1), (200, 1), (300, 1)])
    .late(0);
}

/// Pairs with the event time of the pair.
struct Pairs;

impl ProcessJoin<i64, i64, u64> for Pairs {
    type Out = (i64, i64, i64);

    fn process(&mut self, left: &i64, right: &i64, ctx: &mut JoinContext<'_, u64, Self::Out>) {
        assert_eq!(ctx.key(), 7);
        let at = ctx.timestamp().0;
        ctx.emit((*left, *right, at));
    }
}

#[test]
fn jn_03_bounds_can_be_left_out_and_pairs_have_the_later_event_time() {
    let (left, right) = (times(&[5, 20]), times(&[3, 4, 6, 18]));
    every_way(4, move |flow, run| {
        let keyed = |name: &str, records: &[(i64, Timestamp)]| {
            flow.source(name, run.timed(vec![records.to_vec()]))
                .source_time(Watermarks::monotonous())
                .key_by(|_| 7u64)
        };
        keyed("left", &left)
            .interval_join(keyed("right", &right), Ticks(-2), Ticks(1))
            .lower_exclusive()
            .upper_exclusive()
            .process(Pairs)
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(5, 4, 5)]);
}

#[test]
fn jn_03_late_records_come_out_beside() {
    for shards in [1, 2] {
        let (left, right) = (Fed::new(1), Fed::new(1));
        let sources = (left.clone(), right.clone());
        let job = Stepped::start(shards, move |flow, sink| {
            let (late_left, late_right) = (flow.tag("late left"), flow.tag("late right"));
            let keyed = |name: &str, source: &Fed| {
                flow.source(name, source.clone()).source_time(Watermarks::monotonous()).key_by(|_| 7u64)
            };
            let pairs = keyed("left", &sources.0)
                .interval_join(keyed("right", &sources.1), Ticks(-20), Ticks(20))
                .late_to(&late_left, &late_right)
                .join(|left, right| (*left, *right));
            let late_left = pairs.side_output(&late_left).map(|record| (*record, 0));
            let late_right = pairs.side_output(&late_right).map(|record| (0, *record));
            pairs.union(late_left).union(late_right).map(|pair| (pair.0, pair.1)).sink("out", sink);
        });
        left.feed(0, 50, 50);
        right.feed(0, 55, 55);
        assert_eq!(job.next(), (50, 55));
        job.until_watermark("interval_join", 49);
        // The last moment that is not over, and one that is.
        left.feed(0, 49, 49);
        assert_eq!(job.next(), (49, 55));
        left.feed(0, 48, 48);
        assert_eq!(job.next(), (48, 0));
        right.feed(0, 47, 47);
        assert_eq!(job.next(), (0, 47));
        assert_eq!(job.running.metrics().late_records(), 2);
        job.stop();
    }
}

#[test]
fn jn_03_an_empty_interval_and_a_stream_without_event_time_are_refused() {
    let program = |timed: bool, bounds: (i64, i64)| {
        move |flow: &Flow| {
            let left = flow.source("left", millstream::io::sequence(0..=1));
            let right = flow.source("right", millstream::io::sequence(0..=1));
            let right = right.event_time(Watermarks::monotonous(), |at| *at).key_by(|_| 0u64);
            let bounds = (Ticks(bounds.0), Ticks(bounds.1));
            match timed {
                true => left
                    .event_time(Watermarks::monotonous(), |at| *at)
                    .key_by(|_| 0u64)
                    .interval_join(right, bounds.0, bounds.1)
                    .join(|left, right| left + right)
                    .discard(),
                false => left
                    .key_by(|_| 0u64)
                    .interval_join(right, bounds.0, bounds.1)
                    .join(|left, right| left + right)
                    .discard(),
            }
        }
    };
    let job = || Job::new("refused");
    assert!(job().explain(program(true, (-1, 1))).is_ok());
    let empty = job().explain(program(true, (1, -1))).unwrap_err().to_string();
    assert!(empty.contains("is empty: no two records would ever meet"), "{empty}");
    let untimed = job().explain(program(false, (-1, 1))).unwrap_err().to_string();
    assert!(untimed.contains("needs event time"), "{untimed}");
}
