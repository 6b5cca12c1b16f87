//! Timers of a process function.

use std::error::Error;
use std::hint::black_box;

use millstream_engine::operator::{KeyedContext, KeyedProcess, Timer};
use millstream_engine::prelude::*;

use super::jobs::{Count, run};
use crate::source::{Bid, Bids};

const KEYS: u64 = 10_000;

/// How late timers fire at most, in milliseconds: 20,000 of them are waiting.
const DELAY_MAX: i64 = 4_096;

/// Sets a timer for each bid.
struct Alarms;

impl KeyedProcess<Bid, u64> for Alarms {
    type Out = (u64, i64);

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        ctx.register_event_timer(Timestamp(bid.at + 1 + bid.price % DELAY_MAX));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        let key = ctx.key();
        ctx.emit((key, timer.at.0));
    }
}

/// A timer per record.
pub fn registered_and_fired(records: u64) -> Result<(), Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    run(1, move |flow| {
        let count = counted.clone();
        flow.source("bids", Bids::new(records, KEYS))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .key_by(|bid| bid.auction)
            .process(Alarms)
            .for_each(move |alarm, _| {
                black_box(alarm);
                count.add(1);
            });
    })?;
    // Two bids of a key in one millisecond, or of one time, have one timer.
    let fired = count.get();
    match fired > records / 100 * 99 && fired <= records {
        true => Ok(()),
        false => Err(format!("{records} timers were set, and {fired} fired").into()),
    }
}
