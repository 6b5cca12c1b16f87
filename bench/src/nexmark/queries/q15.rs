//! Query 15, bidding statistics: the bids of a day, and how many different bidders and auctions they have, in all and by levels of price. They change with
//! every bid; the last ones of each day are compared.

use millstream::prelude::*;

use crate::nexmark::calendar::Day;
use crate::nexmark::distinct::{self, CountDistinct, Counts, Offer};
use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 15,
    name: "bidding statistics",
    sql: include_str!("q15.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

fn show((day, counts): &(u64, Counts)) -> String {
    format!("{}\t{counts}", Day::numbered(*day as i64))
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, |draft| draft.bid().map(|bid| Offer::of(Day::of(bid.date_time).number() as u64, &bid)))
        .key_by(|offer| offer.group)
        .process(CountDistinct::default())
        .sink("rows", output.rows(show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let days = distinct::reference(bids_of(events), |bid| Day::of(bid.date_time).to_string());
    days.map(|(day, _, counts)| format!("{day}\t{counts}")).collect()
}
