//! Query 22, directories of an address: the first three of the page that a bid was made on.

use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 22,
    name: "directories of an address",
    sql: include_str!("q22.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// Scheme, nothing, and host come before the directories.
const BEFORE: usize = 3;

/// A bid with directories; one that is not there is empty.
struct Row {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'static str,
    directories: [&'static str; 3],
}

impl Row {
    fn of(bid: Bid) -> Row {
        let Bid { auction, bidder, price, .. } = bid;
        let channel = bid.channel();
        let mut parts = channel.url().split('/').skip(BEFORE);
        let directories = std::array::from_fn(|_| parts.next().unwrap_or_default());
        Row { auction, bidder, price, channel: channel.name(), directories }
    }

    fn show(&self) -> String {
        let Row { auction, bidder, price, channel, directories: [one, two, three] } = self;
        format!("{auction},{bidder},{price},{channel},{one},{two},{three}")
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input.bids(flow).map(Row::of).sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let row = |bid: Bid| {
        let (channel, path) =
            (bid.channel().name(), bid.channel().url().trim_start_matches("https://www.nexmark.com/"));
        let directories = path.trim_end_matches(|letter| letter != '/').trim_end_matches('/');
        format!("{},{},{},{channel},{}", bid.auction, bid.bidder, bid.price, directories.replace('/', ","))
    };
    bids_of(events).map(row).collect()
}
