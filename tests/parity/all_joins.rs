//! Joins of three streams and four.

use millstream::prelude::*;
use millstream::time::Ticks;

use crate::time::fed::{Fed, Stepped};
use crate::ways::{Results, Run, every_way};

type Row = (Option<i64>, Option<i64>, Option<i64>);

/// Records of a key that are their own event times.
fn keyed<O: Clone + Send + Sync + 'static>(
    flow: &Flow,
    run: &Run<O>,
    name: &str,
    times: &[i64],
) -> millstream::stream::Keyed<i64, u64> {
    let records = times.iter().map(|at| (*at, Timestamp(*at))).collect();
    flow.source(name, run.timed(vec![records]))
        .source_time(Watermarks::bounded_out_of_orderness(Ticks(100)))
        .key_by(|_| 7u64)
}

/// The rows of three streams within ten ticks, those that are not complete, too.
fn rows(times: [&[i64]; 3]) -> Results<Row> {
    let times = times.map(<[i64]>::to_vec);
    every_way(times.iter().map(Vec::len).max().unwrap(), move |flow, run| {
        let a = keyed(flow, run, "a", &times[0]);
        let b = keyed(flow, run, "b", &times[1]);
        let c = keyed(flow, run, "c", &times[2]);
        a.join_all((b, c), Ticks(10))
            .outer_join(|a, b, c| (a.copied(), b.copied(), c.copied()))
            .sink("out", run.sink());
    })
}

#[test]
fn jn_05_a_record_of_each_stream_makes_a_row() {
    rows([&[1], &[2], &[3]]).are(&[(Some(1), Some(2), Some(3))]);
    rows([&[1], &[11], &[6]]).are(&[(Some(1), Some(11), Some(6))]);
}

#[test]
fn jn_05_what_is_too_far_apart_makes_rows_that_are_not_complete() {
    rows([&[1], &[2], &[]]).are(&[(Some(1), Some(2), None)]);
    // 6 is near both 1 and 12, which are too far from each other: it is in the row of the first.
    rows([&[1], &[12], &[6]]).are_in_any_order(&[(Some(1), None, Some(6)), (None, Some(12), None)]);
    rows([&[30], &[], &[12, 21]]).are_in_any_order(&[(None, None, Some(12)), (Some(30), None, Some(21))]);
}

#[test]
fn jn_05_records_may_be_in_many_rows() {
    rows([&[1, 2], &[3], &[4, 12]]).are_in_any_order(&[
        (Some(1), Some(3), Some(4)),
        (Some(2), Some(3), Some(4)),
        (Some(2), Some(3), Some(12)),
    ]);
}

#[test]
fn jn_05_what_was_in_a_row_is_not_alone() {
    // 15 is in reach of 5 and 6, but not of 4.
    rows([&[4, 5], &[6], &[15]]).are_in_any_order(&[(Some(4), Some(6), None), (Some(5), Some(6), Some(15))]);
}

#[test]
fn jn_05_an_inner_join_of_four_streams_gives_complete_rows_only() {
    every_way(2, |flow, run| {
        let a = keyed(flow, run, "a", &[1, 100]);
        let b = keyed(flow, run, "b", &[2, 101]);
        let c = keyed(flow, run, "c", &[3]);
        let d = keyed(flow, run, "d", &[4, 102]);
        a.join_all((b, c, d), Ticks(10)).join(|a, b, c, d| (*a, *b, *c, *d)).sink("out", run.sink());
    })
    .are(&[(1, 2, 3, 4)]);
}

#[test]
fn jn_05_rows_are_in_time_for_the_windows_behind_the_join() {
    every_way(2, |flow, run| {
        let a = keyed(flow, run, "a", &[0, 95]);
        let b = keyed(flow, run, "b", &[2, 200]);
        let c = keyed(flow, run, "c", &[9, 201]);
        a.join_all((b, c), Ticks(10))
            .outer_join(|_, _, _| 0u64)
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(10)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 1), (90, 1), (200, 1)])
    .late(0);
}

#[test]
fn jn_05_late_records_come_out_beside_and_what_is_over_is_forgotten() {
    let feds = [Fed::new(1), Fed::new(1), Fed::new(1)];
    let sources = feds.clone();
    let job = Stepped::start(1, move |flow, sink| {
        let tags = [flow.tag("late a"), flow.tag("late b"), flow.tag("late c")];
        let keyed = |name: &str, source: &Fed| {
            flow.source(name, source.clone()).source_time(Watermarks::monotonous()).key_by(|_| 7u64)
        };
        let [a, b, c] = &sources;
        let rows = keyed("a", a)
            .join_all((keyed("b", b), keyed("c", c)), Ticks(10))
            .late_to((&tags[0], &tags[1], &tags[2]))
            .join(|a, b, c| (*a, *b, *c));
        let [late_a, late_b, late_c] = tags.map(|tag| rows.side_output(&tag).map(|late| (*late, 0, 0)));
        rows.union(late_a).union(late_b).union(late_c).map(|row| (row.0, row.1, row.2)).sink("out", sink);
    });
    let [a, b, c] = &feds;
    (1..).zip([a, b, c]).for_each(|(record, fed)| fed.feed(0, record, 20));
    assert_eq!(job.next(), (1, 2, 3));
    job.until_watermark("join_all", 19);
    b.feed(0, 4, 18);
    assert_eq!(job.next(), (4, 0, 0));
    assert_eq!(job.running.metrics().late_records(), 1);
    let kept = || job.running.metrics().shards[0].keys;
    assert_eq!(kept(), 3);
    [a, b, c].into_iter().for_each(|fed| fed.feed(0, 5, 1_000));
    assert_eq!(job.next(), (5, 5, 5));
    crate::time::fed::until("the first row is forgotten", || kept() == 3);
    job.stop();
}
