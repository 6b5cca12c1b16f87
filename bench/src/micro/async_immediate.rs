//! `async_immediate`: calls that are answered at once, against the same step as a map.

use std::error::Error;
use std::future::ready;
use std::hint::black_box;

use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bid, Bids, Tally};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, beside, by_turns, of_job};

const KEYS: u64 = 1_000_000;
const WARM_UP: WarmUp = WarmUp { records: 1_000_000 };

#[inline(always)]
fn in_cents(mut bid: Bid) -> Bid {
    bid.price *= 100;
    bid
}

/// What is done with the result.
macro_rules! forget {
    ($stream:expr) => {
        $stream.for_each(|bid, _| {
            black_box(bid);
        })
    };
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let run = |program: fn(&Flow, &Tally)| -> Result<Stretch, Box<dyn Error>> {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("async_immediate"), 1, program)?;
        Ok(stretch)
    };
    let mut ordered = || {
        run(|flow, tally| {
            let bids = flow.source("bids", Bids::new(KEYS, 1, tally));
            let bids = bids.event_time(Watermarks::monotonous(), |bid| bid.at);
            forget!(bids.ordered_wait().call(|bid| ready(in_cents(bid))));
        })
    };
    let mut unordered = || {
        run(|flow, tally| {
            let bids = flow.source("bids", Bids::new(KEYS, 1, tally));
            let bids = bids.event_time(Watermarks::monotonous(), |bid| bid.at);
            forget!(bids.unordered_wait().call(|bid| ready(in_cents(bid))));
        })
    };
    let mut in_a_chain_of_its_own = || {
        run(|flow, tally| {
            let bids = flow.source("bids", Bids::new(KEYS, 1, tally));
            let bids = bids.event_time(Watermarks::monotonous(), |bid| bid.at);
            forget!(bids.start_new_chain().map(|bid| in_cents(*bid)));
        })
    };
    let mut in_the_sources_chain = || {
        run(|flow, tally| {
            let bids = flow.source("bids", Bids::new(KEYS, 1, tally));
            let bids = bids.event_time(Watermarks::monotonous(), |bid| bid.at);
            forget!(bids.map(in_cents));
        })
    };
    let [ours, unordered, reference, fused] = by_turns(
        settings,
        [&mut ordered, &mut unordered, &mut in_a_chain_of_its_own, &mut in_the_sources_chain],
    )?;
    let notes = vec![
        format!("all on core {core}, by turns; 32-byte records"),
        beside(&ours, "calls out of order", &unordered),
        beside(&ours, "the map in the chain of the source", &fused),
    ];
    Ok(vec![Comparison { ours, reference }.outcome(
        "async_immediate",
        "the same step as a map in a chain of its own",
        Target::None,
        notes,
    )])
}
