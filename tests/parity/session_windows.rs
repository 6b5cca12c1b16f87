//! Windows that merge.

use millstream::prelude::*;
use millstream::time::Ticks;
use millstream::window::TimeWindow;

use crate::ways::every_way;

fn timed(records: &[(u64, i64)]) -> Vec<(u64, Timestamp)> {
    records.iter().map(|(record, at)| (*record, Timestamp(*at))).collect()
}

fn span(window: TimeWindow) -> (i64, i64) {
    (window.start.0, window.end.0)
}

#[test]
fn wn_04_records_within_the_gap_make_one_session() {
    let records = timed(&[(1, 0), (1, 10), (1, 21)]);
    every_way(records.len(), move |flow, run| {
        flow.source("records", run.timed(vec![records.clone()]))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Session::gap(Ticks(10)))
            .count()
            .map(|result| (span(result.window), result.value, result.firing))
            .sink("out", run.sink());
    })
    .are(&[((0, 20), 2, Firing::OnTime), ((21, 31), 1, Firing::OnTime)]);
}
