//! Query 17, auction statistics: of each auction and day the number of bids, by levels of price, and their prices. They change with every bid; the last
//! ones of each auction and day are compared.

use std::collections::BTreeMap;

use millstream::prelude::*;

use crate::nexmark::calendar::Day;
use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::level::Level;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 17,
    name: "auction statistics",
    sql: include_str!("q17.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

/// What counts of a bid.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Offer {
    auction: i64,
    /// Since 1970.
    day: i64,
    price: i64,
}

impl Offer {
    fn of(bid: Bid) -> Offer {
        Offer { auction: bid.auction, day: Day::of(bid.date_time).number(), price: bid.price }
    }
}

/// Of the bids on an auction on a day.
#[derive(Record, Clone, Copy, Default)]
#[repr(C)]
struct Statistics {
    bids: i64,
    by_level: [i64; 3],
    min: i64,
    max: i64,
    sum: i64,
}

impl Statistics {
    fn add(&mut self, price: i64) {
        self.min = if self.bids == 0 { price } else { self.min.min(price) };
        self.max = self.max.max(price);
        self.sum += price;
        self.bids += 1;
        self.by_level[Level::of(price) as usize] += 1;
    }
}

/// A row: auction and day, and what its bids come to.
type Row = ((i64, i64), Statistics);

fn show(((auction, day), statistics): &Row) -> String {
    let Statistics { bids, by_level: [one, two, three], min, max, sum } = statistics;
    let (day, average) = (Day::numbered(*day), sum / bids);
    format!("{auction},{day}\t{bids},{one},{two},{three},{min},{max},{average},{sum}")
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().map(Offer::of))
        .key_by(|offer| (offer.auction, offer.day))
        .fold(Statistics::default(), |statistics, offer| statistics.add(offer.price))
        .sink("rows", output.rows(show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut prices: BTreeMap<(i64, String), Vec<i64>> = BTreeMap::new();
    for bid in bids_of(events) {
        prices.entry((bid.auction, Day::of(bid.date_time).to_string())).or_default().push(bid.price);
    }
    let row = |((auction, day), prices): (&(i64, String), &Vec<i64>)| {
        let (bids, sum) = (prices.len() as i64, prices.iter().sum::<i64>());
        let between =
            |low: i64, high: i64| prices.iter().filter(|price| (low..high).contains(*price)).count();
        let [one, two, three] =
            [between(0, 10_000), between(10_000, 1_000_000), between(1_000_000, i64::MAX)];
        let (min, max) = (prices.iter().min()?, prices.iter().max()?);
        Some(format!("{auction},{day}\t{bids},{one},{two},{three},{min},{max},{},{sum}", sum / bids))
    };
    prices.iter().filter_map(row).collect()
}
