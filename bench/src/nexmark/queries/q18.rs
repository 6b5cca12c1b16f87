//! Query 18, last bid: of each bidder on each auction. It is shown anew with each later one; the last one is compared.
//!
//! Of bids of one millisecond the one with the higher price counts, which is left open in the text in SQL.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::full_bid::{self, FullBid};
use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 18,
    name: "last bid",
    sql: include_str!("q18.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, FullBid::draw)
        .key_by(|bid| (bid.bidder, bid.auction))
        .process(LastBid::default())
        .sink("rows", output.rows(|bid: &FullBid| format!("{},{}\t{}", bid.bidder, bid.auction, bid.show())));
}

/// Of bids of a bidder on an auction, passes on those that are the last so far.
#[derive(Default)]
struct LastBid {
    last: ValueState<[i64; 2]>,
}

impl KeyedProcess<FullBid, (i64, i64)> for LastBid {
    type Out = FullBid;

    fn open(&mut self, states: &mut States<'_, (i64, i64)>) {
        self.last = states.value("last");
    }

    fn process(&mut self, bid: &View<FullBid>, ctx: &mut KeyedContext<'_, (i64, i64), FullBid>) {
        let place = [bid.date_time, bid.price];
        let is_last = ctx.update(
            &self.last,
            || [i64::MIN; 2],
            |last| {
                let is_last = place > *last;
                *last = place.max(*last);
                is_last
            },
        );
        if is_last {
            ctx.emit(*bid);
        }
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut last: BTreeMap<(i64, i64), Bid> = BTreeMap::new();
    for bid in bids_of(events) {
        let known = last.entry((bid.bidder, bid.auction)).or_insert(bid);
        if (bid.date_time, bid.price) > (known.date_time, known.price) {
            *known = bid;
        }
    }
    last.iter()
        .map(|((bidder, auction), bid)| format!("{bidder},{auction}\t{}", full_bid::show(bid)))
        .collect()
}
