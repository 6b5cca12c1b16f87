//! Query 4, average price for a category: of the highest bids of its auctions. It changes with every bid that is higher than those before; the last
//! average of each category is compared.

use std::collections::BTreeMap;

use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows};
use crate::nexmark::winning::{self, HighestBid, Step, When};

pub const QUERY: Query = Query {
    number: 4,
    name: "average price for a category",
    sql: include_str!("q04.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

/// Of the auctions of a category.
#[derive(Record, Clone, Copy, Default)]
#[repr(C)]
struct Prices {
    sum: i64,
    auctions: i64,
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| Step::of(draft, |auction| auction.category))
        .key_by(|step| step.auction as u64)
        .process(HighestBid::given_out(When::Higher))
        .name("winning bid")
        .key_by(|winning| winning.group as u64)
        .fold(Prices::default(), |prices, winning| {
            prices.sum += winning.price - winning.before;
            prices.auctions += i64::from(winning.before == 0);
        })
        .map(|(category, prices)| (category, prices.sum / prices.auctions))
        .sink("rows", output.rows(|(category, average): &(u64, i64)| format!("{category}\t{average}")));
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut categories: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (auction, price) in winning::reference(events) {
        categories.entry(auction.category).or_default().push(price);
    }
    let average = |prices: &[i64]| prices.iter().sum::<i64>() / prices.len() as i64;
    categories.iter().map(|(category, prices)| format!("{category}\t{}", average(prices))).collect()
}
