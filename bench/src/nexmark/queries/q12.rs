//! Query 12, processing-time windows: how many bids someone makes in ten seconds by the clock of the machine.
//!
//! Which bids fall into a window depends on when they come, so the sum of all windows of a bidder is compared. As in Flink, windows that are open when the
//! job ends are forgotten; the run that is compared has a clock that is moved by hand, and its end waits for the last window.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 12,
    name: "processing-time windows",
    sql: include_str!("q12.sql"),
    rows: Rows::SumOfKey,
    build,
    reference,
};

/// A row: who, how many bids, and the window's beginning and end.
struct Row {
    bidder: u64,
    bids: u64,
    start: i64,
    end: i64,
}

impl Row {
    /// Without the window, which is another one in each run.
    fn show(&self) -> String {
        debug_assert!(self.start < self.end);
        format!("{}\t{}", self.bidder, self.bids)
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().map(|bid| bid.bidder as u64))
        .key_by(|bidder| *bidder)
        .window(Tumbling::of(Duration::from_secs(10)).on_clock())
        .count()
        .map(|count| Row {
            bidder: count.key,
            bids: count.value,
            start: count.window.start.0,
            end: count.window.end.0,
        })
        .sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut bidders: BTreeMap<i64, u64> = BTreeMap::new();
    bids_of(events).for_each(|bid| *bidders.entry(bid.bidder).or_default() += 1);
    bidders.iter().map(|(bidder, bids)| format!("{bidder}\t{bids}")).collect()
}
