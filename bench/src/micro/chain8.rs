//! `chain8`: eight stateless operators against a hand-written loop with the same eight steps.

use std::error::Error;
use std::hint::black_box;

use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bid, Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, WarmUp, of_job, of_loop};

const KEYS: u64 = 1_000_000;
const WARM_UP: WarmUp = WarmUp { records: 1_000_000 };

/// The eight steps: three filters, which let nearly all pass, and five maps.
mod step {
    use super::Bid;

    #[inline(always)]
    pub fn serious(bid: &Bid) -> bool {
        bid.price >= 16
    }
    #[inline(always)]
    pub fn in_cents(mut bid: Bid) -> Bid {
        bid.price *= 100;
        bid
    }
    #[inline(always)]
    pub fn less_fee(mut bid: Bid) -> Bid {
        bid.price -= bid.price / 20;
        bid
    }
    #[inline(always)]
    pub fn of_a_member(bid: &Bid) -> bool {
        bid.bidder & 0xFF != 0
    }
    #[inline(always)]
    pub fn anonymous(mut bid: Bid) -> Bid {
        bid.bidder ^= 0x5555;
        bid
    }
    #[inline(always)]
    pub fn open(bid: &Bid) -> bool {
        bid.auction & 31 != 31
    }
    #[inline(always)]
    pub fn by_house(mut bid: Bid) -> Bid {
        bid.auction >>= 4;
        bid
    }
    #[inline(always)]
    pub fn delayed(mut bid: Bid) -> Bid {
        bid.at += bid.price & 7;
        bid
    }
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("chain8"), 1, |flow, tally| {
            flow.source("bids", Bids::new(KEYS, 1, tally))
                .event_time(Watermarks::monotonous(), |bid| bid.at)
                .filter(step::serious)
                .map(step::in_cents)
                .map(step::less_fee)
                .filter(step::of_a_member)
                .map(step::anonymous)
                .filter(step::open)
                .map(step::by_house)
                .map(step::delayed)
                .for_each(|bid, _| {
                    black_box(bid);
                });
        })?;
        Ok(stretch)
    };
    let by_hand = || {
        of_loop(settings, WARM_UP, || {
            let mut bids = <Generator>::new(KEYS, 0, 1);
            move || {
                let bid = bids.bid();
                if !step::serious(&bid) {
                    return;
                }
                let bid = step::less_fee(step::in_cents(bid));
                if !step::of_a_member(&bid) {
                    return;
                }
                let bid = step::anonymous(bid);
                if !step::open(&bid) {
                    return;
                }
                black_box(&step::delayed(step::by_house(bid)));
            }
        })
    };
    let rounds = Comparison::run(settings, job, by_hand)?;
    let notes = vec![
        format!("shard 0 and the loop on core {core}, by turns; 32-byte records"),
        "the loop makes and drops one record at a time; it has no timestamps, watermarks or batches"
            .to_owned(),
    ];
    Ok(vec![rounds.outcome(
        "chain8",
        "a hand-written loop with the same generator and steps",
        Target::RatioAtLeast(0.8),
        notes,
    )])
}
