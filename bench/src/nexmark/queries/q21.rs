//! Query 21, channel ids: bids with the id of their channel, which is a number of its own for four of them, and stands in the address of others.

use millstream::prelude::*;

use crate::nexmark::generator::{Bid, Event};
use crate::nexmark::output::Output;
use crate::nexmark::query::{Input, Query, Rows, bids_of};

pub const QUERY: Query = Query {
    number: 21,
    name: "channel ids",
    sql: include_str!("q21.sql"),
    rows: Rows::All,
    build,
    reference,
};

/// The channels with ids of their own, and these.
const KNOWN: [(&str, &str); 4] = [("apple", "0"), ("google", "1"), ("facebook", "2"), ("baidu", "3")];
const PARAMETER: &str = "channel_id=";

/// A bid with the id of its channel.
struct Row {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'static str,
    channel_id: &'static str,
}

impl Row {
    /// None where the channel has no id.
    fn of(bid: Bid) -> Option<Row> {
        let Bid { auction, bidder, price, .. } = bid;
        let channel = bid.channel();
        let known = KNOWN.iter().find(|(name, _)| channel.name().eq_ignore_ascii_case(name));
        let channel_id = known.map(|(_, id)| *id).or_else(|| id_in(channel.url()))?;
        Some(Row { auction, bidder, price, channel: channel.name(), channel_id })
    }

    fn show(&self) -> String {
        let Row { auction, bidder, price, channel, channel_id } = self;
        format!("{auction},{bidder},{price},{channel},{channel_id}")
    }
}

/// The id in an address: what `(&|^)channel_id=([^&]*)` finds.
fn id_in(url: &str) -> Option<&str> {
    url.split('&').find_map(|part| part.strip_prefix(PARAMETER))
}

fn build(flow: &Flow, input: &Input, output: &Output) {
    input.bids(flow).flat_map(Row::of).sink("rows", output.rows(Row::show));
}

fn reference(events: &[Event]) -> Vec<String> {
    let row = |bid: Bid| {
        let channel = bid.channel();
        let id = match channel.name() {
            "Apple" => "0",
            "Google" => "1",
            "Facebook" => "2",
            "Baidu" => "3",
            _ => channel.url().split_once("&channel_id=")?.1,
        };
        Some(format!("{},{},{},{},{id}", bid.auction, bid.bidder, bid.price, channel.name()))
    };
    bids_of(events).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::id_in;

    #[test]
    fn an_id_stands_at_the_beginning_or_behind_an_ampersand() {
        assert_eq!(id_in("https://a/b?query=1&channel_id=-7&c=2"), Some("-7"));
        assert_eq!(id_in("channel_id=8"), Some("8"));
        assert_eq!(id_in("https://a/b?channel_id=9"), None);
        assert_eq!(id_in("https://a/b?c=2&channel_id="), Some(""));
    }
}
