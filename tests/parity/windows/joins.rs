//! Joins by window.

use millstream::prelude::*;
use millstream::time::Ticks;

use super::{source, timed};
use crate::ways::every_way;

/// Records are `(key, second)`; their timestamps are their seconds.
fn seconds(records: &[(u64, i64)]) -> Vec<((u64, i64), Timestamp)> {
    records.iter().map(|(key, second)| ((*key, *second), Timestamp(second * 1000))).collect()
}

#[test]
fn jn_01_all_pairs_of_a_window_meet_and_none_of_two_windows() {
    let (left, right) = (seconds(&[(7, 1), (7, 2)]), seconds(&[(7, 3), (7, 6)]));
    every_way(2, move |flow, run| {
        let left = source(flow, run, "left", &left).key_by(|record| record.0);
        let right = source(flow, run, "right", &right).key_by(|record| record.0);
        left.window_join(right, Tumbling::of(Ticks(5000)))
            .join(|left, right| (left.1, right.1))
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 3), (2, 3)]);
}

#[test]
fn jn_01_sliding_windows_may_repeat_pairs_and_sessions_span_both_streams() {
    let (left, right) = (timed(&[(1u64, 1)]), timed(&[(1u64, 7)]));
    let (first, second) = (left.clone(), right.clone());
    every_way(1, move |flow, run| {
        let left = source(flow, run, "left", &first).key_by(|key| *key);
        let right = source(flow, run, "right", &second).key_by(|key| *key);
        left.window_join(right, Sliding::of(Ticks(20)).every(Ticks(10)))
            .join(|left, right| left + right)
            .sink("out", run.sink());
    })
    .are(&[2, 2]);
    every_way(1, move |flow, run| {
        let left = source(flow, run, "left", &left).key_by(|key| *key);
        let right = source(flow, run, "right", &right).key_by(|key| *key);
        left.window_join(right, Session::gap(Ticks(6)))
            .co_group(|window, left, right, out| {
                out.emit((window.window().start.0, window.window().end.0, left.len(), right.len()));
            })
            .sink("out", run.sink());
    })
    .are(&[(1, 13, 1, 1)]);
}

#[test]
fn jn_02_a_co_group_sees_what_has_no_partner() {
    let (left, right) = (timed(&[(1u64, 1)]), timed(&[(2u64, 2)]));
    every_way(1, move |flow, run| {
        let left = source(flow, run, "left", &left).key_by(|key| *key);
        let right = source(flow, run, "right", &right).key_by(|key| *key);
        left.window_join(right, Tumbling::of(Ticks(10)))
            .co_group(|window, left, right, out| out.emit((*window.key(), left.len(), right.len())))
            .sink("out", run.sink());
    })
    .are_in_any_order(&[(1, 1, 0), (2, 0, 1)]);
}

#[test]
fn jn_02_outer_joins_keep_what_has_no_partner() {
    type Row = (&'static str, Option<u64>, Option<u64>);
    let (left, right) = (timed(&[(1u64, 1), (2, 2)]), timed(&[(2u64, 2), (3, 3)]));
    let rows = move |kind: &'static str| {
        let (left, right) = (left.clone(), right.clone());
        every_way(2, move |flow, run| {
            let left = source(flow, run, "left", &left).key_by(|key| *key);
            let right = source(flow, run, "right", &right).key_by(|key| *key);
            let both = left.window_join(right, Tumbling::of(Ticks(10)));
            let sink = run.sink();
            match kind {
                "left" => {
                    both.left_join(move |left, right| (kind, Some(*left), right.copied())).sink("out", sink)
                }
                "right" => {
                    both.right_join(move |left, right| (kind, left.copied(), Some(*right))).sink("out", sink)
                }
                _ => {
                    both.full_join(move |left, right| (kind, left.copied(), right.copied())).sink("out", sink)
                }
            }
        })
    };
    let expected = |rows: &[(Option<u64>, Option<u64>)], kind: &'static str| -> Vec<Row> {
        rows.iter().map(|(left, right)| (kind, *left, *right)).collect()
    };
    let (one, two, three) = ((Some(1), None), (Some(2), Some(2)), (None, Some(3)));
    rows("left").are_in_any_order(&expected(&[one, two], "left"));
    rows("right").are_in_any_order(&expected(&[two, three], "right"));
    rows("full").are_in_any_order(&expected(&[one, two, three], "full"));
}
