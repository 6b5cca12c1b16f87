//! Windows of every kind in whole jobs.

mod aligned;
mod all;
mod by_count;
mod evictors;
mod functions;
mod joins;
mod late;
mod on_clock;
mod sessions;
mod top_n;
mod triggers;

use millstream::prelude::*;

use crate::ways::Run;

/// Records with their timestamps.
fn timed<T: Copy>(records: &[(T, i64)]) -> Vec<(T, Timestamp)> {
    records.iter().map(|(record, at)| (*record, Timestamp(*at))).collect()
}

/// Start and end of a window.
fn span(window: TimeWindow) -> (i64, i64) {
    (window.start.0, window.end.0)
}

/// Records of one partition with monotonous timestamps.
fn source<T: Record + Clone, O: Clone + Send + Sync + 'static>(
    flow: &Flow,
    run: &Run<O>,
    name: &str,
    records: &[(T, Timestamp)],
) -> millstream::stream::SourceStream<crate::ways::Paused<T>> {
    flow.source(name, run.timed(vec![records.to_vec()])).source_time(Watermarks::monotonous())
}
