//! `tumbling_count_10k`: a count per key and window against a loop with one hash map per window.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;

use super::Settings;
use crate::bids::{Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, WarmUp, of_job, of_loop};

const KEYS: u64 = 10_000;
/// A thousand bids share a millisecond of event time, so this is a million per window.
const WINDOW: Duration = Duration::from_secs(1);
const WARM_UP: WarmUp = WarmUp { records: 4_000_000 };

type Map = hashbrown::HashMap<u64, u64, ahash::RandomState>;

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let job = || {
        let (stretch, _) = of_job(settings, WARM_UP, Job::new("tumbling_count"), 1, |flow, tally| {
            flow.source("bids", Bids::new(KEYS, 1, tally))
                .event_time(Watermarks::monotonous(), |bid| bid.at)
                .key_by(|bid| bid.auction as u64)
                .window(Tumbling::of(WINDOW))
                .count()
                .for_each(|result, _| {
                    black_box(result);
                });
        })?;
        Ok(stretch)
    };
    let rounds = Comparison::run(settings, job, || {
        of_loop(settings, WARM_UP, || {
            let window_ms = WINDOW.as_millis() as i64;
            let (mut bids, mut counts, mut end) = (<Generator>::new(KEYS, 0, 1), Map::default(), window_ms);
            move || {
                let bid = bids.bid();
                if bid.at >= end {
                    for (key, count) in std::mem::take(&mut counts) {
                        black_box(&(key, end, count));
                    }
                    end = (bid.at.div_euclid(window_ms) + 1) * window_ms;
                }
                *counts.entry(bid.auction as u64).or_insert(0) += 1;
            }
        })
    })?;
    let notes = vec![
        format!("shard 0 and the loop on core {core}, by turns; 10 k keys, uniform; 1 M records per window"),
        "the loop presumes that event time never goes back, and so looks at one window only".to_owned(),
    ];
    let reference = "a hand-written loop with one map (hashbrown with ahash) per window";
    Ok(vec![rounds.outcome("tumbling_count_10k", reference, Target::RatioAtLeast(0.5), notes)])
}
