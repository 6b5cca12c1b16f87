//! When windows fire.

use millstream::prelude::*;
use millstream::time::Ticks;
use millstream::window::{
    ContinuousEventTimeTrigger, CountTrigger, DeltaTrigger, NeverTrigger, PurgingTrigger, Trigger,
    TriggerContext, TriggerResult,
};

use super::{source, timed};
use crate::ways::{Results, every_way};

/// Fires with every third record, and at the end of the window.
struct ThreeOrEnd;

impl Trigger<i64> for ThreeOrEnd {
    type State = u64;

    fn on_element(&self, _: &i64, ctx: &mut TriggerContext<'_, u64>) -> TriggerResult {
        ctx.register_event_timer(ctx.window().max_timestamp());
        *ctx.state_mut() += 1;
        if *ctx.state() == 3 { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, u64>) -> TriggerResult {
        if at == ctx.window().max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
    }
}

/// The firings of windows of ten ticks of one key: start, sum, and kind.
fn sums<G>(
    times: &[i64],
    trigger: impl Fn() -> G + Clone + Send + Sync + 'static,
) -> Results<(i64, i64, Firing)>
where
    G: Trigger<i64>,
{
    let records = timed(&times.iter().map(|at| (*at, *at)).collect::<Vec<_>>());
    every_way(records.len(), move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(10)))
            .trigger(trigger())
            .sum(|number| *number)
            .map(|result| (result.window.start.0, result.value, result.firing))
            .sink("out", run.sink());
    })
}

#[test]
fn wn_19_a_trigger_of_the_programs_own_fires_early_and_at_the_end() {
    sums(&[1, 2, 3, 4, 12], || ThreeOrEnd).are(&[
        (0, 6, Firing::Early),
        (0, 10, Firing::OnTime),
        (10, 12, Firing::OnTime),
    ]);
}

#[test]
fn wn_19_what_is_purged_is_gone() {
    sums(&[1, 2, 3, 4, 12], || PurgingTrigger::of(ThreeOrEnd)).are(&[
        (0, 6, Firing::Early),
        (0, 4, Firing::OnTime),
        (10, 12, Firing::OnTime),
    ]);
}

#[test]
fn wn_20_a_count_takes_the_place_of_the_end_of_the_window() {
    sums(&[1, 2, 12, 13, 14, 22], || CountTrigger::of(3)).are(&[(10, 39, Firing::Early)]);
}

#[test]
fn wn_20_a_count_can_have_the_end_of_the_window_beside_it() {
    sums(&[1, 2, 12, 13, 14, 15], || CountTrigger::of(3).or_end_of_window()).are(&[
        (0, 3, Firing::OnTime),
        (10, 39, Firing::Early),
        (10, 54, Firing::OnTime),
    ]);
}

#[test]
fn wn_20_event_time_can_fire_a_window_again_and_again() {
    let every_four = || ContinuousEventTimeTrigger::of(Ticks(4), Tick::Millisecond).unwrap();
    sums(&[1, 2, 5, 6, 9, 12], every_four).on_one_shard().are(&[
        (0, 8, Firing::Early),
        (0, 23, Firing::Early),
        (0, 23, Firing::OnTime),
        (10, 12, Firing::Early),
        (10, 12, Firing::OnTime),
    ]);
}

#[test]
fn wn_20_a_distance_can_fire_a_window() {
    let far = || DeltaTrigger::of(3.0, |old: &i64, new: &i64| (new - old) as f64);
    sums(&[1, 3, 5, 6, 9], far).are(&[(0, 9, Firing::Early), (0, 24, Firing::Early)]);
}

#[test]
fn wn_20_never_is_never() {
    sums(&[1, 2, 12], || NeverTrigger).are(&[]);
}

#[test]
fn wn_05_the_global_window_fires_where_a_trigger_says_so() {
    let records = timed(&[(1i64, 1), (2, 50), (3, 2), (4, 1_000_000)]);
    every_way(records.len(), move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .window(Global)
            .trigger(CountTrigger::of(2))
            .sum(|number| *number)
            .map(|result| result.value)
            .sink("out", run.sink());
    })
    .are(&[3, 10])
    .late(0);
}
