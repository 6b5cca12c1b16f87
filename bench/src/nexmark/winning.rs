//! The highest bid of every auction, while it is open: what queries 4 and 6 have in common.
//!
//! An auction is kept with the highest price so far. Bids that come before their auction does, from another shard or out of order, wait for it.

use std::collections::HashMap;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, Timer, ValueState};
use millstream::prelude::*;

use super::generator::{Auction, Bid, Draft, Event};
use super::query::{auctions_of, bids_of};

/// An auction or a bid, on its way to where they meet.
#[derive(Record, Clone, Copy)]
#[repr(C)]
pub struct Step {
    pub auction: i64,
    /// When the auction begins, or the bid is made.
    at: i64,
    /// When the auction is over, or the price of the bid.
    amount: i64,
    /// What the auction is counted under; [`OF_BID`] for a bid.
    group: i64,
}

const OF_BID: i64 = -1;

impl Step {
    /// Of an event, where auctions are counted under what the closure says, a number from 0 on.
    #[inline(always)]
    pub fn of(draft: Draft<'_>, group: fn(&Auction) -> i64) -> Option<Step> {
        if let Some(bid) = draft.bid() {
            let Bid { auction, price, date_time, .. } = bid;
            return Some(Step { auction, at: date_time, amount: price, group: OF_BID });
        }
        draft.auction().map(|auction| Step {
            auction: auction.id,
            at: auction.date_time,
            amount: auction.expires,
            group: group(&auction),
        })
    }
}

/// The highest bid of an auction.
#[derive(Record, Clone, Copy)]
#[repr(C)]
pub struct Winning {
    pub group: i64,
    pub auction: i64,
    pub expires: i64,
    pub price: i64,
    /// What was given out for the auction before; 0 where nothing was.
    pub before: i64,
}

/// When the highest bid of an auction is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With each bid that is higher.
    Higher,
    /// When the auction is over.
    Over,
}

/// An auction that has come.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Open {
    begins: i64,
    expires: i64,
    group: i64,
    /// 0 before the first bid.
    highest: i64,
}

impl Open {
    /// The highest price, with a bid more.
    fn with(&self, at: i64, price: i64) -> i64 {
        if (self.begins..=self.expires).contains(&at) { self.highest.max(price) } else { self.highest }
    }
}

/// Finds the highest bid of each auction.
pub struct HighestBid {
    when: When,
    auction: ValueState<Open>,
    /// Of bids that wait for their auction, when they were made and their prices.
    waiting: ListState<(i64, i64)>,
}

impl HighestBid {
    pub fn given_out(when: When) -> HighestBid {
        HighestBid { when, auction: ValueState::default(), waiting: ListState::default() }
    }

    fn give_out(&self, open: &Open, before: i64, ctx: &mut KeyedContext<'_, u64, Winning>) {
        let Open { expires, group, highest: price, .. } = *open;
        ctx.emit(Winning { group, auction: ctx.key() as i64, expires, price, before });
    }
}

impl KeyedProcess<Step, u64> for HighestBid {
    type Out = Winning;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.auction = states.value("auction");
        self.waiting = states.list("waiting");
    }

    fn process(&mut self, step: &Step, ctx: &mut KeyedContext<'_, u64, Winning>) {
        let known = ctx.get(&self.auction);
        let (before, open) = match (step.group, known) {
            (OF_BID, None) => {
                ctx.list(&self.waiting).add(&(step.at, step.amount));
                return;
            }
            (OF_BID, Some(mut open)) => {
                let before = open.highest;
                open.highest = open.with(step.at, step.amount);
                if open.highest == before {
                    return;
                }
                (before, open)
            }
            (group, _) => {
                let mut open = Open { begins: step.at, expires: step.amount, group, highest: 0 };
                let mut waiting = ctx.list(&self.waiting);
                waiting.each(|bid| open.highest = open.with(bid.0, bid.1));
                waiting.clear();
                if self.when == When::Over {
                    ctx.register_event_timer(Timestamp(open.expires));
                }
                (0, open)
            }
        };
        ctx.set(&self.auction, open);
        if self.when == When::Higher && open.highest > before {
            self.give_out(&open, before, ctx);
        }
    }

    fn on_timer(&mut self, _: Timer<'_>, ctx: &mut KeyedContext<'_, u64, Winning>) {
        if let Some(open) = ctx.get(&self.auction)
            && open.highest > 0
        {
            self.give_out(&open, 0, ctx);
        }
    }
}

/// Of every auction that has bids while it is open the highest price.
pub fn reference(events: &[Event]) -> impl Iterator<Item = (Auction, i64)> {
    let bids = bids_by_auction(events);
    auctions_of(events).filter_map(move |auction| {
        let valid = bids.get(&auction.id)?.iter().filter(|bid| is_valid(&auction, bid));
        valid.map(|bid| bid.price).max().map(|price| (auction, price))
    })
}

/// The bids on each auction, in order.
pub fn bids_by_auction(events: &[Event]) -> HashMap<i64, Vec<Bid>> {
    let mut bids = HashMap::<i64, Vec<Bid>>::new();
    bids_of(events).for_each(|bid| bids.entry(bid.auction).or_default().push(bid));
    bids
}

/// Whether an auction was open when a bid on it was made.
pub fn is_valid(auction: &Auction, bid: &Bid) -> bool {
    auction.date_time <= bid.date_time && bid.date_time <= auction.expires
}
