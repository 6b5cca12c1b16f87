//! Query 1, currency conversion: the price of every bid in euros.

use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event, ShortText};
use crate::nexmark::money::Thousandths;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 1,
    name: "currency conversion",
    sql: include_str!("q01.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// A bid in euros.
struct Row {
    auction: i64,
    bidder: i64,
    price: Thousandths,
    date_time: i64,
    extra: ShortText,
}

impl Row {
    fn of(bid: Bid) -> Row {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        Row { auction, bidder, price: Thousandths::in_euros(price), date_time, extra: bid.extra().to_short() }
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
    bids_of(events)
        .map(|bid| {
            let thousandths = i128::from(bid.price) * 908;
            let price = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            format!("{},{},{price},{},{}", bid.auction, bid.bidder, bid.date_time, bid.extra())
        })
        .collect()
}
