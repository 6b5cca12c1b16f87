//! Query 10, log to file system: every bid as a line of a file, with its day and its minute.
//!
//! The published table makes a directory for each minute. Here lines lie in the part files of a directory, each once, and have both at their end.

use std::fmt;

use millstream::prelude::*;

use crate::nexmark::calendar::{Day, Minute};
use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 10,
    name: "log to file system",
    sql: include_str!("q10.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// A line.
struct Line(Bid);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bid { auction, bidder, price, date_time, .. } = self.0;
        let (extra, day, minute) = (self.0.extra(), Day::of(date_time), Minute::of(date_time));
        write!(f, "{auction},{bidder},{price},{date_time},{extra},{day},{minute}")
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input.bids(flow).map(Line).sink("files", output.files());
}

fn reference(events: &[Event]) -> Vec<String> {
    let minutes = |at: i64| at / 60_000 % (24 * 60);
    let line = |bid: Bid| {
        let minute = minutes(bid.date_time);
        format!(
            "{},{},{},{},{},2015-07-15,{:02}:{:02}",
            bid.auction,
            bid.bidder,
            bid.price,
            bid.date_time,
            bid.extra(),
            minute / 60,
            minute % 60
        )
    };
    bids_of(events).map(line).collect()
}
