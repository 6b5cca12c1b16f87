//! `timers`: an event-time timer per record, registered and fired, against a loop with a sorted set.

use std::collections::BTreeSet;
use std::error::Error;
use std::hint::black_box;

use millstream::operator::{KeyedContext, KeyedProcess, Timer};
use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bid, Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, of_job, of_loop};

const KEYS: u64 = 1_000_000;
const BIDS_PER_MS: u64 = 10;
/// Until as many timers fire as are registered.
const WARM_UP: WarmUp = WarmUp { records: 1_000_000 };

/// When a bid's timer fires: up to 65.5 s after it, so that 330 k timers are waiting.
#[inline(always)]
fn alarm_of(bid: &Bid) -> i64 {
    bid.at + 1 + bid.bidder
}

/// Sets a timer for each bid.
struct Alarms;

impl KeyedProcess<Bid, u64> for Alarms {
    type Out = (u64, i64);

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        ctx.register_event_timer(Timestamp(alarm_of(bid)));
    }

    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, u64, (u64, i64)>) {
        let key = ctx.key();
        ctx.emit((key, timer.at.0));
    }
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("timers"), 1, |flow, tally| {
            flow.source("bids", Bids::<BIDS_PER_MS>::at_pace(KEYS, 1, tally))
                .event_time(Watermarks::monotonous(), |bid| bid.at)
                .key_by(|bid| bid.auction as u64)
                .process(Alarms)
                .for_each(|alarm, _| {
                    black_box(alarm);
                });
        })?;
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, job, || by_hand(settings))?;
    let notes = vec![format!(
        "shard 0 and the loop on core {core}, by turns; a timer per record, registered and fired; 330 k waiting, of 1 M keys, any order over 65 s"
    )];
    let reference = "a hand-written loop with a sorted set (`BTreeSet`) of times and keys";
    Ok(vec![rounds.outcome("timers", reference, Target::None, notes)])
}

fn by_hand(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    of_loop(settings, WARM_UP, || {
        let (mut bids, mut timers) =
            (Generator::<BIDS_PER_MS>::new(KEYS, 0, 1), BTreeSet::<(i64, u64)>::new());
        move || {
            let bid = bids.bid();
            while timers.first().is_some_and(|&(at, _)| at < bid.at) {
                if let Some((at, key)) = timers.pop_first() {
                    black_box(&(key, at));
                }
            }
            timers.insert((alarm_of(&bid), bid.auction as u64));
        }
    })
}
