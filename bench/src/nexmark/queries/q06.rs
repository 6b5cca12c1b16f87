//! Query 6, average selling price by seller: of the ten auctions of a seller that were over last. The last average of each seller is compared.
//!
//! The published text is one that Flink says it cannot run (a window over rows that change); this one says the same with the ten last rows of each
//! seller, of those which are over at the same time the one with the higher number. It counts auctions from their first bid on; the job, when they are over.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows};
use crate::nexmark::winning::{self, HighestBid, Step, When, Winning};

pub const QUERY: Query = Query {
    number: 6,
    name: "average selling price by seller",
    sql: include_str!("q06.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

/// So many auctions of a seller count.
const LAST: usize = 10;

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| Step::of(draft, |auction| auction.seller))
        .key_by(|step| step.auction as u64)
        .process(HighestBid::given_out(When::Over))
        .name("winning bid")
        .key_by(|winning| winning.group as u64)
        .process(LastTen::default())
        .name("last ten")
        .sink("rows", output.rows(|(seller, average): &(u64, i64)| format!("{seller}\t{average}")));
}

/// The auctions of a seller that were over last, the latest one first.
#[derive(Record, Clone, Copy, Default)]
#[repr(C)]
struct Sold {
    number: u64,
    /// Of each, when it was over and its number.
    over: [[i64; 2]; LAST],
    prices: [i64; LAST],
}

impl Sold {
    /// Shards come to the ends of their auctions each in its own time, so a new one may belong behind others.
    fn add(&mut self, over: [i64; 2], price: i64) {
        let number = self.number as usize;
        let place = self.over[..number].iter().position(|other| *other < over).unwrap_or(number);
        if place == LAST {
            return;
        }
        let number = (number + 1).min(LAST);
        self.over[place..number].rotate_right(1);
        self.prices[place..number].rotate_right(1);
        (self.over[place], self.prices[place]) = (over, price);
        self.number = number as u64;
    }

    fn average(&self) -> i64 {
        self.prices[..self.number as usize].iter().sum::<i64>() / self.number as i64
    }
}

#[derive(Default)]
struct LastTen {
    sold: ValueState<Sold>,
}

impl KeyedProcess<Winning, u64> for LastTen {
    type Out = (u64, i64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.sold = states.value("sold");
    }

    fn process(&mut self, winning: &Winning, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        let average = ctx.update(&self.sold, Sold::default, |sold| {
            sold.add([winning.expires, winning.auction], winning.price);
            sold.average()
        });
        ctx.emit((ctx.key(), average));
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut sellers: BTreeMap<i64, Vec<(i64, i64, i64)>> = BTreeMap::new();
    for (auction, price) in winning::reference(events) {
        sellers.entry(auction.seller).or_default().push((auction.expires, auction.id, price));
    }
    let average = |sold: &mut Vec<(i64, i64, i64)>| {
        sold.sort_unstable();
        let last = &sold[sold.len().saturating_sub(10)..];
        last.iter().map(|(_, _, price)| price).sum::<i64>() / last.len() as i64
    };
    sellers.iter_mut().map(|(seller, sold)| format!("{seller}\t{}", average(sold))).collect()
}

#[cfg(test)]
mod tests {
    use super::Sold;

    #[test]
    fn the_ten_latest_stay_in_whatever_order_they_come() {
        let mut sold = Sold::default();
        for at in [3, 11, 1, 7, 5, 12, 2, 9, 4, 10, 8, 6] {
            sold.add([at, 0], at * 100);
        }
        assert_eq!(sold.over.map(|[at, _]| at), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
        assert_eq!(sold.average(), 750);
    }
}
