//! `interval_join_10k`: bids that meet those of another stream within a second, against a loop with two queues per key.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;
use millstream::time::Span;

use super::Settings;
use crate::bids::{Bid, Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, of_job, of_loop};

const KEYS: u64 = 10_000;
/// How far two bids that meet are apart at most.
const WITHIN: Duration = Duration::from_secs(1);
/// Of both streams together: each bid meets two of the other stream, one that was there before and one that comes later.
const BIDS_PER_MS: u64 = 20;
const WARM_UP: WarmUp = WarmUp { records: 500_000 };

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("interval_join"), 1, |flow, tally| {
            let stream = |name: &str, number: u16| {
                flow.source(name, Bids::<BIDS_PER_MS>::at_pace(KEYS, 2, tally).only(number))
                    .event_time(Watermarks::monotonous(), |bid| bid.at)
                    .key_by(|bid| bid.auction as u64)
            };
            let within = Span::from(WITHIN);
            stream("left", 0)
                .interval_join(stream("right", 1), -within, within)
                .join(|left, right| (left.auction, left.price, right.price))
                .for_each(|pair, _| {
                    black_box(pair);
                });
        })?;
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, job, || by_hand(settings))?;
    let notes = vec![
        format!(
            "shard 0 and the loop on core {core}, by turns; 10 k keys, uniform; records of both streams, half of each, a pair for each of them"
        ),
        "the loop presumes that event time never goes back in either stream nor between the two".to_owned(),
    ];
    let reference = "a hand-written loop with a map (hashbrown with ahash) of two queues per key";
    Ok(vec![rounds.outcome("interval_join_10k", reference, Target::None, notes)])
}

fn by_hand(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    of_loop(settings, WARM_UP, || {
        let within = WITHIN.as_millis() as i64;
        let mut streams = [0, 1].map(|number| Generator::<BIDS_PER_MS>::new(KEYS, number, 2));
        let mut kept = hashbrown::HashMap::<u64, [VecDeque<Bid>; 2], ahash::RandomState>::default();
        let mut of = 0;
        move || {
            let bid = streams[of].bid();
            let sides = kept.entry(bid.auction as u64).or_default();
            let others = &mut sides[1 - of];
            while others.front().is_some_and(|other| other.at < bid.at - within) {
                others.pop_front();
            }
            for other in others.iter() {
                let (left, right) = if of == 0 { (&bid, other) } else { (other, &bid) };
                black_box(&(left.auction, left.price, right.price));
            }
            sides[of].push_back(bid);
            of = 1 - of;
        }
    })
}
