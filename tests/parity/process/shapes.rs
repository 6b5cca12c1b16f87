//! The eight shapes of process functions: by keys or without, of one stream, of two, of windows and of joins.

use millstream::operator::{
    BroadcastContext, BroadcastMap, BroadcastMaps, BroadcastProcess, BroadcastReadContext, CoProcess,
    Elements, JoinContext, KeyedBroadcastProcess, KeyedCoProcess, KeyedContext, KeyedProcess, Process,
    ProcessContext, ProcessJoin, ProcessWindow, ProcessWindowContext, States,
};
use millstream::prelude::*;
use millstream::time::Ticks;

use crate::ways::{Run, every_way};

/// What each function of these tests gives out: who it is, and what it was given.
type Said = (String, i64);

fn said(who: &str, what: i64) -> Said {
    (who.to_owned(), what)
}

fn numbers(run: &Run<Said>, numbers: &[i64]) -> impl Source<Item = i64> + use<> {
    run.timed(vec![numbers.iter().map(|at| (*at, Timestamp(*at))).collect()])
}

/// A function of every shape.
#[derive(Default)]
struct Everything {
    limits: BroadcastMap<i64, i64>,
}

impl Process<i64> for Everything {
    type Out = Said;

    fn process(&mut self, number: &i64, ctx: &mut ProcessContext<'_, Said>) {
        assert_eq!(ctx.timestamp(), Some(Timestamp(*number)));
        ctx.emit(said("process", *number));
    }
}

impl KeyedProcess<i64, u64> for Everything {
    type Out = Said;

    fn process(&mut self, number: &i64, ctx: &mut KeyedContext<'_, u64, Said>) {
        let what = ctx.key() as i64 + number;
        ctx.emit(said("keyed", what));
    }
}

impl CoProcess<i64, i64> for Everything {
    type Out = Said;

    fn first(&mut self, number: &i64, ctx: &mut ProcessContext<'_, Said>) {
        ctx.emit(said("first", *number));
    }

    fn second(&mut self, number: &i64, ctx: &mut ProcessContext<'_, Said>) {
        ctx.emit(said("second", *number));
    }
}

impl KeyedCoProcess<i64, i64, u64> for Everything {
    type Out = Said;

    fn first(&mut self, number: &i64, ctx: &mut KeyedContext<'_, u64, Said>) {
        ctx.emit(said("first", *number));
    }

    fn second(&mut self, number: &i64, ctx: &mut KeyedContext<'_, u64, Said>) {
        ctx.emit(said("second", *number));
    }
}

impl<K: millstream::key::Key> ProcessWindow<i64, K> for Everything {
    type Out = Said;

    fn process(&mut self, elements: Elements<'_, i64>, ctx: &mut ProcessWindowContext<'_, K, Said>) {
        let sum: i64 = elements.iter().sum();
        let start = ctx.window().start.0;
        ctx.emit(said(&format!("window {start}"), sum));
    }
}

impl ProcessJoin<i64, i64, u64> for Everything {
    type Out = Said;

    fn process(&mut self, left: &i64, right: &i64, ctx: &mut JoinContext<'_, u64, Said>) {
        ctx.emit(said(&format!("join {left}"), *right));
    }
}

impl BroadcastProcess<i64, (i64, i64)> for Everything {
    type Out = Said;

    fn open(&mut self, maps: &mut BroadcastMaps<'_, '_>) {
        self.limits = maps.map("limits");
    }

    fn process(&mut self, number: &i64, ctx: &mut BroadcastReadContext<'_, Said>) {
        let limit = ctx.look_up(&self.limits, number);
        let mut entries = 0;
        ctx.each_of(&self.limits, |_, _| entries += 1);
        assert_eq!(limit.is_some(), entries > 0);
        ctx.emit(said("record", *number));
    }

    fn broadcast(&mut self, limit: &View<(i64, i64)>, ctx: &mut BroadcastContext<'_, (), Said>) {
        ctx.put(&self.limits, &limit.0, &limit.1);
        assert_eq!(ctx.look_up(&self.limits, &limit.0), Some(limit.1));
    }
}

impl KeyedBroadcastProcess<i64, i64, u64> for Everything {
    type Out = Said;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.limits = states.broadcast_map("limits");
    }

    fn process(&mut self, number: &i64, ctx: &mut KeyedContext<'_, u64, Said>) {
        ctx.emit(said("keyed", *number));
    }

    fn broadcast(&mut self, limit: &i64, ctx: &mut BroadcastContext<'_, u64, Said>) {
        ctx.put(&self.limits, limit, limit);
    }
}

#[test]
fn pf_01_process_and_keyed_process() {
    every_way(2, |flow, run| {
        let numbers = flow.source("numbers", numbers(run, &[1, 2])).source_time(Watermarks::monotonous());
        let plain = numbers.process(Everything::default());
        plain.sink("out", run.sink());
    })
    .are(&[said("process", 1), said("process", 2)]);
    every_way(2, |flow, run| {
        flow.source("numbers", numbers(run, &[1, 2]))
            .key_by(|_| 7u64)
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are(&[said("keyed", 8), said("keyed", 9)]);
}

#[test]
fn pf_01_co_process_by_keys_and_without() {
    every_way(1, |flow, run| {
        let (left, right) =
            (flow.source("left", numbers(run, &[1])), flow.source("right", numbers(run, &[2])));
        left.connect(right).process(Everything::default()).sink("out", run.sink());
    })
    .are_in_any_order(&[said("first", 1), said("second", 2)]);
    every_way(1, |flow, run| {
        let keyed = |name: &str, of: &[i64]| flow.source(name, numbers(run, of)).key_by(|_| 7u64);
        keyed("left", &[1])
            .connect(keyed("right", &[2]))
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are_in_any_order(&[said("first", 1), said("second", 2)]);
}

#[test]
fn pf_01_pf_09_process_window_and_process_all_window_see_all_elements_at_once() {
    every_way(3, |flow, run| {
        let numbers = flow.source("numbers", numbers(run, &[1, 2, 11]));
        let windows = numbers.source_time(Watermarks::monotonous()).key_by(|_| 7u64);
        windows.window(Tumbling::of(Ticks(10))).process(Everything::default()).sink("out", run.sink());
    })
    .are(&[said("window 0", 3), said("window 10", 11)]);
    every_way(3, |flow, run| {
        flow.source("numbers", numbers(run, &[1, 2, 11]))
            .source_time(Watermarks::monotonous())
            .window_all(Tumbling::of(Ticks(10)))
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are(&[said("window 0", 3), said("window 10", 11)]);
}

#[test]
fn pf_01_process_join() {
    every_way(1, |flow, run| {
        let keyed = |name: &str, of: &[i64]| {
            let numbers = flow.source(name, numbers(run, of));
            numbers.source_time(Watermarks::monotonous()).key_by(|_| 7u64)
        };
        keyed("left", &[1])
            .interval_join(keyed("right", &[2]), Ticks(0), Ticks(1))
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are(&[said("join 1", 2)]);
}

#[test]
fn pf_01_broadcast_process_by_keys_and_without() {
    every_way(2, |flow, run| {
        let limits = flow.source("limits", run.source([(3i64, 30i64)])).broadcast();
        flow.source("numbers", numbers(run, &[3, 3]))
            .connect_broadcast(limits)
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are(&[said("record", 3), said("record", 3)]);
    every_way(2, |flow, run| {
        let limits = flow.source("limits", numbers(run, &[3])).broadcast();
        flow.source("numbers", numbers(run, &[1, 2]))
            .key_by(|_| 7u64)
            .connect_broadcast(limits)
            .process(Everything::default())
            .sink("out", run.sink());
    })
    .are(&[said("keyed", 1), said("keyed", 2)]);
}
