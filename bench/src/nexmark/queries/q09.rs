//! Query 9, winning bids: every auction with the bid that wins it. It is shown anew with each bid that is better; the last one is compared.
//!
//! Of bids with the same price the earlier one is better, as in the text in SQL, and of those of one millisecond the one by the person with the lesser
//! number, which is left open there.

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::generator::{Draft, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, auctions_of};
use crate::nexmark::winning::{bids_by_auction, is_valid};

pub const QUERY: Query = Query {
    number: 9,
    name: "winning bids",
    sql: include_str!("q09.sql"),
    rows: Rows::LastOfKey,
    build,
    reference,
};

/// An auction or a bid, on its way to where they meet.
#[derive(Record, Clone)]
struct Side {
    auction: i64,
    date_time: i64,
    extra: String,
    /// Of a bid.
    bidder: i64,
    price: i64,
    /// Of an auction; 0 says that it is none.
    expires: i64,
    initial_bid: i64,
    reserve: i64,
    seller: i64,
    category: i64,
    item_name: String,
    description: String,
}

impl Side {
    fn of(draft: Draft<'_>) -> Option<Side> {
        if let Some(bid) = draft.bid() {
            return Some(Side {
                auction: bid.auction,
                date_time: bid.date_time,
                extra: bid.extra().to_text(),
                bidder: bid.bidder,
                price: bid.price,
                expires: 0,
                initial_bid: 0,
                reserve: 0,
                seller: 0,
                category: 0,
                item_name: String::new(),
                description: String::new(),
            });
        }
        draft.auction().map(|auction| {
            let texts = auction.texts();
            Side {
                auction: auction.id,
                date_time: auction.date_time,
                extra: texts.extra.to_text(),
                bidder: 0,
                price: 0,
                expires: auction.expires,
                initial_bid: auction.initial_bid,
                reserve: texts.reserve,
                seller: auction.seller,
                category: auction.category,
                item_name: texts.item_name,
                description: texts.description,
            }
        })
    }

    fn show_auction(&self) -> String {
        let Side { auction, item_name, description, initial_bid, reserve, date_time, .. } = self;
        let Side { expires, seller, category, extra, .. } = self;
        format!(
            "{auction}\t{item_name},{description},{initial_bid},{reserve},{date_time},{expires},{seller},{category},{extra}"
        )
    }

    fn show_bid(&self) -> String {
        let Side { bidder, price, date_time, extra, .. } = self;
        format!("{bidder},{price},{date_time},{extra}")
    }
}

/// What decides which bid is better: the lesser one is.
#[derive(Record, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
struct Rank {
    minus_price: i64,
    date_time: i64,
    bidder: i64,
}

impl Rank {
    /// Worse than that of any bid.
    const NONE: Rank = Rank { minus_price: i64::MAX, date_time: i64::MAX, bidder: i64::MAX };
}

/// What a bid has to be held against.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Best {
    begins: i64,
    expires: i64,
    rank: Rank,
}

/// An auction and the bid that wins it so far.
struct Won {
    auction: Side,
    bid: Side,
}

impl Won {
    fn show(&self) -> String {
        format!("{},{}", self.auction.show_auction(), self.bid.show_bid())
    }
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, Side::of)
        .key_by(|side| side.auction() as u64)
        .process(WinningBid::default())
        .sink("rows", output.rows(Won::show));
}

#[derive(Default)]
struct WinningBid {
    best: ValueState<Best>,
    auction: ValueState<Side>,
    /// Bids that came before their auction.
    waiting: ListState<Side>,
}

impl KeyedProcess<Side, u64> for WinningBid {
    type Out = Won;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.best = states.value("best");
        self.auction = states.value("auction");
        self.waiting = states.list("waiting");
    }

    fn process(&mut self, side: &View<Side>, ctx: &mut KeyedContext<'_, u64, Won>) {
        if side.expires() != 0 {
            self.auction_comes(&Side::owned(side), ctx);
            return;
        }
        let Some(best) = ctx.get(&self.best) else {
            ctx.list(&self.waiting).add(&Side::owned(side));
            return;
        };
        let rank = Rank { minus_price: -side.price(), date_time: side.date_time(), bidder: side.bidder() };
        if rank < best.rank && (best.begins..=best.expires).contains(&rank.date_time) {
            ctx.set(&self.best, Best { rank, ..best });
            let auction = ctx.get(&self.auction).expect("kept as long as what bids are held against");
            ctx.emit(Won { auction, bid: Side::owned(side) });
        }
    }
}

impl WinningBid {
    fn auction_comes(&self, auction: &Side, ctx: &mut KeyedContext<'_, u64, Won>) {
        let mut waiting = ctx.list(&self.waiting);
        let bids = waiting.to_vec();
        waiting.clear();
        let open = auction.date_time..=auction.expires;
        let winning = bids.into_iter().filter(|bid| open.contains(&bid.date_time)).min_by_key(rank);
        let rank = winning.as_ref().map_or(Rank::NONE, rank);
        ctx.set(&self.best, Best { begins: auction.date_time, expires: auction.expires, rank });
        ctx.set(&self.auction, auction.clone());
        if let Some(bid) = winning {
            ctx.emit(Won { auction: auction.clone(), bid });
        }
    }
}

fn rank(bid: &Side) -> Rank {
    Rank { minus_price: -bid.price, date_time: bid.date_time, bidder: bid.bidder }
}

fn reference(events: &[Event]) -> Vec<String> {
    let bids = bids_by_auction(events);
    let rows = auctions_of(events).filter_map(|auction| {
        let valid = bids.get(&auction.id)?.iter().filter(|bid| is_valid(&auction, bid));
        let bid = valid.min_by_key(|bid| (-bid.price, bid.date_time, bid.bidder))?;
        let texts = auction.texts();
        Some(format!(
            "{}\t{},{},{},{},{},{},{},{},{},{},{},{},{}",
            auction.id,
            texts.item_name,
            texts.description,
            auction.initial_bid,
            texts.reserve,
            auction.date_time,
            auction.expires,
            auction.seller,
            auction.category,
            texts.extra,
            bid.bidder,
            bid.price,
            bid.date_time,
            bid.extra()
        ))
    });
    rows.collect()
}
