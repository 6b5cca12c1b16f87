//! Query 13, side input: every bid with what a small table, which does not change, says for its auction.
//!
//! The published table is a file with ten thousand numbers and their texts. Each shard looks it up in a table of its own, as Flink's tasks do.

use std::collections::HashMap;
use std::rc::Rc;

use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query =
    Query { number: 13, name: "side input", sql: include_str!("q13.sql"), rows: Rows::All, build, reference };

const SIDE_ROWS: i64 = 10_000;

/// A bid with a value.
struct Row {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: i64,
    value: Rc<str>,
}

impl Row {
    fn show(&self) -> String {
        let Row { auction, bidder, price, date_time, value } = self;
        format!("{auction},{bidder},{price},{date_time},{value}")
    }
}

/// The side input: values by their keys.
fn side_input() -> HashMap<i64, Rc<str>> {
    (0..SIDE_ROWS).map(|key| (key, key.to_string().into())).collect()
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    let side = side_input();
    input
        .bids(flow)
        .flat_map(move |bid: Bid| {
            let Bid { auction, bidder, price, date_time, .. } = bid;
            let value = side.get(&(auction % SIDE_ROWS))?.clone();
            Some(Row { auction, bidder, price, date_time, value })
        })
        .sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let row = |bid: Bid| {
        let value = bid.auction % 10_000;
        format!("{},{},{},{},{value}", bid.auction, bid.bidder, bid.price, bid.date_time)
    };
    bids_of(events).map(row).collect()
}
