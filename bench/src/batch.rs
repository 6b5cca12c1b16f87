//! A keyed aggregation over more than memory holds, in batch mode and within a budget.
//!
//! `cargo run --release -p millstream-bench -- batch`: 20 GB of records of 100 M keys in 2 GB of memory.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use millstream::io::Generator;
use millstream::prelude::*;

use crate::memory::Watch;

/// What is measured, and with how much.
#[derive(Args, Clone)]
pub struct BatchArgs {
    /// How many records: 40 bytes each.
    #[arg(long, default_value_t = 500_000_000)]
    records: u64,
    /// How many keys they have; every one of them occurs.
    #[arg(long, default_value_t = 100_000_000)]
    keys: u64,
    /// How much memory the job may use, in MiB.
    #[arg(long, default_value_t = 2048)]
    memory: u64,
    /// How many shards.
    #[arg(long, default_value_t = 2)]
    shards: u16,
    /// Where records lie until all those of their key are together.
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
}

/// A record of 40 bytes.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Sale {
    key: u64,
    amount: i64,
    more: [u64; 3],
}

/// Scatters numbers over keys, so that no two neighbours have one: each key comes as often as any other.
const SCATTER: u64 = 0x9E37_79B1;

/// Record `n` of all.
fn sale(n: u64, keys: u64) -> Sale {
    let key = u128::from(n) * u128::from(SCATTER) % u128::from(keys);
    Sale { key: key as u64, amount: (n % 1000) as i64, more: [n; 3] }
}

/// Runs the job, and says what it took.
pub fn run(args: &BatchArgs) -> Result<(), Box<dyn Error>> {
    let BatchArgs { records, keys, memory, shards, spill_dir } = args.clone();
    let bytes = records * size_of::<Sale>() as u64;
    println!(
        "{records} records of {} bytes ({:.1} GB) by {keys} keys, on {shards} shards in {memory} MiB",
        size_of::<Sale>(),
        bytes as f64 / 1e9
    );
    let watch = Watch::start(Duration::from_millis(500));
    let mut job = Job::new("batch")
        .mode(RuntimeMode::Batch)
        .shards(shards)
        .memory_limit(memory << 20)
        .sort_bytes(memory << 19);
    if let Some(dir) = spill_dir {
        job = job.spill_dir(dir);
    }
    let (results, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicI64::new(0)));
    let (counted, summed) = (results.clone(), total.clone());
    let begin = Instant::now();
    let summary = job.run(move |flow| {
        let (counted, summed) = (counted.clone(), summed.clone());
        let parts = u64::from(shards);
        let of_part = records / parts;
        let make = move |part: u32, n: u64| (sale(n * parts + u64::from(part), keys), Timestamp::MIN);
        flow.source("sales", Generator::new(u32::from(shards), Some(of_part), 0, make))
            .key_by(|sale| sale.key)
            .fold(0i64, |sum, sale| *sum += sale.amount)
            .inspect(move |(_, sum)| {
                counted.fetch_add(1, Ordering::Relaxed);
                summed.fetch_add(*sum, Ordering::Relaxed);
            })
            .discard();
    })?;
    let took = begin.elapsed().as_secs_f64();
    let memory = watch.stop();
    let sum: i64 = (0..records / u64::from(shards) * u64::from(shards)).map(|n| (n % 1000) as i64).sum();
    let right = (results.load(Ordering::Relaxed), total.load(Ordering::Relaxed)) == (keys.min(records), sum);
    println!(
        "{took:.1} s: {:.2} M records/s, {:.2} GB/s; results {}; resident at most {:.0} MiB, state at most {} bytes",
        records as f64 / took / 1e6,
        bytes as f64 / took / 1e9,
        if right { "right" } else { "WRONG" },
        memory.most() as f64 / f64::from(1 << 20),
        summary.metrics.shards.iter().map(|shard| shard.state_bytes).sum::<u64>(),
    );
    println!("{}", memory.plot());
    if right { Ok(()) } else { Err("the results are wrong".into()) }
}
