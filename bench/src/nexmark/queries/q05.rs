//! Query 5, hot items: every two seconds, the auctions that had the most bids in the last ten.
//!
//! Bids are counted per auction in windows that slide. Of the counts of a window a shard passes on those that no other one it has seen is above;
//! the best of these are found where all counts of the window meet.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, Timer, ValueState};
use millstream::prelude::*;

use crate::nexmark::generator::Event;
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query =
    Query { number: 5, name: "hot items", sql: include_str!("q05.sql"), rows: Rows::All, build, reference };

const SIZE: Duration = Duration::from_secs(10);
const SLIDE: Duration = Duration::from_secs(2);

/// How many bids an auction had in a window.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Bids {
    auction: i64,
    number: u64,
    /// The end of the window.
    end: i64,
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    // What is kept here only thins out what goes on: a restart may forget it.
    let mut best = (i64::MIN, 0);
    input
        .draw(flow, |draft| draft.bid().map(|bid| bid.auction as u64))
        .key_by(|auction| *auction)
        .window(Sliding::of(SIZE).every(SLIDE))
        .count()
        .map(|count| Bids { auction: count.key as i64, number: count.value, end: count.window.end.0 })
        .filter(move |bids| {
            if best.0 != bids.end {
                best = (bids.end, 0);
            }
            best.1 = best.1.max(bids.number);
            bids.number == best.1
        })
        .key_by(|bids| bids.end)
        .process(Hottest::default())
        .sink("rows", output.rows(|(auction, number): &(i64, u64)| format!("{auction},{number}")));
}

/// The auctions with the most bids of a window.
#[derive(Default)]
struct Hottest {
    most: ValueState<u64>,
    auctions: ListState<i64>,
}

impl KeyedProcess<Bids, i64> for Hottest {
    type Out = (i64, u64);

    fn open(&mut self, states: &mut States<'_, i64>) {
        self.most = states.value("most");
        self.auctions = states.list("auctions");
    }

    fn process(&mut self, bids: &Bids, ctx: &mut KeyedContext<'_, i64, (i64, u64)>) {
        let most = ctx.get(&self.most);
        if most.is_none() {
            ctx.register_event_timer(Timestamp(bids.end - 1));
        }
        if most > Some(bids.number) {
            return;
        }
        if most < Some(bids.number) {
            ctx.set(&self.most, bids.number);
            ctx.list(&self.auctions).clear();
        }
        ctx.list(&self.auctions).add(&bids.auction);
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, i64, (i64, u64)>) {
        let Some(most) = ctx.take(&self.most) else { return };
        let mut auctions = Vec::new();
        ctx.list(&self.auctions).each(|auction| auctions.push(*auction));
        ctx.list(&self.auctions).clear();
        auctions.into_iter().for_each(|auction| ctx.emit((auction, most)));
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut windows: BTreeMap<i64, BTreeMap<i64, u64>> = BTreeMap::new();
    for bid in bids_of(events) {
        let newest = bid.date_time - bid.date_time % 2000;
        for start in (0..5).map(|back| newest - back * 2000) {
            *windows.entry(start).or_default().entry(bid.auction).or_default() += 1;
        }
    }
    let hottest = windows.values().flat_map(|counts| {
        let most = counts.values().copied().max().unwrap_or(0);
        counts.iter().filter(move |(_, number)| **number == most)
    });
    hottest.map(|(auction, number)| format!("{auction},{number}")).collect()
}
