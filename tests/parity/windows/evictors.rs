//! Elements that are taken out of windows.

use millstream::prelude::*;
use millstream::time::Ticks;
use millstream::window::{CountEvictor, CountTrigger, DeltaEvictor, Evicting, Evictor, TimeEvictor};

use super::{source, timed};
use crate::ways::{Results, every_way};

/// The elements of windows of a hundred ticks as a function sees them.
fn seen<E>(times: &[i64], evictor: impl Fn() -> E + Clone + Send + Sync + 'static) -> Results<Vec<i64>>
where
    E: Evictor<i64>,
{
    let records = timed(&times.iter().map(|at| (*at, *at)).collect::<Vec<_>>());
    every_way(records.len(), move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .window(Tumbling::of(Ticks(100)))
            .evictor(evictor())
            .apply(|_, elements, out| out.emit(elements.iter().copied().collect::<Vec<i64>>()))
            .sink("out", run.sink());
    })
}

#[test]
fn wn_21_what_is_older_than_a_span_is_taken_out() {
    let two = || TimeEvictor::of(Ticks(2), Tick::Millisecond).unwrap();
    seen(&[1, 2, 4, 5], two).are(&[vec![4, 5]]);
    seen(&[1, 2, 3, 5], two).are(&[vec![3, 5]]);
}

#[test]
fn wn_21_all_but_the_last_so_many_are_taken_out() {
    seen(&[1, 2, 3, 4, 5], || CountEvictor::of(2)).are(&[vec![4, 5]]);
}

#[test]
fn wn_21_what_is_far_from_the_last_one_is_taken_out() {
    let near = || DeltaEvictor::of(3.0, |one: &i64, last: &i64| (last - one) as f64);
    seen(&[1, 3, 4, 6], near).are(&[vec![4, 6]]);
}

/// Takes out odd numbers.
struct Odd;

impl Evictor<i64> for Odd {
    fn evict_before(&self, elements: &mut Evicting<'_, i64>) {
        elements.retain(|element| element.value % 2 == 0);
    }
}

#[test]
fn wn_21_an_evictor_can_be_the_programs_own() {
    seen(&[1, 2, 3, 4, 5], || Odd).are(&[vec![2, 4]]);
}

#[test]
fn wn_21_after_the_function_it_is_the_next_firing_that_sees_less() {
    let records = timed(&[(1i64, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]);
    every_way(6, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|_| ())
            .window(Global)
            .trigger(CountTrigger::of(3))
            .evictor(CountEvictor::of(1).after())
            .sum(|number| *number)
            .map(|result| result.value)
            .sink("out", run.sink());
    })
    .are(&[6, 18]);
}

#[test]
fn wn_21_the_plan_says_what_an_evictor_costs() {
    let plan = Job::new("costs").explain(|flow| {
        flow.source("numbers", millstream::io::sequence(0..=9))
            .event_time(Watermarks::monotonous(), |number| *number)
            .key_by(|_| 0u64)
            .window(Tumbling::of(Ticks(10)))
            .evictor(CountEvictor::of(2))
            .count()
            .discard();
    });
    let plan = plan.unwrap();
    assert!(plan.contains("nothing can be aggregated ahead"), "{plan}");
    assert!(plan.contains("every record takes about"), "{plan}");
}
