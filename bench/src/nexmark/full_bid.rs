//! Bids with all that is in them: what queries 18, 19 and 20 show.

use millstream::prelude::*;

use super::generator::{Bid, Draft};

/// A bid, on its way to where rows are made of it.
#[derive(Record, Clone, Debug)]
pub struct FullBid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    pub date_time: i64,
    pub channel: String,
    pub url: String,
    pub extra: String,
}

impl FullBid {
    pub fn of(bid: Bid) -> FullBid {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        let (channel, extra) = (bid.channel(), bid.extra().to_text());
        let (channel, url) = (channel.name().to_owned(), channel.url().to_owned());
        FullBid { auction, bidder, price, date_time, channel, url, extra }
    }

    pub fn draw(draft: Draft<'_>) -> Option<FullBid> {
        draft.bid().map(FullBid::of)
    }

    pub fn show(&self) -> String {
        let FullBid { auction, bidder, price, date_time, channel, url, extra } = self;
        format!("{auction},{bidder},{price},{channel},{url},{date_time},{extra}")
    }
}

/// The text of a bid in the plainest way, for references.
pub fn show(bid: &Bid) -> String {
    let (channel, extra) = (bid.channel(), bid.extra());
    let (name, url) = (channel.name(), channel.url());
    format!("{},{},{},{name},{url},{},{extra}", bid.auction, bid.bidder, bid.price, bid.date_time)
}
