//! Query 19, top ten: the ten highest bids on each auction, with their ranks. A bid that comes in is shown with all that it moves down; the last bid of each
//! rank is compared.
//!
//! Of bids with the same price the earlier one is before, and of those of one millisecond the one by the person with the lesser number, which are left
//! open in the text in SQL.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, MapState, States, ValueState};
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
type Order = [i64; 3];

/// The bids of an auction that are shown, the first one first.
#[derive(Record, Clone, Copy, Default)]
#[repr(C)]
struct Top {
    number: u64,
    orders: [Order; TOP],
    /// Where each bid is kept.
    slots: [u64; TOP],
}

impl Top {
    /// Puts a bid in, in the place of the last one where there are ten: its rank, from 0 on, if it has one.
    fn insert(&mut self, order: Order) -> Option<usize> {
        let number = self.number as usize;
        let place = self.orders[..number].iter().position(|other| order < *other).unwrap_or(number);
        if place == TOP {
            return None;
        }
        if number < TOP {
            self.slots[number] = self.number;
            self.number += 1;
        }
        let number = self.number as usize;
        self.orders[place..number].rotate_right(1);
        self.slots[place..number].rotate_right(1);
        self.orders[place] = order;
        Some(place)
    }
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
    top: ValueState<Top>,
    /// The bids by their slots.
    bids: MapState<u64, FullBid>,
}

impl KeyedProcess<FullBid, u64> for TopTen {
    type Out = Row;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.top = states.value("top");
        self.bids = states.map("bids");
    }

    fn process(&mut self, bid: &View<FullBid>, ctx: &mut KeyedContext<'_, u64, Row>) {
        let order = [-bid.price, bid.date_time, bid.bidder];
        let inserted = ctx.update(&self.top, Top::default, |top| Some((top.insert(order)?, *top)));
        let Some((place, top)) = inserted else { return };
        ctx.map(&self.bids).put(&top.slots[place], bid);
        ctx.emit((*bid, place as u64 + 1));
        for below in place + 1..top.number as usize {
            let moved =
                ctx.map(&self.bids).get(&top.slots[below]).expect("kept under each slot that is taken");
            ctx.emit((moved, below as u64 + 1));
        }
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

#[cfg(test)]
mod tests {
    use super::Top;

    #[test]
    fn the_ten_least_stay_each_in_a_slot_of_its_own() {
        let mut top = Top::default();
        let ranks = [5, 3, 9, 1, 8, 2, 7, 11, 6, 4, 12, 0, 10].map(|order| top.insert([order, 0, 0]));
        assert_eq!(ranks[..4], [Some(0), Some(0), Some(2), Some(0)]);
        assert_eq!(ranks[10..], [None, Some(0), None]);
        assert_eq!(top.orders.map(|order| order[0]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let mut slots = top.slots;
        slots.sort_unstable();
        assert_eq!(slots, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
