//! Processing time: under a clock that is moved by hand, what depends on it comes out the same each time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::prelude::*;
use millstream::time::{Tick, Ticks, VirtualClock};

use super::fed::{Fed, Stepped, until};
use crate::ways::Paused;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Counts per five seconds of ingestion time, under a clock that is moved by hand: what came out, in order.
fn counts_by_hand(shards: u16) -> Vec<(i64, u64)> {
    let fed = Fed::new(1);
    let source = fed.clone();
    let job = Stepped::start(shards, move |flow, sink| {
        flow.source("fed", source.clone())
            .ingestion_time()
            .key_by(|_| 0u64)
            .window(Tumbling::of(ms(5_000)))
            .count()
            .map(|result| (result.window.start.0, result.value))
            .sink("out", sink);
    });
    job.clock.set(ms(1_000));
    fed.feed(0, 1, 0);
    job.clock.advance(ms(500));
    fed.feed(0, 2, 0);
    job.clock.set(ms(4_999));
    fed.feed(0, 3, 0);
    job.nothing();
    let mut out = Vec::new();
    // No record is needed for the window to close.
    job.clock.set(ms(5_000));
    out.push(job.next());
    fed.feed(0, 4, 0);
    job.clock.set(ms(60_000));
    out.push(job.next());
    job.stop();
    out
}

#[test]
fn tm_01_ingestion_time_is_the_clock_at_the_source() {
    for shards in [1, 2] {
        assert_eq!(counts_by_hand(shards), [(0, 3), (5_000, 1)]);
    }
}

#[test]
fn tm_01_stepped_by_hand_it_comes_out_the_same_each_time() {
    let first = counts_by_hand(1);
    for _ in 0..3 {
        assert_eq!(counts_by_hand(1), first);
    }
}

#[test]
fn tm_01_ingestion_time_is_told_in_ticks_of_the_job() {
    let clock = VirtualClock::new();
    clock.set(Duration::from_nanos(1_234_567));
    let fed = Fed::new(1);
    let source = fed.clone();
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = times.clone();
    let program = move |flow: &Flow| {
        let seen = seen.clone();
        flow.source("fed", source.clone())
            .ingestion_time()
            .for_each(move |_, at| seen.lock().unwrap().push(at.0));
    };
    let running = Job::new("ticks").tick(Tick::Microsecond).clock(clock).spawn(program).unwrap();
    fed.feed(0, 1, 0);
    until("it is seen", || !times.lock().unwrap().is_empty());
    assert_eq!(*times.lock().unwrap(), [1_234]);
    running.cancel();
    running.wait().unwrap();
}

#[test]
fn tm_03_rules_hold_in_ticks_of_a_microsecond() {
    let micros = Duration::from_micros;
    let late = |at: i64| {
        let program = move |flow: &Flow| {
            let records = [1_000, 7_999, 8_000, at].map(|at| (0u64, Timestamp(at)));
            // One record at a time.
            let source = Paused::of(vec![records.to_vec()]);
            flow.source("records", source)
                .source_time(Watermarks::bounded_out_of_orderness(micros(3_000)))
                .key_by(|key| *key)
                .window(Tumbling::of(micros(5_000)))
                .count()
                .discard();
        };
        Job::new("micros").tick(Tick::Microsecond).run(program).unwrap().metrics.late_records()
    };
    // The watermark is 4,999: the window [0 us, 5,000 us) has fired.
    assert_eq!((late(4_999), late(5_000)), (1, 0));
}

#[test]
fn a_length_between_two_ticks_is_refused() {
    let program = |flow: &Flow| {
        flow.source("records", Fed::new(1))
            .source_time(Watermarks::bounded_out_of_orderness(Duration::from_nanos(1_500)))
            .discard();
    };
    let error = Job::new("micros").tick(Tick::Microsecond).run(program).unwrap_err().to_string();
    assert!(error.contains("1500 ns is not a whole number of ticks of 1 us"), "{error}");
    let fine = Job::new("nanos").tick(Tick::Nanosecond).explain(program);
    assert!(fine.is_ok());
}

#[test]
fn a_checkpoint_goes_on_with_its_own_tick_only() {
    let program = |flow: &Flow| {
        flow.source("records", millstream::testing::timed_script(vec![vec![(0u64, Timestamp(1))]]))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Tumbling::of(Ticks(5)))
            .count()
            .discard();
    };
    let state = tempfile::tempdir().unwrap();
    let job = |tick| Job::new("ticks").state_dir(state.path()).tick(tick);
    job(Tick::Microsecond).run(program).unwrap();
    let error = job(Tick::Millisecond).run(program).unwrap_err().to_string();
    assert!(error.contains("then its tick was 1 us, now it is 1 ms"), "{error}");
    assert!(error.contains(".tick(..)"), "{error}");
    job(Tick::Microsecond).run(program).unwrap();
}
