//! Eight stateless operators in one chain.

use std::error::Error;

use millstream_engine::prelude::*;

use super::jobs::{Count, run};
use crate::source::{Bid, Bids};

/// Three filters, which let nearly all pass, and five maps.
pub fn eight_operators(records: u64) -> Result<(), Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    run(1, move |flow| {
        let count = counted.clone();
        flow.source("bids", Bids::new(records, 1000))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .filter(|bid| bid.price >= 16)
            .map(|bid| Bid { price: bid.price * 100, ..bid })
            .map(|bid| Bid { price: bid.price - bid.price / 20, ..bid })
            .filter(|bid| bid.auction & 0xFF != 0xFF)
            .map(|bid| Bid { auction: bid.auction ^ 0x5555, ..bid })
            .filter(|bid| bid.price & 31 != 31)
            .map(|bid| Bid { auction: bid.auction >> 4, ..bid })
            .map(|bid| Bid { at: bid.at + (bid.price & 7), ..bid })
            .for_each(move |bid, _| {
                std::hint::black_box(bid);
                count.add(1);
            });
    })?;
    let passed = count.get();
    match passed > records / 10 * 9 && passed < records {
        true => Ok(()),
        false => Err(format!("of {records} records {passed} passed the filters").into()),
    }
}
