//! Functions of whole windows, and what they keep.

use millstream::operator::{Elements, PerKey, PerWindow, ProcessWindow, ProcessWindowContext, WindowStates};
use millstream::prelude::*;
use millstream::time::Ticks;

use super::{source, timed};
use crate::ways::every_way;

#[test]
fn wn_11_wn_13_an_aggregate_and_a_function_of_the_elements_agree() {
    let records = timed(&[(3i64, 0), (4, 5), (5, 9), (6, 10), (7, 25)]);
    let expected = [(0, 12), (10, 6), (20, 7)];
    let sums = records.clone();
    every_way(5, move |flow, run| {
        source(flow, run, "numbers", &sums)
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(10)))
            .sum(|number| *number)
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&expected);
    every_way(5, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(10)))
            .apply(|window, elements, out| out.emit((window.window().start.0, elements.iter().sum::<i64>())))
            .sink("out", run.sink());
    })
    .are(&expected);
}

/// Numbers the firings of each key, across its windows, and of each window.
#[derive(Default)]
struct Firings {
    of_key: PerKey<u64>,
    of_window: PerWindow<u64>,
    cleared: Option<Tag<i64>>,
}

impl ProcessWindow<i64, u64> for Firings {
    type Out = (i64, u64, u64, usize);

    fn open(&mut self, states: &mut WindowStates<'_, u64>) {
        self.of_key = states.per_key("firings of the key");
        self.of_window = states.per_window("firings of the window");
    }

    fn process(&mut self, elements: Elements<'_, i64>, ctx: &mut ProcessWindowContext<'_, u64, Self::Out>) {
        let of_key = ctx.get(&self.of_key).unwrap_or(0) + 1;
        ctx.set(&self.of_key, of_key);
        let of_window = ctx.get_in_window(&self.of_window).unwrap_or(0) + 1;
        ctx.set_in_window(&self.of_window, of_window);
        ctx.emit((ctx.window().start.0, of_key, of_window, elements.len()));
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, u64, Self::Out>) {
        if let Some(tag) = &self.cleared {
            ctx.side(tag, &ctx.window().start.0);
        }
    }
}

#[test]
fn wn_12_state_of_a_key_outlives_its_windows_and_state_of_a_window_does_not() {
    let records = timed(&[(1i64, 0), (2, 9), (3, 12), (4, 21), (5, 35)]);
    every_way(5, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| 7u64)
            .window(Tumbling::of(Ticks(10)))
            .process(Firings::default())
            .sink("out", run.sink());
    })
    .are(&[(0, 1, 1, 2), (10, 2, 1, 1), (20, 3, 1, 1), (30, 4, 1, 1)]);
}

#[test]
fn wn_12_a_window_that_fires_again_finds_what_it_kept() {
    // The watermark is 11 when 5 comes.
    let records = timed(&[(1i64, 0), (2, 12), (3, 5), (4, 40)]);
    every_way(4, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| 7u64)
            .window(Tumbling::of(Ticks(10)))
            .allowed_lateness(Ticks(10))
            .process(Firings::default())
            .sink("out", run.sink());
    })
    .on_one_shard()
    .are(&[(0, 1, 1, 1), (0, 2, 2, 2), (10, 3, 1, 1), (40, 4, 1, 1)]);
}

#[test]
fn wn_12_a_window_says_when_it_is_over() {
    let records = timed(&[(1i64, 0), (2, 12)]);
    every_way(2, move |flow, run| {
        let over = flow.tag("over");
        let firings = source(flow, run, "numbers", &records)
            .key_by(|_| 7u64)
            .window(Tumbling::of(Ticks(10)))
            .process(Firings { cleared: Some(over.clone()), ..Firings::default() });
        let over = firings.side_output(&over).map(|start| (*start, false));
        firings
            .map(|(start, ..)| (start, true))
            .union(over)
            .map(|pair| (pair.0, pair.1))
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(0, true), (0, false), (10, true), (10, false)]);
}

/// The sum of the window, and how many windows of the key there were before.
#[derive(Default)]
struct Before(PerKey<u64>);

impl ProcessWindow<i64, u64> for Before {
    type Out = (i64, u64);

    fn open(&mut self, states: &mut WindowStates<'_, u64>) {
        self.0 = states.per_key("windows");
    }

    fn process(&mut self, sum: Elements<'_, i64>, ctx: &mut ProcessWindowContext<'_, u64, (i64, u64)>) {
        let before = ctx.get(&self.0).unwrap_or(0);
        ctx.set(&self.0, before + 1);
        sum.iter().for_each(|sum| ctx.emit((*sum, before)));
    }
}

/// A sum.
struct Sum;

impl Aggregate<i64> for Sum {
    type Acc = i64;
    type Out = i64;

    fn create(&self) -> i64 {
        0
    }
    fn add(&self, acc: &mut i64, number: &i64) {
        *acc += number;
    }
    fn merge(&self, acc: &mut i64, other: &i64) {
        *acc += other;
    }
    fn result(&self, acc: i64) -> i64 {
        acc
    }
}

#[test]
fn wn_11_wn_12_an_aggregate_is_one_element_of_a_function_with_state() {
    let records = timed(&[(1i64, 0), (2, 5), (3, 12), (4, 40)]);
    every_way(4, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| 7u64)
            .window(Session::gap(Ticks(10)))
            .aggregate_process(Sum, Before::default())
            .sink("out", run.sink());
    })
    .are(&[(6, 0), (4, 1)]);
}
