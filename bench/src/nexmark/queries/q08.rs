//! Query 8, monitor new users: who came and put something up for sale in the same ten seconds.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream::prelude::*;
use millstream::window::Aggregate;

use crate::nexmark::generator::{Draft, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, auctions_of, persons_of};

pub const QUERY: Query = Query {
    number: 8,
    name: "monitor new users",
    sql: include_str!("q08.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// Someone who comes, or who sells.
#[derive(Record, Clone)]
struct Side {
    person: i64,
    /// Of someone who comes.
    name: Option<String>,
}

impl Side {
    fn of(draft: Draft<'_>) -> Option<Side> {
        if let Some(auction) = draft.auction() {
            return Some(Side { person: auction.seller, name: None });
        }
        draft.person().map(|person| Side { person: person.id, name: Some(person.texts().name) })
    }
}

/// What someone did in a window.
#[derive(Record, Clone)]
struct Seen {
    name: Option<String>,
    sells: bool,
}

/// Gives the name of someone who came and sells.
struct NewSeller;

impl Aggregate<Side> for NewSeller {
    type Acc = Seen;
    type Out = Option<String>;

    fn create(&self) -> Seen {
        Seen { name: None, sells: false }
    }

    fn add(&self, seen: &mut Seen, side: &View<Side>) {
        match side.name() {
            Some(name) => seen.name = Some(name.to_owned()),
            None => seen.sells = true,
        }
    }

    fn merge(&self, seen: &mut Seen, later: &Seen) {
        seen.name = seen.name.take().or_else(|| later.name.clone());
        seen.sells |= later.sells;
    }

    fn result(&self, seen: Seen) -> Option<String> {
        seen.name.filter(|_| seen.sells)
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, Side::of)
        .key_by(|side| side.person as u64)
        .window(Tumbling::of(Duration::from_secs(10)))
        .aggregate_with(NewSeller, |window, name, out| {
            if let Some(name) = name {
                out.emit((*window.key(), name, window.window().start.0));
            }
        })
        .sink(
            "rows",
            output.rows(|(person, name, start): &(u64, String, i64)| format!("{person},{name},{start}")),
        );
}

fn reference(events: &[Event]) -> Vec<String> {
    let start = |at: i64| at / 10_000 * 10_000;
    let sellers: BTreeSet<(i64, i64)> =
        auctions_of(events).map(|auction| (auction.seller, start(auction.date_time))).collect();
    persons_of(events)
        .map(|person| (person.id, start(person.date_time), person.texts().name))
        .filter(|(person, start, _)| sellers.contains(&(*person, *start)))
        .map(|(person, start, name)| format!("{person},{name},{start}"))
        .collect()
}
