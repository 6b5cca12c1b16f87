//! Query 2, selection: the bids on some auctions.

use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query =
    Query { number: 2, name: "selection", sql: include_str!("q02.sql"), rows: Rows::All, build, reference };

/// One auction of so many.
const EVERY: i64 = 123;

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().filter(|bid| bid.auction % EVERY == 0))
        .map(|bid| (bid.auction, bid.price))
        .sink("rows", output.rows(|(auction, price): &(i64, i64)| format!("{auction},{price}")));
}

fn reference(events: &[Event]) -> Vec<String> {
    let selected = bids_of(events).filter(|bid| bid.auction % 123 == 0);
    selected.map(|bid| format!("{},{}", bid.auction, bid.price)).collect()
}
