//! A running count of keys whose state is larger than the memory it may take, beside the same without a limit.
//!
//! `cargo run --release -p millstream-bench -- spill --json figures.json`: 20 M keys, a quarter of whose state fits; keys come evenly, and as Zipf's law
//! has it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use millstream::io::Generator;
use millstream::prelude::*;
use millstream::runtime::metrics::{JobMetrics, ShardMetrics};
use serde_json::{Value, json};

use crate::memory::{Watch, resident_bytes};

/// How often the job's figures are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The part of the records that come before the rate is taken.
const WARM_UP: f64 = 0.2;

/// What is measured, and with how much.
#[derive(Args, Clone)]
pub struct SpillArgs {
    /// How many keys there are. Each comes once before anything is measured.
    #[arg(long, default_value_t = 20_000_000)]
    keys: u64,
    /// How many records come then.
    #[arg(long, default_value_t = 20_000_000)]
    records: u64,
    /// How many times as large as memory the state is.
    #[arg(long, default_value_t = 4)]
    times: u64,
    /// Zipf's exponents, by commas; 0 is evenly.
    #[arg(long, value_delimiter = ',', default_values_t = [0.0, 0.99, 1.2])]
    skew: Vec<f64>,
    /// How many shards.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    /// Where state lies that memory has no room for.
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
    /// Write the figures there as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Scatters bits (the finalizer of MurmurHash3).
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let n = (n ^ (n >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    n ^ (n >> 33)
}

/// Key `n` of many, of which the `k`th most frequent comes in proportion to `k` to the power of `-skew` (the continuous law, cut to whole
/// numbers).
fn zipf(n: u64, keys: u64, skew: f64) -> u64 {
    let uniform = (mix(n) >> 11) as f64 / (1u64 << 53) as f64;
    let (keys_f, power) = (keys as f64 + 1.0, 1.0 - skew);
    let rank = ((keys_f.powf(power) - 1.0) * uniform + 1.0).powf(1.0 / power);
    (rank as u64 - 1).min(keys - 1)
}

/// What came of a run.
struct Ran {
    /// Million records per second, once all keys are there.
    rate: f64,
    reads_per_second: f64,
    writes_per_second: f64,
    state_bytes: u64,
    /// The most that was resident, beside what was before.
    resident: u64,
    /// Depends on all counts.
    digest: u64,
}

fn ran(args: &SpillArgs, skew: f64, limit: Option<u64>) -> Result<Ran, Box<dyn Error>> {
    let SpillArgs { keys, records, shards, .. } = *args;
    let mut job = Job::new("spill").shards(shards);
    if let Some(limit) = limit {
        job = job.memory_limit(limit).spill_state(true);
    }
    if let Some(dir) = &args.spill_dir {
        job = job.spill_dir(dir);
    }
    let digest = Arc::new(AtomicU64::new(0));
    let counted = digest.clone();
    let before = resident_bytes();
    let watch = Watch::start(Duration::from_millis(100));
    let handle = job.spawn(move |flow| {
        let (parts, counted) = (u64::from(shards), counted.clone());
        let make = move |part: u32, n: u64| {
            let n = n * parts + u64::from(part);
            let key = if n < keys { n } else { zipf(n, keys, skew) };
            (key, Timestamp::MIN)
        };
        flow.source("keys", Generator::new(u32::from(shards), Some((keys + records) / parts), 0, make))
            .key_by(|key| *key)
            .count()
            .inspect(move |(key, count)| {
                counted.fetch_add(mix(key ^ count.rotate_left(40)), Ordering::Relaxed);
            })
            .discard();
    })?;
    let begins_at = keys + (records as f64 * WARM_UP) as u64;
    let read = |metrics: &JobMetrics| {
        let sum = |of: fn(&ShardMetrics) -> u64| metrics.shards.iter().map(of).sum();
        let figures: [u64; 3] = [
            sum(|shard| shard.records_in),
            sum(|shard| shard.spilled_pages_read),
            sum(|shard| shard.spilled_pages_written),
        ];
        (Instant::now(), figures)
    };
    let (mut first, mut last) = (None, None);
    let mut state_bytes = 0;
    while !handle.status().is_over() {
        sleep(LOOK_EVERY);
        let metrics = handle.metrics();
        let figures = read(&metrics);
        state_bytes = metrics.shards.iter().map(|shard| shard.state_bytes).sum::<u64>().max(state_bytes);
        if figures.1[0] >= begins_at && figures.1[0] < (keys + records) / 100 * 99 {
            first.get_or_insert(figures);
            last = Some(figures);
        }
    }
    handle.wait()?;
    let (Some((began, first)), Some((ended, last))) = (first, last) else {
        return Err("the run was too short to be measured: give more records".into());
    };
    let seconds = (ended - began).as_secs_f64().max(f64::MIN_POSITIVE);
    let per_second = |which: usize| (last[which] - first[which]) as f64 / seconds;
    Ok(Ran {
        rate: per_second(0) / 1e6,
        reads_per_second: per_second(1),
        writes_per_second: per_second(2),
        state_bytes,
        resident: watch.stop().most().saturating_sub(before),
        digest: digest.load(Ordering::Relaxed),
    })
}

/// Runs the job with and without a limit, for each skew, and says what it took.
pub fn run(args: &SpillArgs) -> Result<(), Box<dyn Error>> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut figures = Vec::new();
    let mut problems = Vec::new();
    for &skew in &args.skew {
        if skew < 0.0 || (skew - 1.0).abs() < 1e-6 {
            return Err("--skew: an exponent is at least 0, and not 1".into());
        }
        let whole = ran(args, skew, None)?;
        let limit = whole.state_bytes / args.times;
        let spilled = ran(args, skew, Some(limit))?;
        println!(
            "skew {skew}: {:.2} M records/s in {:.0} MiB, {:.2} M without a limit in {:.0} MiB; {:.0} pages read and {:.0} written per second, {:.3} \
             read per record; state at most {:.0} MiB, {:.3} of the limit; resident at most {:.0} MiB more than before",
            spilled.rate,
            mib(limit),
            whole.rate,
            mib(whole.state_bytes),
            spilled.reads_per_second,
            spilled.writes_per_second,
            spilled.reads_per_second / spilled.rate / 1e6,
            mib(spilled.state_bytes),
            spilled.state_bytes as f64 / limit as f64,
            mib(spilled.resident),
        );
        if spilled.digest != whole.digest {
            problems.push(format!("skew {skew}: the counts differ"));
        }
        if spilled.state_bytes > limit + limit / 10 {
            problems.push(format!("skew {skew}: the limit was passed by more than a tenth"));
        }
        figures.push(json!({
            "skew": skew,
            "keys": args.keys,
            "shards": args.shards,
            "limit_bytes": limit,
            "rate": spilled.rate,
            "rate_without_limit": whole.rate,
            "pages_read_per_second": spilled.reads_per_second,
            "pages_written_per_second": spilled.writes_per_second,
            "state_bytes_max": spilled.state_bytes,
            "state_bytes_max_without_limit": whole.state_bytes,
            "resident_bytes_max": spilled.resident,
            "resident_bytes_max_without_limit": whole.resident,
            "counts_equal": spilled.digest == whole.digest,
        }));
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&Value::from(figures))?)?;
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ").into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_key_comes_as_often_as_the_law_has_it() {
        let keys = 1000;
        let first = |skew: f64| (0..100_000).filter(|n| zipf(*n, keys, skew) == 0).count();
        assert!((50..200).contains(&first(0.0)), "{}", first(0.0));
        // Of the integral of x^-1.2 from 1 to 1001, the part from 1 to 2 is 0.173.
        assert!((16_500..18_100).contains(&first(1.2)), "{}", first(1.2));
        assert!((0..100_000).all(|n| zipf(n, keys, 0.99) < keys));
    }
}
