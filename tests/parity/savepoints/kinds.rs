//! Every kind of state, through savepoints.

use std::time::Duration;

use millstream::operator::{
    CheckpointedProcess, KeyedContext, KeyedProcess, ListState, MapState, NamedTimer, OperatorState,
    OperatorStates, ProcessContext, Redistribution, ReducingState, States, Timer, Ttl, ValueState,
};
use millstream::prelude::*;
use millstream::savepoint::{Savepoint, StateKind};
use millstream::schema::Value;
use tempfile::TempDir;

use super::{job, wait_for};
use crate::ways::{Once, Paused, every_way};

/// Keeps what it is given in every way that there is, and tells what it has.
#[derive(Default)]
struct Everything {
    last: ValueState<String>,
    all: ListState<u64>,
    seen: MapState<String, u64>,
    sum: ReducingState<u64>,
    short: ValueState<u64>,
    idle: NamedTimer,
}

impl KeyedProcess<(u64, u64), u64> for Everything {
    type Out = (u64, String);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.last = states.value("last");
        self.all = states.list("all");
        self.seen = states.map("seen");
        self.sum = states.reducing("sum", |sum: &mut u64, n| *sum += n);
        self.short = states.expiring(Ttl::of(Duration::from_millis(20)).by_event_time()).value("short");
        self.idle = states.event_timer("idle");
    }

    fn process(&mut self, record: &View<(u64, u64)>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let (key, n) = <(u64, u64)>::owned(record);
        let before = ctx.get(&self.last);
        ctx.set(&self.last, format!("n{n}"));
        ctx.list(&self.all).add(&n);
        let times = ctx.map(&self.seen).get(&format!("m{}", n % 3)).unwrap_or(0) + 1;
        ctx.map(&self.seen).put(&format!("m{}", n % 3), &times);
        ctx.reducing(&self.sum).add(n);
        let short = ctx.get(&self.short);
        ctx.set(&self.short, n);
        let at = ctx.timestamp().unwrap_or(Timestamp::MIN);
        ctx.register_event_timer(Timestamp(at.0 + 7));
        ctx.reset(self.idle, Timestamp(at.0 + 25));
        let (all, sum) = (ctx.list(&self.all).to_vec(), ctx.reducing(&self.sum).get());
        ctx.emit((key, format!("{before:?} {all:?} {times} {sum:?} {short:?}")));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let (key, name) = (ctx.key(), timer.name.map(str::to_owned));
        ctx.emit((key, format!("{name:?} at {}", timer.at.0)));
    }
}

fn records(count: u64) -> Vec<((u64, u64), Timestamp)> {
    (0..count).map(|nth| ((nth % 3, nth), Timestamp(nth as i64 * 5))).collect()
}

/// The results, and what the model below says of them.
#[test]
fn sv_06_states_and_timers_survive() {
    let all = records(12);
    let straight = Once::new();
    let (given, sink) = (all.clone(), straight.clone());
    job(1)
        .run(move |flow| {
            flow.source("records", Paused::of(vec![given.clone()]))
                .source_time(Watermarks::monotonous())
                .key_by(|record| record.0)
                .process(Everything::default())
                .sink("out", sink.clone());
        })
        .unwrap();
    let expected = straight.results();
    assert_eq!(expected.len(), 12 + 12 + 3, "{expected:?}");
    every_way(all.len(), move |flow, run| {
        flow.source("records", run.timed(vec![all.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|record| record.0)
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are_in_any_order(&expected);
}

#[test]
fn sv_06_windows_in_flight_survive() {
    let times = [0, 4_000, 1_500, 9_000, 5_500, 12_000, 30_000];
    let records: Vec<(u64, Timestamp)> = times.iter().map(|at| (7, Timestamp(*at))).collect();
    let count = records.len();
    every_way(count, move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Duration::from_secs(5)))
            .key_by(|key| *key)
            .window(Sliding::of(Duration::from_secs(10)).every(Duration::from_secs(5)))
            .count()
            .map(|count| (count.window.start.0, count.value))
            .sink("counts", run.sink());
    })
    .are(&[(-5_000, 3), (0, 5), (5_000, 3), (10_000, 1), (25_000, 1), (30_000, 1)]);
}

/// Keeps every number, whatever the key.
#[derive(Default)]
struct Buffer(OperatorState<u64>);

impl CheckpointedProcess<u64> for Buffer {
    type Out = usize;

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        self.0 = states.list("buffer", Redistribution::Split);
    }

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, usize>) {
        self.0.add(*n);
        ctx.emit(self.0.len());
    }
}

/// The savepoint of a job with every kind of state, and the directory that it lies in.
pub fn savepoint_of_every_kind() -> (TempDir, Savepoint) {
    let dir = TempDir::new().unwrap();
    let all = records(6);
    let running = job(2).state_dir(dir.path()).spawn(move |flow| {
        flow.source("records", Paused::endless(vec![all.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|record| record.0)
            .process(Everything::default())
            .name("keeps")
            .discard();
        flow.source("numbers", Paused::endless(vec![vec![(7u64, Timestamp::MIN), (8, Timestamp::MIN)]]))
            .rebalance()
            .process_checkpointed(Buffer::default())
            .name("buffers")
            .discard();
    });
    let running = running.unwrap();
    wait_for(&running, 8);
    let savepoint = Savepoint::open(running.stop_with_savepoint(None, false).unwrap()).unwrap();
    running.wait().unwrap();
    (dir, savepoint)
}

#[test]
fn sv_06_what_there_is_can_be_read() {
    let (_dir, savepoint) = savepoint_of_every_kind();
    let state = |operator: &str, state: &str| savepoint.state(operator, state).unwrap();
    assert_eq!(state("keeps", "last").value.to_string(), "String");
    assert_eq!(state("keeps", "timers of event time").kind, StateKind::Timers);
    let of_key_1 = |state: &str| savepoint.get("keeps", state, &Value::from(1u64)).unwrap();
    assert!(of_key_1("last").len() <= 1);
    let sum: u64 = of_key_1("sum").iter().filter_map(|entry| entry.value.as_u64()).sum();
    let seen: u64 = of_key_1("seen").iter().filter_map(|entry| entry.value.as_u64()).sum();
    let all = of_key_1("all");
    let elements = all.iter().filter_map(|list| list.value.get("last")?.items());
    let list: u64 = elements.map(|elements| elements.len() as u64).sum();
    // What was on its way when the job stopped is not in the states yet.
    assert!(seen == list && list <= 2 && sum <= 5, "{sum} {seen} {list}");
    let timers = of_key_1("timers of event time");
    let buffer = state("buffers", "buffer");
    assert!(buffer.kind == StateKind::Records && buffer.entries <= 2);
    assert!(timers.is_empty() == (list == 0));
    assert!(
        timers.is_empty() || timers.iter().any(|timer| timer.value == Value::from(Some("idle"))),
        "{timers:?}"
    );
}
