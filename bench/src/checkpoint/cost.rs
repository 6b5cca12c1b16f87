//! Throughput with checkpoints at an interval, beside the same job without: by turns, in the steady state.

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use millstream::limits::PAGE_BYTES;
use millstream::prelude::*;
use serde_json::{Value, json};

use super::Settings;
use super::visits::{Visits, keys_of};
use crate::stats::median;

/// How often the longest gap of the shard's loop is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many checkpoints a warm job has made: the first one holds all pages.
const WARM_CHECKPOINTS: u64 = 3;

const PATIENCE: Duration = Duration::from_secs(1200);

/// A stretch of a job.
struct Stretch {
    /// Million records per second.
    rate: f64,
    /// The longest gaps of each look, in microseconds, in ascending order.
    gaps: Vec<f64>,
    checkpoints: u64,
    /// Of the newest checkpoint.
    duration: Duration,
    bytes: u64,
}

/// Measures a state of so many megabytes, of which a tenth of the pages change, or all.
pub fn measure(settings: &Settings, megabytes: u64) -> Result<Vec<Value>, Box<dyn Error>> {
    let keys = keys_of(megabytes);
    let pages = keys * super::visits::ENTRY_BYTES / PAGE_BYTES as u64;
    // Each of so few keys lies on a page of its own, most likely.
    let hot = [("a tenth of the pages change", (pages / 10).max(1)), ("all pages change", keys)];
    let mut all = Vec::new();
    for (what, hot) in hot {
        println!("\n{megabytes} MB of state ({keys} keys, {pages} pages), {what} ({hot} keys)");
        let mut off = Vec::new();
        let mut on: Vec<Vec<Stretch>> = settings.intervals.iter().map(|_| Vec::new()).collect();
        for _ in 0..settings.rounds {
            off.push(stretch(settings, &Visits::new(keys, hot), None)?);
            for (interval, on) in settings.intervals.iter().zip(&mut on) {
                on.push(stretch(settings, &Visits::new(keys, hot), Some(*interval))?);
            }
        }
        let without = told("without", &off, None);
        let with = settings.intervals.iter().zip(&on);
        let with: Vec<Value> = with
            .map(|(interval, on)| told(&format!("every {interval:?}"), on, Some((&off, hot.min(pages)))))
            .collect();
        all.push(json!({ "what": what, "hot_keys": hot, "without": without, "with": with }));
    }
    Ok(all)
}

fn stretch(
    settings: &Settings,
    visits: &Visits,
    interval: Option<Duration>,
) -> Result<Stretch, Box<dyn Error>> {
    let state = tempfile::tempdir_in(&settings.dir)?;
    let handle = visits.start(settings, interval.map(|interval| (state.path(), interval)))?;
    let began = Instant::now();
    let is_warm = || {
        let enough = interval.is_none() || handle.metrics().checkpoints.completed >= WARM_CHECKPOINTS;
        visits.are_filled() && enough
    };
    while !is_warm() {
        if handle.status() == JobStatus::Failed || began.elapsed() > PATIENCE {
            handle.cancel();
            return Err(handle.wait().err().map_or_else(|| "the job does not get warm".into(), Into::into));
        }
        sleep(Duration::from_millis(10));
    }
    sleep(settings.stretch / 10);
    handle.take_loop_gaps();
    let (before, completed, begin) =
        (visits.again.total(), handle.metrics().checkpoints.completed, Instant::now());
    let mut gaps = Vec::new();
    while begin.elapsed() < settings.stretch {
        sleep(LOOK_EVERY);
        gaps.extend(handle.take_loop_gaps().iter().map(|gap| gap.as_secs_f64() * 1e6));
    }
    let (records, took) = (visits.again.total() - before, begin.elapsed().as_secs_f64());
    let checkpoints = handle.metrics().checkpoints;
    handle.cancel();
    handle.wait()?;
    gaps.sort_by(f64::total_cmp);
    Ok(Stretch {
        rate: records as f64 / took / 1e6,
        gaps,
        checkpoints: checkpoints.completed - completed,
        duration: checkpoints.last_duration,
        bytes: checkpoints.last_bytes,
    })
}

/// Prints a line for the stretches of one kind.
fn told(what: &str, stretches: &[Stretch], beside: Option<(&[Stretch], u64)>) -> Value {
    let of = |get: fn(&Stretch) -> f64| median(stretches.iter().map(get));
    let rate = of(|stretch| stretch.rate);
    let (p50, p99, most) = (
        of(|stretch| quantile(&stretch.gaps, 0.5)),
        of(|stretch| quantile(&stretch.gaps, 0.99)),
        of(|stretch| quantile(&stretch.gaps, 1.0)),
    );
    let mut line = format!("  {what:<12} {rate:7.2} M records/s");
    let mut value = json!({
        "rate": rate, "rates": stretches.iter().map(|of| of.rate).collect::<Vec<_>>(),
        "gap_us": { "p50": p50, "p99": p99, "max": most },
        "gaps_us": stretches.iter().map(|of| of.gaps.clone()).collect::<Vec<_>>(),
    });
    if let Some((off, pages)) = beside {
        let pairs = stretches.iter().zip(off).map(|(on, off)| on.rate / off.rate);
        let ratio = median(pairs.clone());
        let (checkpoints, took) =
            (of(|stretch| stretch.checkpoints as f64), of(|stretch| stretch.duration.as_secs_f64() * 1e3));
        let (bytes, changed) = (of(|stretch| stretch.bytes as f64), (pages * PAGE_BYTES as u64) as f64);
        line += &format!(
            ", {:5.1} % lost; {checkpoints:3.0} checkpoints of {took:6.1} ms and {:8.2} MB for {:8.2} MB of changed pages at most",
            (1.0 - ratio) * 100.0,
            bytes / 1e6,
            changed / 1e6
        );
        value["ratio"] = json!(ratio);
        value["ratios"] = json!(pairs.collect::<Vec<_>>());
        value["checkpoints"] = json!(checkpoints);
        value["duration_ms"] = json!(took);
        value["bytes"] = json!(bytes);
        value["changed_bytes_max"] = json!(changed);
    }
    println!("{line}; longest gaps of 50 ms: median {p50:.0} us, p99 {p99:.0} us, maximum {most:.0} us");
    value
}

/// Of values in ascending order.
fn quantile(sorted: &[f64], of: f64) -> f64 {
    let at = ((sorted.len() as f64 * of).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
