//! Watermarks in whole jobs, seen by what is late and by what fires.

use std::time::{Duration, Instant};

use millstream::io::{collect, sequence};
use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::{Paused, every_way};

/// Windows of one tick: a record is late exactly if the watermark has come to it.
fn one_tick() -> Tumbling {
    Tumbling::of(Ticks(1))
}

/// Counts per tick of the records of these partitions, which take turns.
fn per_tick(
    watermarks: fn() -> Watermarks,
    partitions: &'static [&'static [i64]],
) -> crate::ways::Results<(i64, u64)> {
    let longest = partitions.iter().map(|times| times.len()).max().unwrap();
    every_way(longest, move |flow, run| {
        let records = |times: &&[i64]| times.iter().map(|at| (0u64, Timestamp(*at))).collect();
        flow.source("records", run.timed(partitions.iter().map(records).collect()))
            .source_time(watermarks())
            .key_by(|key| *key)
            .window(one_tick())
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
}

#[test]
fn tm_03_bounded_out_of_orderness_is_the_greatest_less_the_bound_less_one() {
    let bounded = || Watermarks::bounded_out_of_orderness(Ticks(3));
    // After 10 the watermark is 6: 7 is in time and 6 is late.
    per_tick(bounded, &[&[10, 7]]).are(&[(7, 1), (10, 1)]).late(0);
    per_tick(bounded, &[&[10, 6]]).on_one_shard().are(&[(10, 1)]).late(1);
}

#[test]
fn tm_04_monotonous_timestamps_are_a_bound_of_zero() {
    // Watermarks 4, 6, 6: the third record is late, the fourth is not, although it has the greatest timestamp so far.
    per_tick(Watermarks::monotonous, &[&[5, 7, 6, 7]]).on_one_shard().are(&[(5, 1), (7, 2)]).late(1);
}

#[test]
fn tm_02_tm_07_no_watermarks_until_the_end() {
    per_tick(Watermarks::none, &[&[5, 1, 9, 1]]).are(&[(1, 2), (5, 1), (9, 1)]).late(0);
}

#[test]
fn tm_09_the_watermark_of_a_source_is_the_least_of_its_partitions() {
    // One partition is far ahead. In one partition, all of the other's records but the first would be late.
    per_tick(Watermarks::monotonous, &[&[10, 20, 30], &[4, 5, 6]])
        .are_in_any_order(&[(4, 1), (5, 1), (6, 1), (10, 1), (20, 1), (30, 1)])
        .late(0);
    per_tick(Watermarks::monotonous, &[&[10, 4, 20, 5]]).on_one_shard().are(&[(10, 1), (20, 1)]).late(2);
}

#[test]
fn tm_09_a_partition_that_has_ended_holds_nothing() {
    per_tick(Watermarks::monotonous, &[&[1], &[10, 20, 30]])
        .are_in_any_order(&[(1, 1), (10, 1), (20, 1), (30, 1)])
        .late(0);
}

#[test]
fn tm_05_records_that_take_up_all_the_room_do_not_hold_event_time() {
    let (sink, results) = collect::<i64>();
    let running = Job::new("endless")
        .shards(1)
        .spawn(move |flow| {
            flow.source("numbers", sequence(0..=i64::MAX))
                .event_time(Watermarks::monotonous(), |n| *n)
                .key_by(|n| *n as u64 % 8)
                .window(Tumbling::of(Ticks(10_000)))
                .count()
                .map(|result| result.window.start.0)
                .sink("out", sink.clone());
        })
        .unwrap();
    let fired = results.next_within(Duration::from_secs(30));
    running.cancel();
    running.wait().unwrap();
    assert_eq!(fired, Some(0));
}

/// A job with four partitions, one of them without a record; none ends. When its first window has fired, if it has within the time.
fn first_firing(watermarks: fn() -> Watermarks, within: Duration) -> Option<Duration> {
    let (sink, results) = collect::<i64>();
    let records = |partition: i64| {
        (0..20).map(|n| (partition as u64, Timestamp(n * 1000 + partition))).collect::<Vec<_>>()
    };
    let partitions = vec![records(0), records(1), Vec::new(), records(3)];
    let running = Job::new("idle")
        .spawn(move |flow| {
            flow.source("records", Paused::endless(partitions.clone()))
                .source_time(watermarks())
                .key_by(|key| *key)
                .window(Tumbling::of(Duration::from_secs(5)))
                .count()
                .map(|result| result.window.start.0)
                .sink("out", sink.clone());
        })
        .unwrap();
    let begin = Instant::now();
    let fired = results.next_within(within).map(|_| begin.elapsed());
    running.cancel();
    running.wait().unwrap();
    fired
}

#[test]
fn tm_11_an_empty_partition_holds_all_windows_unless_idleness_is_set() {
    assert_eq!(first_firing(Watermarks::monotonous, Duration::from_millis(700)), None);
    let idle_after_300_ms = || Watermarks::monotonous().with_idleness(Duration::from_millis(300));
    let fired =
        first_firing(idle_after_300_ms, Duration::from_secs(30)).expect("the empty partition is idle");
    assert!(fired >= Duration::from_millis(250), "{fired:?} is too soon");
}

#[test]
fn tm_16_event_time_is_where_it_was_after_a_restart_at_any_record() {
    // Each record is older than the one before it or than the watermark nearly allows: were a watermark made anew from what comes after a
    // restart, windows would fire later, or twice.
    let times = [3, 11, 8, 19, 16, 9, 27, 24, 33, 30, 41, 38];
    let records: Vec<(i64, Timestamp)> = times.map(|at| (at, Timestamp(at))).to_vec();
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(10)))
            .key_by(|_| ())
            .window(Sliding::of(Ticks(20)).every(Ticks(10)))
            .sum(|record| *record)
            .map(|result| (result.window.start.0, result.value, result.firing))
            .sink("out", run.sink());
    })
    .are(&[
        (-10, 3 + 8 + 9, Firing::OnTime),
        (0, 3 + 11 + 8 + 19 + 16 + 9, Firing::OnTime),
        (10, 11 + 19 + 16 + 27 + 24, Firing::OnTime),
        (20, 27 + 24 + 33 + 30 + 38, Firing::OnTime),
        (30, 33 + 30 + 41 + 38, Firing::OnTime),
        (40, 41, Firing::OnTime),
    ])
    .late(0);
}
