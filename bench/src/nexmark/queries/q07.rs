//! Query 7, highest bid: the bids with the highest price of every ten seconds.
//!
//! A shard passes on the bids that no other one of the window which it has seen is above; the highest of these are found where they meet. As the text in SQL
//! has it, a bid that is made right at the end of a window is shown for that one, too, if it has the price of its highest.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, Timer, ValueState};
use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query =
    Query { number: 7, name: "highest bid", sql: include_str!("q07.sql"), rows: Rows::All, build, reference };

const SIZE_MS: i64 = 10_000;
/// So many windows are open at a time on a shard, and a few more.
const OPEN_MAX: usize = 8;

/// A bid of a window.
#[derive(Clone, Copy)]
struct Offer {
    bid: Bid,
    /// The end of the window.
    end: i64,
    /// It does not count, and is only shown where its price is the highest.
    beside: bool,
}

/// The same on its way to where all of a window meet.
#[derive(Record, Clone)]
struct Candidate {
    end: i64,
    beside: bool,
    auction: i64,
    price: i64,
    bidder: i64,
    date_time: i64,
    extra: String,
}

impl Candidate {
    fn of(offer: Offer) -> Candidate {
        let Offer { bid, end, beside } = offer;
        let Bid { auction, bidder, price, date_time, .. } = bid;
        Candidate { end, beside, auction, price, bidder, date_time, extra: bid.extra().to_text() }
    }

    fn show(&self) -> String {
        let Candidate { auction, price, bidder, date_time, extra, .. } = self;
        format!("{auction},{price},{bidder},{date_time},{extra}")
    }
}

/// The highest prices of the windows that a shard has seen last. What is forgotten only lets more bids pass.
#[derive(Default)]
struct Highest(Vec<(i64, i64)>);

impl Highest {
    /// Whether no bid of the window was higher so far.
    fn passes(&mut self, offer: &Offer) -> bool {
        let Some(known) = self.0.iter_mut().find(|(end, _)| *end == offer.end) else {
            if !offer.beside {
                if self.0.len() == OPEN_MAX {
                    self.0.remove(0);
                }
                self.0.push((offer.end, offer.bid.price));
            }
            return true;
        };
        if !offer.beside {
            known.1 = known.1.max(offer.bid.price);
        }
        offer.bid.price >= known.1
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    let mut highest = Highest::default();
    input
        .bids(flow)
        .flat_map_with(move |bid: Bid, out| {
            let since = bid.date_time.rem_euclid(SIZE_MS);
            let end = bid.date_time - since + SIZE_MS;
            let offers = [(end, false), (bid.date_time, true)];
            for (end, beside) in &offers[..1 + usize::from(since == 0)] {
                let offer = Offer { bid, end: *end, beside: *beside };
                if highest.passes(&offer) {
                    out.emit(Candidate::of(offer));
                }
            }
        })
        .key_by(|candidate| candidate.end)
        .process(HighestOfWindow::default())
        .sink("rows", output.rows(Candidate::show));
}

#[derive(Default)]
struct HighestOfWindow {
    highest: ValueState<i64>,
    /// The bids that may be shown.
    candidates: ListState<Candidate>,
}

impl KeyedProcess<Candidate, i64> for HighestOfWindow {
    type Out = Candidate;

    fn open(&mut self, states: &mut States<'_, i64>) {
        self.highest = states.value("highest");
        self.candidates = states.list("candidates");
    }

    fn process(&mut self, candidate: &View<Candidate>, ctx: &mut KeyedContext<'_, i64, Candidate>) {
        let highest = ctx.get(&self.highest);
        if highest.is_none() {
            // Once the end itself has passed: bids made right then belong here, too.
            ctx.register_event_timer(Timestamp(candidate.end()));
        }
        let price = if candidate.beside() { i64::MIN } else { candidate.price() };
        if highest.is_none_or(|highest| price > highest) {
            ctx.set(&self.highest, price);
        }
        if highest.is_none_or(|highest| candidate.price() >= highest) {
            ctx.list(&self.candidates).add(&Candidate::owned(candidate));
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, i64, Candidate>) {
        let highest = ctx.take(&self.highest);
        let mut candidates = ctx.list(&self.candidates);
        let all = candidates.to_vec();
        candidates.clear();
        for candidate in all.into_iter().filter(|candidate| Some(candidate.price) == highest) {
            ctx.emit(candidate);
        }
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let mut highest: BTreeMap<i64, i64> = BTreeMap::new();
    for bid in bids_of(events) {
        let end = (bid.date_time / 10_000 + 1) * 10_000;
        let price = highest.entry(end).or_insert(bid.price);
        *price = bid.price.max(*price);
    }
    let shown = bids_of(events).flat_map(|bid| {
        let of = highest.iter().filter(move |(end, price)| {
            bid.price == **price && (**end - 10_000..=**end).contains(&bid.date_time)
        });
        of.map(move |_| {
            format!("{},{},{},{},{}", bid.auction, bid.price, bid.bidder, bid.date_time, bid.extra())
        })
    });
    shown.collect()
}
