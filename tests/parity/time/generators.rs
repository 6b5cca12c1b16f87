//! Which watermarks come when, seen by what is late. Windows have one tick: a record is late exactly if the watermark has come to it.

use std::time::Duration;

use millstream::io::{Collection, collect};
use millstream::prelude::*;
use millstream::time::{Ticks, WatermarkGenerator};

use crate::ways::{Paused, Results, every_way};

fn records(times: &[i64]) -> Vec<(u64, Timestamp)> {
    times.iter().enumerate().map(|(n, at)| (n as u64, Timestamp(*at))).collect()
}

/// Counts per tick of the records of one partition.
fn per_tick(watermarks: fn() -> Watermarks, times: &'static [i64]) -> Results<(i64, u64)> {
    every_way(times.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records(times)]))
            .source_time(watermarks())
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(1)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
}

#[test]
fn tm_05_within_an_interval_no_watermark_comes() {
    per_tick(Watermarks::monotonous, &[5, 7, 6, 7]).on_one_shard().are(&[(5, 1), (7, 2)]).late(1);
    let hourly = || Watermarks::monotonous().every(Duration::from_secs(3600));
    per_tick(hourly, &[5, 7, 6, 7]).are(&[(5, 1), (6, 1), (7, 2)]).late(0);
}

#[test]
fn tm_06_a_marker_at_every_third_record() {
    every_way(7, |flow, run| {
        // Watermarks 6, after the third record, and 8, after the sixth; the fourth and the seventh are late.
        flow.source("records", run.timed(vec![records(&[5, 7, 6, 6, 9, 8, 8])]))
            .source_time(Watermarks::monotonous())
            .punctuated(|n| n % 3 == 2)
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(1)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are(&[(5, 1), (6, 1), (7, 1), (8, 1), (9, 1)])
    .late(2);
}

#[test]
fn tm_06_marks_count_in_the_middle_of_a_batch() {
    let late = |marks: fn(&u64) -> bool| {
        let program = move |flow: &Flow| {
            flow.source("records", Collection::timed(records(&[5, 7, 6, 6, 9, 8, 8])))
                .source_time(Watermarks::monotonous())
                .punctuated(marks)
                .key_by(|_| 0u64)
                .window(Tumbling::of(Ticks(1)))
                .count()
                .discard();
        };
        Job::new("marks").run(program).unwrap().metrics.late_records()
    };
    assert_eq!(late(|n| n % 3 == 2), 2);
    assert_eq!(late(|n| *n == 1), 2, "after 7 comes 6, twice");
    assert_eq!(late(|_| false), 0);
}

#[test]
fn tm_06_marks_need_event_time_and_no_interval() {
    let problem = |program: fn(&Flow)| Job::new("marks").run(program).unwrap_err().to_string();
    let untimed = problem(|flow| {
        flow.source("records", Collection::of([1u64])).punctuated(|_| true).discard();
    });
    assert!(untimed.contains("`records`") && untimed.contains("call .event_time(..) before it"), "{untimed}");
    let both = problem(|flow| {
        flow.source("records", Collection::of([1u64]))
            .source_time(Watermarks::monotonous().every(Duration::from_secs(1)))
            .punctuated(|_| true)
            .discard();
    });
    assert!(both.contains("choose one"), "{both}");
}

#[test]
fn tm_08_a_source_says_its_own_watermarks() {
    every_way(5, |flow, run| {
        // After 7 the source says that it has come to 7: the next record is late, the one after it is not.
        let says = |n: &u64| (*n == 1).then_some(Timestamp(7));
        flow.source("records", run.timed(vec![records(&[5, 7, 6, 8, 10])]).saying(says))
            .source_time(Watermarks::from_source())
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(1)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are(&[(5, 1), (7, 1), (8, 1), (10, 1)])
    .late(1);
}

#[test]
fn tm_15_the_bound_adapts_to_the_disorder() {
    // Records are up to 20 ticks out of order. With 100 of them seen, the bound comes down from a million to that.
    let disordered = |flow: &Flow, sink: millstream::io::CollectRecords<i64>| {
        let times: Vec<i64> = (0..3_000).map(|n| n * 10 - if n % 4 == 3 { 20 } else { 0 }).collect();
        flow.source("records", Paused::endless(vec![records(&times)]))
            .source_time(Watermarks::adaptive_bound(0.99, Ticks(1_000_000)))
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(1_000)))
            .count()
            .map(|result| result.window.end.0)
            .sink("out", sink);
    };
    let (sink, results) = collect::<i64>();
    let sink = std::sync::Mutex::new(sink);
    let job = Job::new("adaptive").spawn(move |flow| disordered(flow, sink.lock().unwrap().clone())).unwrap();
    // The source does not end: what fires does so by the watermark, which trails 29,980 by less than a window.
    let fired = std::iter::from_fn(|| results.next_within(Duration::from_secs(30)));
    assert_eq!(fired.take(29).last(), Some(29_000));
    assert_eq!(job.metrics().late_records(), 0);
    job.cancel();
    job.wait().unwrap();
}

/// Says what the last record says, whether that goes back or not.
struct AsTheLast(Timestamp);

impl WatermarkGenerator for AsTheLast {
    fn on_record(&mut self, at: Timestamp) {
        self.0 = at;
    }
    fn watermark(&self) -> Timestamp {
        self.0
    }
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.0.to_le_bytes());
    }
    fn restore(&mut self, saved: &[u8]) {
        self.0 = Timestamp(i64::from_le_bytes(saved.try_into().unwrap()));
    }
}

#[test]
fn tm_02_a_generator_that_goes_back_is_counted_and_event_time_does_not_go_back() {
    let custom = || Watermarks::custom(|| AsTheLast(Timestamp::MIN));
    per_tick(custom, &[5, 9, 7, 9, 10]).on_one_shard().are(&[(5, 1), (9, 1), (10, 1)]).late(2);
    let program = |flow: &Flow| {
        // One record at a time.
        let source = Paused::of(vec![records(&[5, 9, 7, 8, 3, 12])]);
        let custom = Watermarks::custom(|| AsTheLast(Timestamp::MIN));
        flow.source("records", source).source_time(custom).discard();
    };
    let summary = Job::new("regressions").run(program).unwrap();
    assert_eq!(summary.metrics.watermark_regressions(), 2);
}
