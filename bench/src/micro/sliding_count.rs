//! `sliding_*`: a count per key in windows that slide by a second, against tumbling ones of a minute, and a loop with running totals.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream::prelude::*;
use millstream::window::Aligned;

use super::Settings;
use crate::bids::{Bids, Generator};
use crate::outcome::{Outcome, Target};
use crate::throughput::{Comparison, Stretch, WarmUp, beside, by_turns, of_job, of_loop};

const SLIDE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

type Map = hashbrown::HashMap<u64, u64, ahash::RandomState>;

/// Bids come at a million per second of event time, after enough sparse ones to fill the longest window.
#[derive(Clone, Copy)]
struct Input {
    keys: u64,
    sparse_seconds: u64,
}

impl Input {
    /// Until a window's worth of bids has come, and slices leave it.
    fn warm_up(self) -> WarmUp {
        WarmUp { records: self.sparse_seconds * self.keys + 4_000_000 }
    }

    fn generator(self) -> Generator {
        Generator::new(self.keys, 0, 1).after_sparse(self.sparse_seconds)
    }
}

/// A minute, of 10 k keys.
pub fn of_a_minute(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let input = Input { keys: 10_000, sparse_seconds: 60 };
    measure(settings, "sliding_60s_by_1s", 0.5, input, MINUTE)
}

/// A day, of a thousand keys: with more, what a day holds would take too long to fill.
pub fn of_a_day(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let input = Input { keys: 1000, sparse_seconds: DAY.as_secs() };
    measure(settings, "sliding_24h_by_1s", 1.0 / 3.0, input, DAY)
}

fn measure(
    settings: &Settings,
    name: &'static str,
    ratio_at_least: f64,
    input: Input,
    size: Duration,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let [sliding, tumbling, by_hand] = by_turns(
        settings,
        [
            &mut || in_windows(settings, input, Sliding::of(size).every(SLIDE)),
            &mut || in_windows(settings, input, Tumbling::of(MINUTE)),
            &mut || with_totals(settings, input, size),
        ],
    )?;
    let notes = vec![
        format!(
            "shard 0 and the loop on core {core}, by turns; {} keys, uniform, 1 M records per second of event time; the window is full before: \
             {} s with a record per key and second",
            input.keys, input.sparse_seconds
        ),
        beside(&sliding, "a hand-written loop that keeps a map per second and running totals", &by_hand),
    ];
    let reference = "the same job with tumbling windows of 60 s";
    let rounds = Comparison { ours: sliding, reference: tumbling };
    Ok(vec![rounds.outcome(name, reference, Target::RatioAtLeast(ratio_at_least), notes)])
}

fn in_windows<W>(settings: &Settings, input: Input, windows: W) -> Result<Stretch, Box<dyn Error>>
where
    W: Aligned + Copy + Send + Sync,
{
    let job = Job::new("window_count");
    let (stretch, _) = of_job(settings, input.warm_up(), job, 1, move |flow, tally| {
        flow.source("bids", Bids::new(input.keys, 1, tally).after_sparse(input.sparse_seconds))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .key_by(|bid| bid.auction as u64)
            .window(windows)
            .count()
            .for_each(|result, _| {
                black_box(result);
            });
    })?;
    Ok(stretch)
}

/// What the slices of a window add up to, kept while slices come and go.
#[derive(Default)]
struct Totals {
    slice: Map,
    slices: VecDeque<Vec<(u64, u64)>>,
    totals: Map,
}

impl Totals {
    fn slide(&mut self, slices_max: usize, end: i64) {
        let slice: Vec<(u64, u64)> = self.slice.drain().collect();
        for &(key, count) in &slice {
            *self.totals.entry(key).or_insert(0) += count;
        }
        self.slices.push_back(slice);
        if self.slices.len() > slices_max {
            for (key, count) in self.slices.pop_front().into_iter().flatten() {
                let total = self.totals.get_mut(&key).expect("the slice was added");
                *total -= count;
                if *total == 0 {
                    self.totals.remove(&key);
                }
            }
        }
        for (key, count) in &self.totals {
            black_box(&(key, end, count));
        }
    }
}

fn with_totals(settings: &Settings, input: Input, size: Duration) -> Result<Stretch, Box<dyn Error>> {
    of_loop(settings, input.warm_up(), move || {
        let (slide, slices_max) = (SLIDE.as_millis() as i64, size.as_secs() as usize);
        let (mut bids, mut totals, mut end) = (input.generator(), Totals::default(), slide);
        move || {
            let bid = if bids.is_sparse() { bids.sparse_bid() } else { bids.bid() };
            while bid.at >= end {
                totals.slide(slices_max, end);
                end += slide;
            }
            *totals.slice.entry(bid.auction as u64).or_insert(0) += 1;
        }
    })
}
