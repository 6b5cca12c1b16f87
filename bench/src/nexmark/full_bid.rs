//! Bids with all that is in them: what queries 18, 19 and 20 show.

use millstream::prelude::*;

use super::generator::{Bid, Draft};

/// The longest channel, address and text of a bid come to 12, 78 and 81 bytes.
const TEXTS_MAX: usize = 176;

/// A bid, on its way to where rows are made of it. Its texts lie in it, so that it is copied as it is.
#[derive(Record, Clone, Copy, Debug)]
#[repr(C)]
pub struct FullBid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    pub date_time: i64,
    /// The name of its channel, its address and its other text, one behind the other; zeros behind them.
    texts: [u8; TEXTS_MAX],
    name_end: u16,
    url_end: u16,
    extra_end: u32,
}

impl FullBid {
    pub fn of(bid: Bid) -> FullBid {
        let Bid { auction, bidder, price, date_time, .. } = bid;
        let (channel, extra) = (bid.channel(), bid.extra().to_short());
        let mut texts = [0; TEXTS_MAX];
        let mut end = 0;
        let [name_end, url_end, extra_end] =
            [channel.name().as_bytes(), channel.url().as_bytes(), extra.as_bytes()].map(|text| {
                texts[end..end + text.len()].copy_from_slice(text);
                end += text.len();
                end as u32
            });
        let (name_end, url_end) = (name_end as u16, url_end as u16);
        FullBid { auction, bidder, price, date_time, texts, name_end, url_end, extra_end }
    }

    pub fn draw(draft: Draft<'_>) -> Option<FullBid> {
        draft.bid().map(FullBid::of)
    }

    pub fn show(&self) -> String {
        let FullBid { auction, bidder, price, date_time, texts, .. } = self;
        let (name_end, url_end) = (usize::from(self.name_end), usize::from(self.url_end));
        let text = |bytes| std::str::from_utf8(bytes).expect("made of texts");
        let [channel, url, extra] =
            [&texts[..name_end], &texts[name_end..url_end], &texts[url_end..self.extra_end as usize]]
                .map(text);
        format!("{auction},{bidder},{price},{channel},{url},{date_time},{extra}")
    }
}

/// The text of a bid in the plainest way, for references.
pub fn show(bid: &Bid) -> String {
    let (channel, extra) = (bid.channel(), bid.extra());
    let (name, url) = (channel.name(), channel.url());
    format!("{},{},{},{name},{url},{},{extra}", bid.auction, bid.bidder, bid.price, bid.date_time)
}
