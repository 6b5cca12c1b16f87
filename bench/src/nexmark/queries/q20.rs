//! Query 20, bids with auctions: every bid on an auction of category 10, with all that is in both.
//!
//! Auctions are kept for good, and bids until their auction comes; Flink's join keeps both. Of auctions of other categories only that they are such is
//! passed on, so that nothing waits for them.

use std::collections::BTreeMap;

use millstream::operator::{KeyedContext, KeyedProcess, ListState, States, ValueState};
use millstream::prelude::*;

use crate::nexmark::full_bid::{self, FullBid};
use crate::nexmark::generator::{Auction, Draft, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, auctions_of, bids_of};

pub const QUERY: Query = Query {
    number: 20,
    name: "bids with auctions",
    sql: include_str!("q20.sql"),
    rows: Rows::All,
    build,
    reference,
};

const CATEGORY: i64 = 10;

/// An auction of the category.
#[derive(Record, Clone, Debug)]
struct Item {
    item_name: String,
    description: String,
    initial_bid: i64,
    reserve: i64,
    date_time: i64,
    expires: i64,
    seller: i64,
    extra: String,
}

impl Item {
    fn of(auction: &Auction) -> Item {
        let Auction { initial_bid, date_time, expires, seller, .. } = *auction;
        let texts = auction.texts();
        let (item_name, description, reserve) = (texts.item_name, texts.description, texts.reserve);
        let extra = texts.extra.to_text();
        Item { item_name, description, initial_bid, reserve, date_time, expires, seller, extra }
    }

    fn show(&self) -> String {
        let Item { item_name, description, initial_bid, reserve, date_time, expires, seller, extra } = self;
        format!(
            "{item_name},{description},{initial_bid},{reserve},{date_time},{expires},{seller},{CATEGORY},{extra}"
        )
    }
}

/// A bid or an auction, on its way to where they meet. With neither: an auction of another category.
#[derive(Record, Clone, Debug)]
struct Side {
    auction: i64,
    bid: Option<FullBid>,
    item: Option<Item>,
}

impl Side {
    fn of(draft: Draft<'_>) -> Option<Side> {
        if let Some(bid) = FullBid::draw(draft) {
            return Some(Side { auction: bid.auction, bid: Some(bid), item: None });
        }
        let auction = draft.auction()?;
        let item = (auction.category == CATEGORY).then(|| Item::of(&auction));
        Some(Side { auction: auction.id, bid: None, item })
    }
}

/// A row: a bid, and its auction.
type Row = (FullBid, Item);

fn show((bid, item): &Row) -> String {
    format!("{},{}", bid.show(), item.show())
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input
        .draw(flow, Side::of)
        .key_by(|side| side.auction() as u64)
        .process(Expand::default())
        .sink("rows", output.rows(show));
}

#[derive(Default)]
struct Expand {
    /// Whether the auction, which has come, is of the category.
    counts: ValueState<bool>,
    item: ValueState<Item>,
    /// Bids that came before their auction.
    waiting: ListState<FullBid>,
}

impl KeyedProcess<Side, u64> for Expand {
    type Out = Row;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.counts = states.value("counts");
        self.item = states.value("item");
        self.waiting = states.list("waiting");
    }

    fn process(&mut self, side: &View<Side>, ctx: &mut KeyedContext<'_, u64, Row>) {
        let counts = ctx.get(&self.counts);
        if counts == Some(false) {
            return;
        }
        let Side { bid, item, .. } = Side::owned(side);
        if let Some(bid) = bid {
            match ctx.get(&self.item) {
                Some(item) => ctx.emit((bid, item)),
                None => ctx.list(&self.waiting).add(&bid),
            }
            return;
        }
        ctx.set(&self.counts, item.is_some());
        let mut waiting = ctx.list(&self.waiting);
        let bids = if item.is_some() { waiting.to_vec() } else { Vec::new() };
        waiting.clear();
        if let Some(item) = item {
            bids.into_iter().for_each(|bid| ctx.emit((bid, item.clone())));
            ctx.set(&self.item, item);
        }
    }
}

fn reference(events: &[Event]) -> Vec<String> {
    let auctions: BTreeMap<i64, Auction> = auctions_of(events).map(|auction| (auction.id, auction)).collect();
    let rows = bids_of(events).filter_map(|bid| {
        let auction = auctions.get(&bid.auction).filter(|auction| auction.category == 10)?;
        let texts = auction.texts();
        Some(format!(
            "{},{},{},{},{},{},{},{},10,{}",
            full_bid::show(&bid),
            texts.item_name,
            texts.description,
            auction.initial_bid,
            texts.reserve,
            auction.date_time,
            auction.expires,
            auction.seller,
            texts.extra
        ))
    });
    rows.collect()
}
