//! Windows that merge.

use millstream::prelude::*;
use millstream::time::Ticks;

use super::{source, span, timed};
use crate::ways::{Results, every_way};

type Counted = ((i64, i64), u64, Firing);

/// Counts per session of one key, with this gap and lateness.
fn sessions(bound: i64, gap: i64, lateness: i64, times: &[i64]) -> Results<Counted> {
    let records: Vec<(u64, Timestamp)> = times.iter().map(|at| (7, Timestamp(*at))).collect();
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::bounded_out_of_orderness(Ticks(bound)))
            .key_by(|key| *key)
            .window(Session::gap(Ticks(gap)))
            .allowed_lateness(Ticks(lateness))
            .count()
            .map(|result| (span(result.window), result.value, result.firing))
            .sink("out", run.sink());
    })
}

#[test]
fn wn_04_records_within_the_gap_make_one_session() {
    sessions(0, 10, 0, &[0, 10, 21]).are(&[((0, 20), 2, Firing::OnTime), ((21, 31), 1, Firing::OnTime)]);
}

#[test]
fn wn_04_a_record_can_make_one_session_of_two() {
    sessions(30, 10, 0, &[0, 15, 8]).are(&[((0, 25), 3, Firing::OnTime)]).late(0);
}

#[test]
fn wn_04_each_key_has_sessions_of_its_own() {
    let records = timed(&[(1u64, 0), (2, 5), (1, 8), (2, 14), (1, 40)]);
    every_way(records.len(), move |flow, run| {
        source(flow, run, "records", &records)
            .key_by(|key| *key)
            .window(Session::gap(Ticks(10)))
            .count()
            .map(|result| (result.key, span(result.window), result.value))
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(1, (0, 18), 2), (2, (5, 24), 2), (1, (40, 50), 1)]);
}

#[test]
fn wn_04_a_record_can_say_how_long_its_session_waits() {
    // Each record is its own gap.
    let records = timed(&[(5i64, 0), (100, 4), (1, 90), (1, 300)]);
    every_way(records.len(), move |flow, run| {
        source(flow, run, "records", &records)
            .key_by(|_| ())
            .window(Session::dynamic(|gap: &i64| Ticks(*gap)))
            .sum(|gap| *gap)
            .map(|result| (span(result.window), result.value))
            .sink("out", run.sink());
    })
    .are(&[((0, 104), 106), ((300, 301), 1)]);
}

#[test]
fn wn_16_a_late_record_makes_one_session_of_two_that_have_fired() {
    // The watermark is 29 when 8 comes: [0,10) and [15,25) have fired, and are kept for 30 ticks more.
    let fired = |window, count, firing| (window, count, firing);
    sessions(0, 10, 30, &[0, 15, 30, 8]).on_one_shard().are(&[
        fired((0, 10), 1, Firing::OnTime),
        fired((15, 25), 1, Firing::OnTime),
        fired((0, 25), 3, Firing::Merged),
        fired((30, 40), 1, Firing::OnTime),
    ]);
}

#[test]
fn wn_16_a_session_that_takes_in_one_that_has_fired_says_so_when_it_fires() {
    // The watermark is 14 when 8 comes: [0,10) has fired, [15,25) has not.
    sessions(0, 10, 30, &[0, 15, 8, 60]).on_one_shard().are(&[
        ((0, 10), 1, Firing::OnTime),
        ((0, 25), 3, Firing::Merged),
        ((60, 70), 1, Firing::OnTime),
    ]);
}

#[test]
fn wn_04_a_record_that_is_late_for_every_session_is_dropped_and_counted() {
    sessions(0, 10, 0, &[0, 100, 5])
        .on_one_shard()
        .are(&[((0, 10), 1, Firing::OnTime), ((100, 110), 1, Firing::OnTime)])
        .late(1);
}

#[test]
fn wn_04_a_late_record_that_touches_an_open_session_is_in_time() {
    // Its own window [90,100) ends before the watermark of 104, but touches the session [95,115).
    sessions(0, 10, 0, &[95, 105, 90]).on_one_shard().are(&[((90, 115), 3, Firing::OnTime)]).late(0);
}
