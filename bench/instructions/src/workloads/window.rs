//! Counts per key and window.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use millstream_engine::prelude::*;
use millstream_engine::window::Aligned;

use super::jobs::{Count, run};
use crate::source::Bids;

const KEYS: u64 = 1_000;

/// Ten bids share a millisecond, so there are as many per second and key.
const WINDOW: Duration = Duration::from_secs(1);
const SLIDE: Duration = Duration::from_millis(100);

/// How many windows of a second have a bid in them.
fn windows(records: u64) -> u64 {
    records.div_ceil(10_000)
}

/// In windows that follow each other.
pub fn tumbling(records: u64) -> Result<(), Box<dyn Error>> {
    let results = counts(records, || Tumbling::of(WINDOW))?;
    // Each key has bids in each window, but for the last, which may be short.
    let (least, most) = ((windows(records) - 1) * KEYS, windows(records) * KEYS);
    match (least..=most).contains(&results) {
        true => Ok(()),
        false => Err(format!("{least} to {most} windows were to fire, and {results} did").into()),
    }
}

/// In ten windows that overlap.
pub fn sliding(records: u64) -> Result<(), Box<dyn Error>> {
    let results = counts(records, || Sliding::of(WINDOW).every(SLIDE))?;
    let slides = records / 1_000;
    // At both ends there are windows with few bids.
    let (least, most) = (slides.saturating_sub(20) * KEYS, (slides + 20) * KEYS);
    match (least..=most).contains(&results) {
        true => Ok(()),
        false => Err(format!("{least} to {most} windows were to fire, and {results} did").into()),
    }
}

fn counts<W: Aligned>(
    records: u64,
    windows: impl Fn() -> W + Send + Sync + 'static,
) -> Result<u64, Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    run(1, move |flow| {
        let count = counted.clone();
        flow.source("bids", Bids::new(records, KEYS))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .key_by(|bid| bid.auction)
            .window(windows())
            .count()
            .for_each(move |result, _| {
                black_box(result);
                count.add(1);
            });
    })?;
    Ok(count.get())
}
