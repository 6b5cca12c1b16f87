//! Bids, and the different bidders and auctions among them, in all and by levels of price: what queries 15 and 16 count of each group.
//!
//! Of each bidder and auction of a group it is kept at which levels it was seen, so that a bid costs two look-ups, whatever the number of counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use millstream::operator::{KeyedContext, KeyedProcess, MapState, States, ValueState};
use millstream::prelude::*;

use super::generator::Bid;
use super::level::Level;

/// What counts of a bid.
#[derive(Record, Clone, Copy)]
#[repr(C)]
pub struct Offer {
    /// What it is counted under.
    pub group: u64,
    /// In milliseconds since 1970.
    date_time: i64,
    auction: i64,
    bidder: i64,
    price: i64,
}

impl Offer {
    #[inline(always)]
    pub fn of(group: u64, bid: &Bid) -> Offer {
        let Bid { auction, bidder, price, date_time, .. } = *bid;
        Offer { group, date_time, auction, bidder, price }
    }
}

/// How many, in all and at each level.
type ByLevel = [u64; 4];

/// What the bids of a group come to.
#[derive(Record, Clone, Copy, Default)]
#[repr(C)]
pub struct Counts {
    bids: ByLevel,
    bidders: ByLevel,
    auctions: ByLevel,
    /// When the last bid was made.
    pub last: i64,
}

/// The counts, separated by commas.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.bids.iter().chain(&self.bidders).chain(&self.auctions);
        f.write_str(&counts.map(u64::to_string).collect::<Vec<_>>().join(","))
    }
}

/// Bit 0: seen at all; bits 1 to 3: at this level.
type Seen = u8;

fn seen_at(level: Level) -> Seen {
    1 | (2 << level as u8)
}

/// Counts what is new.
fn count(counts: &mut ByLevel, new: Seen) {
    for (bit, count) in counts.iter_mut().enumerate() {
        *count += u64::from(new >> bit & 1);
    }
}

/// Adds to what was seen, and gives what of it is new.
fn see(seen: &mut Seen, at: Seen) -> Seen {
    let new = at & !*seen;
    *seen |= at;
    new
}

/// Counts the bids of each group, and gives out the counts with each bid.
#[derive(Default)]
pub struct CountDistinct {
    counts: ValueState<Counts>,
    bidders: MapState<i64, Seen>,
    auctions: MapState<i64, Seen>,
}

impl KeyedProcess<Offer, u64> for CountDistinct {
    type Out = (u64, Counts);

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.counts = states.value("counts");
        self.bidders = states.map("bidders");
        self.auctions = states.map("auctions");
    }

    fn process(&mut self, offer: &Offer, ctx: &mut KeyedContext<'_, u64, (u64, Counts)>) {
        let at = seen_at(Level::of(offer.price));
        let bidder = ctx.map(&self.bidders).update(&offer.bidder, || 0, |seen| see(seen, at));
        let auction = ctx.map(&self.auctions).update(&offer.auction, || 0, |seen| see(seen, at));
        let counts = ctx.update(&self.counts, Counts::default, |counts| {
            counts.last = counts.last.max(offer.date_time);
            count(&mut counts.bids, at);
            count(&mut counts.bidders, bidder);
            count(&mut counts.auctions, auction);
            *counts
        });
        ctx.emit((ctx.key(), counts));
    }
}

/// The counts of each group as text, in the plainest way, and when the last bid of it was made.
pub fn reference<K: Ord>(
    bids: impl Iterator<Item = Bid>,
    group: impl Fn(&Bid) -> K,
) -> impl Iterator<Item = (K, i64, String)> {
    let mut groups: BTreeMap<K, Vec<Bid>> = BTreeMap::new();
    bids.for_each(|bid| groups.entry(group(&bid)).or_default().push(bid));
    groups.into_iter().map(|(group, bids)| {
        let levels = [0..i64::MAX, 0..10_000, 10_000..1_000_000, 1_000_000..i64::MAX];
        let [of_bids, bidders, auctions]: [fn(&[Bid]) -> usize; 3] = [
            |bids| bids.len(),
            |bids| bids.iter().map(|bid| bid.bidder).collect::<BTreeSet<_>>().len(),
            |bids| bids.iter().map(|bid| bid.auction).collect::<BTreeSet<_>>().len(),
        ];
        let counts = [of_bids, bidders, auctions].into_iter().flat_map(|count| {
            levels.iter().map({
                let bids = &bids;
                move |level| {
                    let of_level = bids.iter().filter(|bid| level.contains(&bid.price)).copied();
                    count(&of_level.collect::<Vec<_>>()).to_string()
                }
            })
        });
        let counts = counts.collect::<Vec<_>>().join(",");
        (group, bids.iter().map(|bid| bid.date_time).max().unwrap_or(0), counts)
    })
}
