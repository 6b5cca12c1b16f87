//! Query 0, pass through: every bid as it came. What remains is what generator, engine and sink cost.

use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event, ShortText};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 0,
    name: "pass through",
    sql: include_str!("q00.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// A bid as it is shown.
struct Row {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: i64,
    extra: ShortText,
}

impl Row {
    fn of(bid: Bid) -> Row {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        Row { auction, bidder, price, date_time, extra: bid.extra().to_short() }
    }

    fn show(&self) -> String {
        let Row { auction, bidder, price, date_time, extra } = self;
        format!("{auction},{bidder},{price},{date_time},{extra}")
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input.bids(flow).map(Row::of).sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    bids_of(events).map(|bid| Row::of(bid).show()).collect()
}
