//! Aligned windows of event time in whole jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::{Results, every_way};

const SECOND: i64 = 1000;

/// The start and the count of each window of one key.
fn counts(bound: i64, window: Tumbling, times: &[i64]) -> Results<(i64, u64)> {
    let records: Vec<(u64, Timestamp)> = times.iter().map(|at| (7, Timestamp(*at))).collect();
    every_way(times.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(bound)))
            .key_by(|key| *key)
            .window(window)
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
}

#[test]
fn wn_01_a_window_starts_at_a_multiple_of_its_size_below_zero_too() {
    let ten = Tumbling::of(Duration::from_secs(10));
    counts(0, ten, &[13 * SECOND, 27 * SECOND]).are(&[(10 * SECOND, 1), (20 * SECOND, 1)]).late(0);
    let five = Tumbling::of(Duration::from_secs(5));
    counts(0, five, &[-5001, -5000, -1, 0, 4999, 5000])
        .are(&[(-10_000, 1), (-5000, 2), (0, 2), (5000, 1)])
        .late(0);
}

#[test]
fn wn_02_days_of_a_time_zone_begin_at_an_offset() {
    // Days in Beijing: 2020-12-27 00:00 there is 1608998400000.
    let days = Tumbling::of(Ticks(24 * 3600 * SECOND)).offset(Ticks(-8 * 3600 * SECOND));
    counts(0, days, &[1_608_998_399_999, 1_608_998_400_000])
        .are(&[(1_608_912_000_000, 1), (1_608_998_400_000, 1)]);
    let hours = Tumbling::of(Duration::from_secs(3600)).offset(Duration::from_secs(15 * 60));
    let quarter_past_one = 75 * 60 * SECOND;
    counts(0, hours, &[quarter_past_one - 1, quarter_past_one])
        .are(&[(15 * 60 * SECOND, 1), (quarter_past_one, 1)]);
}

#[test]
fn wn_09_windows_without_records_do_not_fire() {
    let five = Tumbling::of(Duration::from_secs(5));
    counts(0, five, &[1, 3600 * SECOND]).are(&[(0, 1), (3600 * SECOND, 1)]).late(0);
}

#[test]
fn wn_10_tm_03_a_window_takes_records_until_the_watermark_is_at_its_last_tick() {
    let five = Tumbling::of(Duration::from_secs(5));
    // 7999 makes the watermark 4998, 8000 makes it 4999: that fires [0,5000), and 4000 is late.
    counts(3000, five, &[1000, 7999, 4000, 8000]).are(&[(0, 2), (5000, 2)]).late(0);
    counts(3000, five, &[1000, 7999, 8000, 4000]).on_one_shard().are(&[(0, 1), (5000, 2)]).late(1);
    // The end of all input fires what is left.
    counts(3000, five, &[1000]).are(&[(0, 1)]).late(0);
}

#[test]
fn wn_17_results_have_the_last_tick_of_their_window_so_that_windows_can_follow_windows() {
    // Sums per key and 5 s, then the greatest sum of all keys in the same 5 s.
    let records: Vec<((u64, i64), Timestamp)> =
        [(1, 10, 0), (2, 7, 1000), (1, 5, 4999), (2, 9, 5000), (1, 1, 9999), (2, 30, 12_000)]
            .map(|(key, value, at)| ((key, value), Timestamp(at)))
            .to_vec();
    every_way(6, move |flow, run| {
        let five = Tumbling::of(Duration::from_secs(5));
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|record| record.0)
            .window(five)
            .fold(0i64, |sum, record| *sum += record.1)
            .name("sums")
            .map(|result| result.value)
            .key_by(|_| 0u64)
            .window(five)
            .reduce(|most, sum| *most = sum.max(*most))
            .name("greatest")
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 15), (5000, 9), (10_000, 30)])
    .late(0);
}

#[test]
fn wn_01_every_key_has_windows_of_its_own() {
    let records: Vec<(u64, Timestamp)> = (0..90).map(|n| (n as u64 % 9, Timestamp(n * 100))).collect();
    let mut model = BTreeMap::new();
    for (key, at) in &records {
        *model.entry((at.0 / 3000 * 3000, *key)).or_insert(0u64) += 1;
    }
    let expected: Vec<(i64, u64, u64)> =
        model.into_iter().map(|((start, key), count)| (start, key, count)).collect();
    every_way(90, move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Tumbling::of(Duration::from_secs(3)))
            .count()
            .map(|result| (result.window.start.0, result.key, result.value))
            .sink("out", run.sink());
    })
    .are_in_any_order(&expected)
    .late(0);
}

/// Each firing of a window of one key: its start and end, the sum of its values, and whether it came late.
type Sum = (i64, i64, i64, bool);

fn summed(result: WindowResult<u64, i64>) -> Sum {
    (result.window.start.0, result.window.end.0, result.value, result.firing == Firing::Late)
}

/// Records `(timestamp, value)` of one key, each followed by a watermark.
fn timed(records: &[(i64, i64)]) -> Vec<(i64, Timestamp)> {
    records.iter().map(|(at, value)| (*value, Timestamp(*at))).collect()
}

#[test]
fn wn_14_allowed_lateness() {
    let records = timed(&[
        (1000, 10),
        (4999, 5),
        (7999, 1),
        (8000, 2),
        (4000, 7),
        (10_999, 1),
        (3000, 1),
        (11_000, 1),
        (2000, 9),
    ]);
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(3000)))
            .key_by(|_| 1u64)
            .window(Tumbling::of(Duration::from_secs(5)))
            .allowed_lateness(Duration::from_secs(3))
            .sum(|money| *money)
            .map(summed)
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are(&[
        (0, 5000, 15, false),
        (0, 5000, 22, true),
        (0, 5000, 23, true),
        (5000, 10_000, 3, false),
        (10_000, 15_000, 2, false),
    ])
    .late(1);
}

#[test]
fn wn_03_sliding_windows_overlap() {
    let records = timed(&[(12, 1), (10, 2), (17, 4), (40, 8)]);
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(5)))
            .key_by(|_| 1u64)
            .window(Sliding::of(Ticks(10)).every(Ticks(5)))
            .sum(|value| *value)
            .map(summed)
            .sink("out", run.sink());
    })
    .are(&[(5, 15, 3, false), (10, 20, 7, false), (15, 25, 4, false), (35, 45, 8, false), (40, 50, 8, false)])
    .late(0);
}

#[test]
fn wn_11_an_aggregate_and_a_finishing_function_see_the_window() {
    /// The least and the greatest.
    #[derive(Clone)]
    struct Range;
    impl Aggregate<i64> for Range {
        type Acc = [i64; 2];
        type Out = i64;
        fn create(&self) -> [i64; 2] {
            [i64::MAX, i64::MIN]
        }
        fn add(&self, acc: &mut [i64; 2], value: &i64) {
            self.merge(acc, &[*value; 2]);
        }
        fn merge(&self, acc: &mut [i64; 2], other: &[i64; 2]) {
            *acc = [acc[0].min(other[0]), acc[1].max(other[1])];
        }
        fn result(&self, acc: [i64; 2]) -> i64 {
            acc[1] - acc[0]
        }
    }
    let records = timed(&[(1, 5), (2, 9), (11, 1), (12, 1), (21, 7)]);
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|_| 1u64)
            .window(Cumulative::of(Ticks(20)).every(Ticks(10)))
            .aggregate_with(Range, |window, range, out| {
                // Nothing where the range is empty, two records otherwise.
                for _ in 0..if range == 0 { 0 } else { 2 } {
                    out.emit((*window.key(), window.window().end.0, range));
                }
            })
            .sink("out", run.sink());
    })
    .are(&[(1, 10, 4), (1, 10, 4), (1, 20, 8), (1, 20, 8)]);
}

#[test]
fn wn_23_the_plan_predicts_the_state_of_a_key() {
    let plan = Job::new("plan")
        .explain(|flow| {
            flow.source("records", millstream::testing::timed_script(vec![vec![(1u64, Timestamp(0))]]))
                .source_time(Watermarks::monotonous())
                .key_by(|key| *key)
                .window(Sliding::of(Duration::from_secs(24 * 3600)).every(Duration::from_secs(1)))
                .count()
                .discard();
        })
        .unwrap();
    assert!(plan.contains("at most 86400 slices, 1468800 bytes"), "{plan}");
}
