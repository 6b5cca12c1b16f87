//! The best results of windows.

use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::every_way;

#[test]
fn wn_24_the_two_values_that_came_most_often() {
    let values = [1u64, 1, 2, 3, 3, 3, 9, 9, 8];
    let times = [0, 1_000, 2_000, 3_000, 4_000, 9_999, 10_000, 15_000, 16_000];
    let records: Vec<(u64, Timestamp)> =
        values.into_iter().zip(times).map(|(value, at)| (value, Timestamp(at))).collect();
    every_way(records.len(), move |flow, run| {
        flow.source("values", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|value| *value)
            .window(Tumbling::of(Ticks(10_000)))
            .count()
            .top_n(2, |count| *count)
            .map(|top| (top.window.start.0, top.rank, top.key, top.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 1, 3, 3), (0, 2, 1, 2), (10_000, 1, 9, 2), (10_000, 2, 8, 1)])
    .late(0);
}

#[test]
fn wn_24_windows_that_overlap_are_ranked_each_by_itself() {
    // Sums by key: [0,10) has a 5 and b 3; [5,15) has a 1, b 3 and c 9; [10,20) has c 9.
    let records: Vec<((String, i64), Timestamp)> = [("a", 4, 0), ("b", 3, 5), ("a", 1, 9), ("c", 9, 12)]
        .map(|(key, value, at)| ((key.to_owned(), value), Timestamp(at)))
        .to_vec();
    every_way(records.len(), move |flow, run| {
        flow.source("values", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|record| record.0.clone())
            .window(Sliding::of(Ticks(10)).every(Ticks(5)))
            .sum(|record| record.1)
            .top_n(1, |sum| *sum)
            .map(|top| (top.window.start.0, top.rank, top.key, top.value))
            .sink("out", run.sink());
    })
    .are(&[
        (-5, 1, "a".to_owned(), 4),
        (0, 1, "a".to_owned(), 5),
        (5, 1, "c".to_owned(), 9),
        (10, 1, "c".to_owned(), 9),
    ]);
}
