//! More than one way into an operator, and out of it.

use std::time::Duration;

use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::every_way;

fn timed(records: &[(u64, i64)]) -> Vec<(u64, Timestamp)> {
    records.iter().map(|(record, at)| (*record, Timestamp(*at))).collect()
}

#[test]
fn tr_06_a_union_has_all_records_of_both_and_none_goes_missing() {
    every_way(2, |flow, run| {
        let left = flow.source("left", run.source([1i64, 2]));
        let right = flow.source("right", run.source([2i64, 3]));
        left.union(right).sink("out", run.sink());
    })
    .are_in_any_order(&[1, 2, 2, 3]);
}

#[test]
fn tr_06_event_time_of_a_union_is_the_smaller_one() {
    // The second stream holds the window open until its own records have passed it: nothing of either is late.
    let (left, right) = (timed(&[(1, 1000), (1, 9000)]), timed(&[(1, 500), (1, 4999), (1, 5000)]));
    every_way(3, move |flow, run| {
        let monotonous = |name: &str, records: &[(u64, Timestamp)]| {
            flow.source(name, run.timed(vec![records.to_vec()])).source_time(Watermarks::monotonous())
        };
        monotonous("left", &left)
            .union(monotonous("right", &right))
            .key_by(|key| *key)
            .window(Tumbling::of(Duration::from_secs(5)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 3), (5000, 2)])
    .late(0);
}

#[test]
fn a_fork_gives_every_record_to_both_streams() {
    every_way(4, |flow, run| {
        let (on, beside) = flow.source("numbers", run.source(1i64..=4)).fork();
        on.filter(|n| n % 2 == 0).union(beside.map(|n| n * 100)).sink("out", run.sink());
    })
    .are_in_any_order(&[2, 4, 100, 200, 300, 400]);
}

#[test]
fn a_fork_after_an_exchange_keeps_event_time_on_both_sides() {
    let records = timed(&[(1, 0), (2, 1000), (1, 4999), (1, 5000), (2, 9999), (1, 12_000)]);
    every_way(6, move |flow, run| {
        let (counted, all) = flow
            .source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Tumbling::of(Duration::from_secs(5)))
            .count()
            .map(|result| (result.key, result.value))
            .fork();
        let total = all
            .key_by(|_| ())
            .window(Tumbling::of(Duration::from_secs(5)))
            .fold(0u64, |sum, counted| *sum += counted.1)
            .map(|result| (0, result.value));
        counted.union(total).map(|pair| (pair.0, pair.1)).sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 2), (2, 1), (0, 3), (1, 1), (2, 1), (0, 2), (1, 1), (0, 1)])
    .late(0);
}

#[test]
fn wn_15_tr_10_late_records_come_out_beside() {
    // The watermark is 7000 when 2000 comes: [0,5000) is over.
    let records = timed(&[(1, 1000), (2, 7001), (3, 2000), (4, 8000)]);
    every_way(4, move |flow, run| {
        let late = flow.tag("late");
        let counts = flow
            .source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(0)))
            .key_by(|_| ())
            .window(Tumbling::of(Duration::from_secs(5)))
            .late_to(&late)
            .count();
        let beside = counts.side_output(&late).map(|record| (1u8, *record));
        counts
            .map(|result| (0u8, result.value))
            .union(beside)
            .map(|pair| (pair.0, pair.1))
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are_in_any_order(&[(0, 1), (1, 3), (0, 2)]);
}

#[test]
fn tr_10_a_tag_that_nobody_reads_is_pointed_out_and_one_that_is_read_twice_refused() {
    let program = |reads: usize| {
        move |flow: &Flow| {
            let late = flow.tag::<u64>("late");
            let counts = flow
                .source("records", millstream::io::Collection::of([1u64]))
                .event_time(Watermarks::monotonous(), |_| 0)
                .key_by(|_| ())
                .window(Tumbling::of(Duration::from_secs(5)))
                .late_to(&late)
                .count();
            (0..reads).for_each(|_| counts.side_output(&late).discard());
            counts.discard();
        }
    };
    let job = || Job::new("tags");
    assert!(job().explain(program(0)).unwrap().contains("nobody reads the side output `late`"));
    assert!(!job().explain(program(1)).unwrap().contains("nobody reads"));
    let refused = job().explain(program(2)).unwrap_err().to_string();
    assert!(refused.contains("side output `late` is read twice"), "{refused}");
}
