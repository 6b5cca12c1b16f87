//! Query 3, local item suggestion: who sells in Oregon, Idaho or California in category 10, and which auctions.
//!
//! Both sides are filtered first. A seller is kept for good, and auctions until their seller comes; Flink's join keeps both.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::generator::{Draft, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, auctions_of, persons_of};

pub const QUERY: Query = Query {
    number: 3,
    name: "local item suggestion",
    sql: include_str!("q03.sql"),
    rows: Rows::All,
    build,
    reference,
};

const CATEGORY: i64 = 10;

fn is_local(state: &str) -> bool {
    matches!(state, "OR" | "ID" | "CA")
}

/// Someone who may sell.
#[derive(Record, Clone)]
struct Seller {
    name: String,
    city: String,
    state: String,
}

/// A seller or an auction, on its way to where they meet.
#[derive(Record, Clone)]
struct Side {
    person: i64,
    /// 0 of a seller.
    auction: i64,
    name: String,
    city: String,
    state: String,
}

impl Side {
    fn of(draft: Draft<'_>) -> Option<Side> {
        if let Some(auction) = draft.auction() {
            let (person, auction) = (auction.category == CATEGORY).then_some((auction.seller, auction.id))?;
            return Some(Side {
                person,
                auction,
                name: String::new(),
                city: String::new(),
                state: String::new(),
            });
        }
        let person = draft.person()?;
        let texts = person.texts();
        is_local(texts.state).then(|| Side {
            person: person.id,
            auction: 0,
            name: texts.name,
            city: texts.city.to_owned(),
            state: texts.state.to_owned(),
        })
    }
}

/// A row: name, city and state of the seller, and the auction.
type Row = (String, String, String, i64);

fn show((name, city, state, auction): &Row) -> String {
    format!("{name},{city},{state},{auction}")
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, Side::of)
        .key_by(|side| side.person as u64)
        .process(Suggest::default())
        .sink("rows", output.rows(show));
}

#[derive(Default)]
struct Suggest {
    seller: ValueState<Seller>,
    waiting: ListState<i64>,
}

impl KeyedProcess<Side, u64> for Suggest {
    type Out = Row;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.seller = states.value("seller");
        self.waiting = states.list("waiting");
    }

    fn process(&mut self, side: &View<Side>, ctx: &mut KeyedContext<'_, u64, Row>) {
        if side.auction() != 0 {
            match ctx.get(&self.seller) {
                Some(Seller { name, city, state }) => ctx.emit((name, city, state, side.auction())),
                None => ctx.list(&self.waiting).add(&side.auction()),
            }
            return;
        }
        let mut waiting = ctx.list(&self.waiting);
        let auctions = waiting.to_vec();
        waiting.clear();
        let [name, city, state] = [side.name(), side.city(), side.state()].map(str::to_owned);
        for auction in auctions {
            ctx.emit((name.clone(), city.clone(), state.clone(), auction));
        }
        ctx.set(&self.seller, Seller { name, city, state });
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let people: BTreeMap<i64, _> = persons_of(events).map(|person| (person.id, person.texts())).collect();
    let auctions = auctions_of(events).filter(|auction| auction.category == 10);
    let pairs = auctions.filter_map(|auction| people.get(&auction.seller).map(|person| (person, auction.id)));
    pairs
        .filter(|(person, _)| ["OR", "ID", "CA"].contains(&person.state))
        .map(|(person, auction)| format!("{},{},{},{auction}", person.name, person.city, person.state))
        .collect()
}
