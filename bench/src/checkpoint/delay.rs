//! How long it takes until output is visible that is shown exactly once: from the making of a record to the commit of its checkpoint.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::element::Epoch;
use millstream::io::Generator;
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use serde_json::{Value, json};

use super::Settings;
use crate::clock::monotonic_nanos;
use crate::stats::median;

const INTERVAL: Duration = Duration::from_millis(10);

/// Records per second.
const RATE: u64 = 10_000;

/// What takes longer is taken for this.
const SLOWEST: Duration = Duration::from_secs(60);

/// How many syncs the disk is timed with.
const SYNCS: usize = 50;

/// Notes for each record how long it took from its making to its commit.
#[derive(Clone)]
struct Shows {
    seen: Arc<Mutex<Histogram<u64>>>,
    open: Vec<u64>,
    cut: Vec<(Epoch, Vec<u64>)>,
}

impl Sink<u64> for Shows {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, made_at: &u64, _: Timestamp) -> Result<(), SinkError> {
        self.open.push(*made_at);
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.cut.push((epoch, std::mem::take(&mut self.open)));
        Ok(())
    }

    fn poll_prepared(&mut self, _: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        Poll::Ready(Ok(Some(Vec::new())))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let now = monotonic_nanos();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, records) in self.cut.extract_if(.., |(of, _)| *of <= epoch) {
            records.iter().for_each(|made_at| seen.saturating_record(now - made_at));
        }
        Ok(())
    }
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Value, Box<dyn Error>> {
    let sync = median_sync(settings)?;
    let seen = Arc::new(Mutex::new(Histogram::new_with_bounds(1, SLOWEST.as_nanos() as u64, 3)?));
    let state = tempfile::tempdir_in(&settings.dir)?;
    let sink = Shows { seen: seen.clone(), open: Vec::new(), cut: Vec::new() };
    let handle = Job::new("delay")
        .shards(1)
        .cores([settings.core])
        .wait(WaitPolicy::Spin)
        .state_dir(state.path())
        .checkpoint_interval(INTERVAL)
        .spawn(move |flow| {
            let make = |_: u32, _: u64| (monotonic_nanos(), Timestamp::MIN);
            flow.source("made", Generator::new(1, None, RATE, make)).sink("shown", sink.clone());
        })?;
    sleep(Duration::from_secs(1));
    seen.lock().unwrap_or_else(PoisonError::into_inner).reset();
    sleep(settings.stretch * 2);
    handle.cancel();
    handle.wait()?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let millis = |nanos: u64| nanos as f64 / 1e6;
    let (p50, p99, most) =
        (millis(seen.value_at_quantile(0.5)), millis(seen.value_at_quantile(0.99)), millis(seen.max()));
    let bound = 2.0 * INTERVAL.as_secs_f64() * 1e3 + 3.0 * sync;
    println!(
        "\nexactly-once output at an interval of {INTERVAL:?}, {RATE} records/s: visible after {p50:.2} ms (median), {p99:.2} ms (p99), {most:.2} ms \
         (maximum); a sync takes {sync:.2} ms, two intervals and three syncs are {bound:.2} ms: {}",
        if p99 <= bound { "met" } else { "MISSED" }
    );
    Ok(
        json!({ "p50_ms": p50, "p99_ms": p99, "max_ms": most, "sync_ms": sync, "bound_ms": bound, "records": seen.len() }),
    )
}

/// What it takes to append a little and sync it, in milliseconds.
fn median_sync(settings: &Settings) -> Result<f64, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let mut file = File::create(dir.path().join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}
