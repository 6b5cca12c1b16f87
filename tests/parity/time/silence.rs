//! Sources that fall silent, come back, or run ahead; and what the job says of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::prelude::*;
use millstream::time::Ticks;

use super::fed::{Fed, Stepped, until};
use crate::ways::Paused;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Counts per 100 ticks of what is fed to two partitions on two shards.
fn counts(watermarks: fn() -> Watermarks) -> (Fed, Stepped<(i64, u64)>) {
    let fed = Fed::new(2);
    let source = fed.clone();
    let job = Stepped::start(2, move |flow, sink| {
        flow.source("fed", source.clone())
            .source_time(watermarks())
            .key_by(|key| *key)
            .window(Tumbling::of(Ticks(100)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", sink);
    });
    (fed, job)
}

fn idle_after_a_second() -> Watermarks {
    Watermarks::monotonous().with_idleness(ms(1_000))
}

#[test]
fn tm_12_the_last_windows_close_with_the_clock_if_that_is_asked_for() {
    let (fed, job) = counts(|| idle_after_a_second().advance_on_idle());
    fed.feed(0, 1, 50);
    fed.feed(1, 1, 60);
    job.until_watermark("window_count", 49);
    // Both are idle: event time is at 59 and goes on from there.
    job.clock.set(ms(1_000));
    job.nothing();
    job.clock.advance(ms(39));
    job.nothing();
    job.clock.advance(ms(30));
    assert_eq!(job.next(), (0, 2));
    // What comes then may be late, and is not waited for otherwise.
    fed.feed(0, 1, 20);
    until("it is late", || job.running.metrics().late_records() == 1);
    job.stop();
}

#[test]
fn tm_11_a_shard_without_a_partition_does_not_hold_back_what_is_forked_from_the_source() {
    let fed = Fed::new(1);
    let source = fed.clone();
    let job = Stepped::start(2, move |flow, sink| {
        let (one, other) = flow.source("fed", source.clone()).source_time(Watermarks::monotonous()).fork();
        other.discard();
        one.key_by(|key| *key)
            .window(Tumbling::of(Ticks(100)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", sink);
    });
    fed.feed(0, 1, 50);
    fed.feed(0, 1, 100);
    assert_eq!(job.next(), (0, 1));
    job.stop();
}

#[test]
fn tm_12_without_it_they_stay_open() {
    let (fed, job) = counts(idle_after_a_second);
    fed.feed(0, 1, 50);
    fed.feed(1, 1, 60);
    job.clock.set(ms(1_000));
    job.until_watermark("window_count", 59);
    job.clock.set(ms(3_600_000));
    job.nothing();
    let why = job.running.why_waiting("window_count").unwrap();
    assert!(why.iter().all(|why| why.to_string().contains("everything that feeds it is idle")), "{why:?}");
    job.stop();
}

#[test]
fn tm_13_what_is_late_after_idleness_is_counted() {
    let (fed, job) = counts(idle_after_a_second);
    fed.feed(0, 1, 101);
    job.clock.set(ms(999));
    fed.feed(0, 2, 101);
    // The other partition has never said anything, and is idle now.
    job.clock.set(ms(1_000));
    job.until_watermark("window_count", 100);
    fed.feed(1, 1, 50);
    until("it is late", || job.running.metrics().late_after_idle() == 1);
    assert_eq!(job.running.metrics().late_records(), 1);
    assert_eq!(job.watermarks("window_count"), [100, 100]);
    // What the one that was there all the time brings late is late for another reason.
    fed.feed(0, 1, 40);
    until("it is late", || job.running.metrics().late_records() == 2);
    assert_eq!(job.running.metrics().late_after_idle(), 1);
    job.stop();
}

#[test]
fn tm_11_the_partition_that_holds_event_time_is_named() {
    let (fed, job) = counts(Watermarks::monotonous);
    fed.feed(0, 1, 5_000);
    fed.feed(1, 1, 900);
    job.until_watermark("window_count", 899);
    job.clock.set(ms(12_300));
    let sentence = |shard: usize| job.running.why_waiting("window_count").unwrap()[shard].to_string();
    for shard in [0, 1] {
        assert_eq!(
            sentence(shard),
            format!(
                "window_count on shard {shard} stands at 899: partition fed-1 of source fed on shard 1 has been silent for 12.3 s; \
                 .with_idleness(..) would let the others go on"
            )
        );
    }
    // The operators behind the window are part of its chain; a name that does not exist is answered with those that do.
    assert_eq!(job.running.why_waiting("out").unwrap().len(), 2);
    let error = job.running.why_waiting("window").unwrap_err().to_string();
    assert!(error.contains("`window_count`"), "{error}");
    fed.feed(1, 1, 6_000);
    assert_eq!(job.next(), (900, 1));
    job.stop();
}

#[test]
fn tm_14_what_comes_before_a_slow_operator_is_ahead_of_it() {
    const RECORDS: i64 = 10_000;
    let fed = Fed::new(1);
    let source = fed.clone();
    let job: Stepped<u64> = Stepped::start(2, move |flow, sink| {
        let slow_on_the_second_shard = |n: &u64| {
            if std::thread::current().name() == Some("mill-shard-1") {
                std::thread::sleep(Duration::from_micros(200));
            }
            *n
        };
        flow.source("fed", source.clone())
            .source_time(Watermarks::monotonous())
            .rebalance()
            .name("first")
            .owned()
            .rebalance()
            .name("slow")
            .map(slow_on_the_second_shard)
            .rebalance()
            .name("last")
            .owned()
            .sink("out", sink);
    });
    fed.give(0, (1..=RECORDS).map(|at| (at as u64, at)));
    until("the source has given all", || fed.taken(0) == RECORDS as usize);
    until("only from the slow one on, there is lag", || {
        let report = job.running.event_time().unwrap();
        let all = report.operators();
        let lag = |name: &str, shard: u16| {
            let of = all.iter().find(|of| of.operator == name && of.shard.0 == shard);
            of.and_then(|of| of.lag).unwrap_or(0)
        };
        let before = lag("fed", 0) == 0 && lag("first", 0) == 0;
        before && lag("slow", 1) > 0 && lag("last", 1) > 0 && lag("last", 0) > 0
    });
    job.stop();
}

/// Two partitions a tenth of a second apart from record to record: one has them up to 10 s, the other stops at 2 s. How far the first one
/// comes.
fn fast_one_comes_to(shards: u16, watermarks: fn() -> Watermarks) -> (i64, String) {
    let seen = Arc::new(Mutex::new(i64::MIN));
    let furthest = seen.clone();
    let up_to = |seconds: i64| (0..=10 * seconds).map(|n| (n as u64, Timestamp(n * 100))).collect::<Vec<_>>();
    let partitions = vec![up_to(10), up_to(2)];
    let running = Job::new("drift")
        .shards(shards)
        .oversubscribe(true)
        .spawn(move |flow| {
            let furthest = furthest.clone();
            flow.source("records", Paused::endless(partitions.clone())).source_time(watermarks()).for_each(
                move |_, at| {
                    let mut furthest = furthest.lock().unwrap();
                    *furthest = at.0.max(*furthest);
                },
            );
        })
        .unwrap();
    until("it has come to 3 s", || *seen.lock().unwrap() >= 3_000);
    std::thread::sleep(ms(100));
    let why = running.why_waiting("records").unwrap();
    running.cancel();
    running.wait().unwrap();
    let furthest = *seen.lock().unwrap();
    (furthest, why.iter().map(|why| format!("{why}\n")).collect())
}

#[test]
fn tm_17_a_fast_partition_is_paused_within_the_drift() {
    for shards in [1, 2] {
        let aligned = || Watermarks::monotonous().with_max_drift(Duration::from_secs(1));
        let (furthest, why) = fast_one_comes_to(shards, aligned);
        assert_eq!(furthest, 3_000, "on {shards} shards");
        if shards == 2 {
            assert!(why.contains("is paused at 2999, because it is ahead of the others"), "{why}");
        }
        let (furthest, _) = fast_one_comes_to(shards, Watermarks::monotonous);
        assert_eq!(furthest, 10_000);
    }
}

#[test]
fn tm_17_a_partition_that_is_idle_holds_nobody() {
    for shards in [1, 2] {
        let aligned = || {
            Watermarks::monotonous()
                .with_max_drift(Duration::from_secs(1))
                .with_idleness(Duration::from_millis(200))
        };
        let seen = Arc::new(Mutex::new(0));
        let count = seen.clone();
        let up_to = |n: i64| (0..=n).map(|n| (n as u64, Timestamp(n * 100))).collect::<Vec<_>>();
        let partitions = vec![up_to(100), up_to(20)];
        let running = Job::new("drift")
            .shards(shards)
            .oversubscribe(true)
            .spawn(move |flow| {
                let count = count.clone();
                flow.source("records", Paused::endless(partitions.clone()))
                    .source_time(aligned())
                    .for_each(move |_, _| *count.lock().unwrap() += 1);
            })
            .unwrap();
        until("all are read", || *seen.lock().unwrap() == 122);
        running.cancel();
        running.wait().unwrap();
    }
}
