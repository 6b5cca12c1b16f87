//! Query 11, user sessions: how many bids someone made until they paused for ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 11,
    name: "user sessions",
    sql: include_str!("q11.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// A row: who, how many bids, and the session's beginning and end.
type Row = (u64, u64, i64, i64);

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().map(|bid| bid.bidder as u64))
        .key_by(|bidder| *bidder)
        .window(Session::gap(Duration::from_secs(10)))
        .count()
        .map(|count| (count.key, count.value, count.window.start.0, count.window.end.0))
        .sink(
            "rows",
            output.rows(|(bidder, bids, start, end): &Row| format!("{bidder},{bids},{start},{end}")),
        );
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut bidders: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for bid in bids_of(events) {
        bidders.entry(bid.bidder).or_default().push(bid.date_time);
    }
    let sessions = bidders.iter_mut().flat_map(|(bidder, times)| {
        times.sort_unstable();
        let sessions = times.chunk_by(|one, next| next - one <= 10_000);
        let shown = sessions.map(move |session| {
            format!("{bidder},{},{},{}", session.len(), session[0], session[session.len() - 1] + 10_000)
        });
        shown.collect::<Vec<_>>()
    });
    sessions.collect()
}
