//! The works that are scaled, as whole jobs: on several shards, and on one with no more than its share of several.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;

use super::KEYS;
use crate::bids::{Bids, Tally};
use crate::micro::Settings;
use crate::throughput::{Stretch, WarmUp, of_job};

/// A work: its name, its keys, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub name: &'static str,
    pub keys: u64,
    /// What the operator behind the exchange is called.
    pub operator: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Count,
    Window,
}

/// Both of them.
pub const WORKS: [Work; 2] = [
    Work { name: "keyed_count", keys: KEYS, operator: "state", kind: Kind::Count },
    Work { name: "tumbling_count", keys: 10_000, operator: "window", kind: Kind::Window },
];

/// A thousand bids share a millisecond of event time: a million per window, a hundred per key.
const WINDOW_MS: u64 = 1000;

impl Work {
    /// A stretch on so many shards.
    pub fn on(self, settings: &Settings, shards: u16) -> Result<Stretch, Box<dyn Error>> {
        self.run(settings, shards, 1)
    }

    /// A stretch on one shard with the keys, and windows, of one of so many.
    pub fn share_of(self, settings: &Settings, shards: u16) -> Result<Stretch, Box<dyn Error>> {
        self.run(settings, 1, shards)
    }

    fn run(self, settings: &Settings, shards: u16, share: u16) -> Result<Stretch, Box<dyn Error>> {
        let keys = (settings.size(self.keys) / u64::from(share)).max(1);
        // As many records per key and window as there are on several shards.
        let window = Duration::from_millis((WINDOW_MS / u64::from(share)).max(1));
        let warm_up = WarmUp { records: (8 * keys).max(1_000_000) };
        let program = move |flow: &Flow, tally: &Tally| {
            let bids = flow
                .source("bids", Bids::new(keys, shards, tally))
                .event_time(Watermarks::monotonous(), |bid| bid.at)
                .key_by(|bid| bid.auction as u64);
            match self.kind {
                Kind::Count => bids.count().for_each(|count, _| {
                    black_box(count);
                }),
                Kind::Window => bids.window(Tumbling::of(window)).count().for_each(|result, _| {
                    black_box(result);
                }),
            }
        };
        Ok(of_job(settings, warm_up, Job::new(self.name), shards, program)?.0)
    }

    /// The bytes that the state of one of so many shards takes, about: an entry of 16 bytes and its tag, in pages that are two thirds full.
    pub fn state_bytes(self, shards: u16) -> u64 {
        self.keys / u64::from(shards) * 17 * 3 / 2
    }
}

/// Making records, and no more.
pub fn generate(settings: &Settings) -> Result<Stretch, Box<dyn Error>> {
    let warm_up = WarmUp { records: 1_000_000 };
    let (stretch, _) = of_job(settings, warm_up, Job::new("generate"), 1, |flow, tally| {
        flow.source("bids", Bids::new(KEYS, 1, tally))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .for_each(|bid, _| {
                black_box(bid);
            });
    })?;
    Ok(stretch)
}
