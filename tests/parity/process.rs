//! Process functions: state, timers and clocks per key.

mod broadcast;
mod connected;
mod overdue;
mod shapes;

use millstream::operator::{KeyedContext, KeyedProcess, NamedTimer, States, Timer, ValueState};
use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::{Results, every_way};

/// What a record of these tests asks for.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
struct Ask {
    key: u64,
    /// Register a timer at this time.
    register: i64,
    /// Delete the one at this time.
    delete: i64,
}

const NO: i64 = i64::MIN;

fn register(key: u64, at: i64) -> Ask {
    Ask { key, register: at, delete: NO }
}

fn delete(key: u64, at: i64) -> Ask {
    Ask { key, register: NO, delete: at }
}

/// Does what records ask for, and gives out each timer that fires, with the watermark at which it did.
struct Timers;

impl KeyedProcess<Ask, u64> for Timers {
    type Out = (u64, i64);

    fn process(&mut self, ask: &View<Ask>, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        if ask.register() != NO {
            ctx.register_event_timer(Timestamp(ask.register()));
        }
        if ask.delete() != NO {
            ctx.delete_event_timer(Timestamp(ask.delete()));
        }
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        assert!(ctx.watermark() >= Some(timer.at), "a timer fires when its time has come");
        assert_eq!(ctx.timestamp(), Some(timer.at));
        ctx.emit((ctx.key(), timer.at.0));
    }
}

fn timers(records: &[(Ask, i64)]) -> Results<(u64, i64)> {
    let records: Vec<(Ask, Timestamp)> = records.iter().map(|(ask, at)| (*ask, Timestamp(*at))).collect();
    every_way(records.len(), move |flow, run| {
        flow.source("asks", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|ask| ask.key)
            .process(Timers)
            .sink("out", run.sink());
    })
}

#[test]
fn pf_03_a_timer_that_is_registered_again_fires_once() {
    let asks =
        [(register(1, 1000), 0), (register(1, 1000), 1), (register(1, 2000), 2), (register(1, 1000), 3)];
    timers(&asks).are(&[(1, 1000), (1, 2000)]);
}

#[test]
fn pf_04_timers_fire_in_the_order_of_their_times() {
    let asks = [(register(1, 30), 0), (register(1, 10), 1), (register(1, 20), 2), (register(1, 50), 40)];
    timers(&asks).are(&[(1, 10), (1, 20), (1, 30), (1, 50)]);
}

#[test]
fn pf_05_a_deleted_timer_does_not_fire_and_an_unknown_one_is_no_error() {
    let asks = [(register(1, 1000), 0), (delete(1, 999), 1), (register(1, 2000), 2), (delete(1, 1000), 3)];
    timers(&asks).are(&[(1, 2000)]);
}

#[test]
fn pf_08_a_timer_for_the_past_fires_at_the_next_watermark() {
    timers(&[(register(1, 500), 100), (register(1, 50), 200), (delete(1, 0), 300)]).are(&[(1, 50), (1, 500)]);
}

/// Counts the records of a key until it has been silent for ten ticks.
#[derive(Default)]
struct Sessions {
    count: ValueState<u64>,
    silent: NamedTimer,
}

impl KeyedProcess<u64, u64> for Sessions {
    type Out = (u64, u64, i64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.count = states.value("count");
        self.silent = states.event_timer("silent");
    }

    fn process(&mut self, _: &u64, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let count = ctx.get(&self.count).unwrap_or(0);
        ctx.set(&self.count, count + 1);
        let at = ctx.timestamp().unwrap();
        ctx.reset(self.silent, Timestamp(at.0 + 10));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        assert_eq!(timer.name, Some("silent"));
        let count = ctx.take(&self.count).unwrap();
        ctx.emit((ctx.key(), count, timer.at.0));
    }
}

#[test]
fn pf_01_state_and_a_timer_that_replaces_make_sessions() {
    let records = [(1u64, 0), (2, 3), (1, 5), (1, 14), (2, 13), (3, 28), (1, 30), (2, 40)]
        .map(|(key, at)| (key, Timestamp(at)))
        .to_vec();
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(2)))
            .key_by(|key| *key)
            .process(Sessions::default())
            .sink("out", run.sink());
    })
    // Over several shards a record may overtake the watermark of another one: which of two sessions it belongs to is open then.
    .on_one_shard()
    .are_in_any_order(&[(1, 3, 24), (2, 2, 23), (3, 1, 38), (1, 1, 40), (2, 1, 50)]);
}

/// Gives out what it sees of the watermark.
struct Watermark;

impl KeyedProcess<u64, ()> for Watermark {
    type Out = Option<i64>;

    fn process(&mut self, _: &u64, ctx: &mut KeyedContext<'_, (), Option<i64>>) {
        let watermark = ctx.watermark();
        ctx.emit(watermark.map(|at| at.0));
    }
}

#[test]
fn pf_10_there_is_no_watermark_before_the_first() {
    let records: Vec<(u64, Timestamp)> = [(1, Timestamp(7)), (2, Timestamp(9))].to_vec();
    every_way(2, move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|_| ())
            .process(Watermark)
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are(&[None, Some(6)]);
}

/// Odd numbers go beside.
struct Odd(Tag<i64>);

impl KeyedProcess<i64, ()> for Odd {
    type Out = i64;

    fn process(&mut self, number: &i64, ctx: &mut KeyedContext<'_, (), i64>) {
        match number % 2 {
            0 => ctx.emit(*number),
            _ => ctx.side(&self.0, number),
        }
    }
}

#[test]
fn tr_10_side_outputs_have_a_type_of_their_own() {
    every_way(6, |flow, run| {
        let odd = flow.tag("odd");
        let even = flow.source("numbers", run.source(1i64..=6)).key_by(|_| ()).process(Odd(odd.clone()));
        let beside = even.side_output(&odd).map(|number| format!("odd {number}"));
        even.map(|number| format!("even {number}"))
            .union(beside)
            .map(|text| text.to_owned())
            .sink("out", run.sink());
    })
    .are_in_any_order(&["even 2", "even 4", "even 6", "odd 1", "odd 3", "odd 5"].map(str::to_owned));
}

/// Sets a timer for each record, in the second that follows, and counts those that fire.
struct Crowd;

impl KeyedProcess<i64, i64> for Crowd {
    type Out = i64;

    fn process(&mut self, record: &i64, ctx: &mut KeyedContext<'_, i64, i64>) {
        ctx.register_event_timer(Timestamp(1_000 + record / 1_000));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, i64, i64>) {
        ctx.emit(timer.at.0);
    }
}

#[test]
fn pf_07_a_million_timers_of_one_second_all_fire() {
    for shards in [1, 2] {
        let (sink, results) = millstream::io::collect::<(i64, u64)>();
        let sink = std::sync::Mutex::new(sink);
        let job = Job::new("crowd").shards(shards).oversubscribe(true);
        job.run(move |flow| {
            flow.source("records", millstream::io::sequence(0..=999_999))
                .event_time(Watermarks::monotonous(), |_| 0)
                .key_by(|record| record % 1_000)
                .process(Crowd)
                .key_by(|at| *at)
                .window(Tumbling::of(Ticks(1_000)))
                .count()
                .map(|result| (result.key, result.value))
                .sink("out", sink.lock().unwrap().clone());
        })
        .unwrap();
        let mut counts: Vec<(i64, u64)> = results.into_iter().collect();
        counts.sort_unstable();
        let expected: Vec<(i64, u64)> = (1_000..2_000).map(|at| (at, 1_000)).collect();
        assert_eq!(counts, expected);
    }
}
