//! Query 19, top ten: the ten highest bids on each auction, with their ranks. A bid that comes in is shown with all that it moves down; the last bid of each
//! rank is compared.
//!
//! Of bids with the same price the earlier one is before, and of those of one millisecond the one by the person with the lesser number, which are left
//! open in the text in SQL.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::full_bid::{self, FullBid};
use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 19,
    name: "top ten",
    sql: include_str!("q19.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

const TOP: usize = 10;

/// What decides which bid is before another one: minus its price, its time, its bidder. The lesser one is.
fn order(bid: &FullBid) -> [i64; 3] {
    [-bid.price, bid.date_time, bid.bidder]
}

/// Where a bid belongs among those that are shown, if it is one of them.
fn place(top: &[FullBid], bid: &FullBid) -> Option<usize> {
    let place = top.iter().position(|other| order(bid) < order(other)).unwrap_or(top.len());
    (place < TOP).then_some(place)
}

/// A bid and its rank, from 1 on.
type Row = (FullBid, u64);

fn show((bid, rank): &Row) -> String {
    format!("{},{rank}\t{}", bid.auction, bid.show())
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, FullBid::draw)
        .key_by(|bid| bid.auction as u64)
        .process(TopTen::default())
        .sink("rows", output.rows(show));
}

#[derive(Default)]
struct TopTen {
    /// The bids that are shown, the first one first.
    top: ValueState<Vec<FullBid>>,
}

impl KeyedProcess<FullBid, u64> for TopTen {
    type Out = Row;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.top = states.value("top");
    }

    fn process(&mut self, bid: &View<FullBid>, ctx: &mut KeyedContext<'_, u64, Row>) {
        // Most bids are none of them: so much is seen where the others lie.
        let Some(place) = ctx.view(&self.top, |top| place(top, bid)).unwrap_or(Some(0)) else { return };
        let mut top = ctx.get(&self.top).unwrap_or_default();
        top.truncate(TOP - 1);
        top.insert(place, *bid);
        for (rank, bid) in (1..).zip(&top).skip(place) {
            ctx.emit((*bid, rank));
        }
        ctx.set(&self.top, top);
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut auctions: BTreeMap<i64, Vec<Bid>> = BTreeMap::new();
    bids_of(events).for_each(|bid| auctions.entry(bid.auction).or_default().push(bid));
    let rows = auctions.into_iter().flat_map(|(auction, mut bids)| {
        bids.sort_by_key(|bid| (-bid.price, bid.date_time, bid.bidder));
        let ranked = (1..=10).zip(bids);
        ranked.map(move |(rank, bid)| format!("{auction},{rank}\t{}", full_bid::show(&bid)))
    });
    rows.collect()
}
