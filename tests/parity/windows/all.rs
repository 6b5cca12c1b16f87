//! Windows of a whole stream.

use millstream::prelude::*;
use millstream::time::Ticks;

use super::{source, timed};
use crate::ways::every_way;

#[test]
fn wn_08_a_window_of_all_keys_has_one_result() {
    let records = timed(&(1..=100).map(|number| (number, number)).collect::<Vec<(i64, i64)>>());
    every_way(100, move |flow, run| {
        source(flow, run, "numbers", &records)
            .rebalance()
            .window_all(Tumbling::of(Ticks(1000)))
            .sum(|number| *number)
            .map(|result| result.value)
            .sink("out", run.sink());
    })
    .are(&[5050]);
}

#[test]
fn wn_08_the_plan_shows_where_all_records_meet() {
    let plan = Job::new("funnel").explain(|flow| {
        flow.source("numbers", millstream::io::sequence(0..=9))
            .event_time(Watermarks::monotonous(), |number| *number)
            .window_all(Tumbling::of(Ticks(10)))
            .count()
            .discard();
    });
    let plan = plan.unwrap();
    assert!(plan.contains("--HASH, ONE SHARD--> window_count"), "{plan}");
}

#[test]
fn wn_08_wn_18_keys_can_be_aggregated_before_all_of_them_are() {
    let records = timed(&(0..60).map(|number| (number, number)).collect::<Vec<(i64, i64)>>());
    every_way(60, move |flow, run| {
        source(flow, run, "numbers", &records)
            .key_by(|number| number % 7)
            .window(Tumbling::of(Ticks(20)))
            .max(|number| *number)
            .name("most of each key")
            .map(|result| result.value)
            .window_all(Tumbling::of(Ticks(20)))
            .max(|most| *most)
            .map(|result| (result.window.start.0, result.value))
            .sink("out", run.sink());
    })
    .are(&[(0, 19), (20, 39), (40, 59)]);
}
