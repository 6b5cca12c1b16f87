//! Closures that panic in the middle of a keyed operator: the error names the operator, the key and the event time.

use millstream::operator::{KeyedContext, KeyedProcess, Timer};
use millstream::prelude::*;
use millstream::time::Ticks;

type Reading = (String, i64);

/// Readings of `ada`, and one of `grace` that nobody can handle.
fn readings(flow: &Flow) -> millstream::stream::Keyed<Reading, String> {
    named(flow, "readings")
}

fn named(flow: &Flow, source: &str) -> millstream::stream::Keyed<Reading, String> {
    let readings = [("ada", 1), ("ada", 2), ("grace", 13), ("ada", 14)];
    let readings: Vec<Reading> = readings.map(|(who, at)| (who.to_owned(), at)).to_vec();
    flow.source(source, millstream::io::Collection::of(readings))
        .event_time(Watermarks::monotonous(), |reading| reading.1)
        .key_by(|reading| reading.0.clone())
}

#[track_caller]
fn fails_with(words: &[&str], program: impl Fn(&Flow) + Send + Sync + 'static) {
    let job = Job::new("panics").shards(1).restart(RestartStrategy::None);
    let error = job.run(program).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is missing: {error}");
    }
}

#[test]
fn a_fold_that_panics_names_the_key() {
    fails_with(&["operator `fold`", "key \"grace\"", "event time 13", "no 13, please"], |flow| {
        readings(flow)
            .fold(0, |sum, reading| {
                assert!(reading.1 != 13, "no 13, please");
                *sum += reading.1;
            })
            .discard();
    });
}

/// Panics in a timer.
struct Fuse;

impl KeyedProcess<Reading, String> for Fuse {
    type Out = i64;

    fn process(&mut self, reading: &View<Reading>, ctx: &mut KeyedContext<'_, String, i64>) {
        ctx.register_event_timer(Timestamp(reading.1 + 100));
    }

    fn on_timer(&mut self, timer: Timer<'_>, _: &mut KeyedContext<'_, String, i64>) {
        assert!(timer.at != Timestamp(113), "boom");
    }
}

#[test]
fn a_timer_that_panics_names_the_key() {
    fails_with(&["operator `process`", "key \"grace\"", "boom"], |flow| {
        readings(flow).process(Fuse).discard()
    });
}

#[test]
fn a_window_that_panics_names_the_key() {
    fails_with(&["operator `window_apply`", "key \"grace\"", "an empty mean"], |flow| {
        readings(flow)
            .window(Session::gap(Ticks(5)))
            .apply(|window, _, out: &mut millstream::operator::Out<i64>| {
                assert!(window.key() != "grace", "an empty mean");
                out.emit(0);
            })
            .discard();
    });
    fails_with(&["operator `window_aggregate`", "key \"grace\"", "an empty mean"], |flow| {
        readings(flow)
            .window(Tumbling::of(Ticks(5)))
            .aggregate_with(Sum, |window, sum, out: &mut millstream::operator::Out<i64>| {
                assert!(window.key() != "grace", "an empty mean");
                out.emit(sum);
            })
            .discard();
    });
}

/// Adds readings up.
struct Sum;

impl millstream::window::Aggregate<Reading> for Sum {
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }
    fn add(&self, sum: &mut i64, reading: &View<Reading>) {
        *sum += reading.1;
    }
    fn merge(&self, sum: &mut i64, other: &i64) {
        *sum += other;
    }
    fn result(&self, sum: i64) -> i64 {
        sum
    }
}

#[test]
fn a_join_that_panics_names_the_key() {
    fails_with(&["operator `interval_join`", "key \"grace\"", "event time 13", "not with herself"], |flow| {
        let other = named(flow, "other readings");
        readings(flow)
            .interval_join(other, Ticks(0), Ticks(0))
            .join(|left, right| {
                assert!(left.0 != "grace" || right.0 != "grace", "not with herself");
                0
            })
            .discard();
    });
}
