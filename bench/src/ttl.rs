//! Distinct keys that pass through a state whose entries expire: what stays resident follows from the keys that live at a time, not from those
//! that have ever come.
//!
//! `cargo run --release -p millstream-bench -- ttl`: 100 M keys, of which each lives 10 s of event time, so that it does not depend on the machine how many
//! live at a time.

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Args;
use millstream::io::Generator;
use millstream::operator::{KeyedContext, KeyedProcess, States, Ttl, ValueState};
use millstream::prelude::*;

use crate::memory::Watch;

/// How much an entry takes beside its key and its value, as `explain` predicts it.
const ABOUT: u64 = 30;
/// The time of last use, which lies under the key, too, and the place of the key on the wheel.
const STAMP: u64 = 8 + 8 + ABOUT;
const ON_WHEEL: u64 = 8;
/// What the process takes without any keys: rings, threads, code.
const PROCESS: u64 = 32 << 20;

/// What is measured, and with how much.
#[derive(Args, Clone)]
pub struct TtlArgs {
    /// How many keys come, each once.
    #[arg(long, default_value_t = 100_000_000)]
    keys: u64,
    /// How many come in a second of event time.
    #[arg(long, default_value_t = 1_000_000)]
    per_second: u64,
    /// How long a key lives, in seconds.
    #[arg(long, default_value_t = 10)]
    ttl: u64,
}

/// Keeps a number for each key.
struct Seen {
    ttl: Duration,
    last: ValueState<u64>,
}

impl KeyedProcess<u64, u64> for Seen {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.last = states.expiring(Ttl::of(self.ttl).by_event_time()).value("last");
    }

    fn process(&mut self, number: &u64, ctx: &mut KeyedContext<'_, u64, u64>) {
        ctx.set(&self.last, *number);
    }
}

/// Runs the job, and says what stayed resident.
pub fn run(args: &TtlArgs) -> Result<(), Box<dyn Error>> {
    let TtlArgs { keys, per_second, ttl } = *args;
    // What has expired is looked at a bucket of the wheel at a time, of which there are 32 to a life.
    let live = keys.min(per_second * ttl + per_second * ttl / 32);
    let per_key = 8 + 8 + ABOUT + STAMP + ON_WHEEL;
    let predicted = live * per_key + PROCESS;
    println!(
        "{keys} keys, {per_second} a second, which live {ttl} s: at most {live} at a time, of {per_key} bytes"
    );
    let watch = Watch::start(Duration::from_millis(500));
    let begin = Instant::now();
    let summary = Job::new("ttl").run(move |flow| {
        let seen = Seen { ttl: Duration::from_secs(ttl), last: ValueState::default() };
        let at = move |n: u64| Timestamp((n * 1000 / per_second) as i64);
        flow.source("keys", Generator::new(1, Some(keys), 0, move |_, n| (n, at(n))))
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .process(seen)
            .discard();
    })?;
    let took = begin.elapsed().as_secs_f64();
    let resident = watch.stop();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (most, state) = (resident.most(), summary.metrics.shards[0].state_bytes);
    println!(
        "{took:.1} s; resident at most {:.0} MiB, predicted {:.0} MiB: {:.3} of it; state {:.0} MiB, {} keys at the end",
        mib(most),
        mib(predicted),
        most as f64 / predicted as f64,
        mib(state),
        summary.metrics.shards[0].keys,
    );
    println!("{}", resident.plot());
    match most <= predicted + predicted / 10 {
        true => Ok(()),
        false => Err("more stayed resident than was predicted, and a tenth".into()),
    }
}
