//! How fast a job catches up after an outage: records come by a schedule, at half of what the job can do, whether it runs or not.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use serde_json::{Value, json};

use super::Settings;

const KEYS: u64 = 1_000_000;

/// A job has caught up when no more than what comes in this time is left.
const CAUGHT_UP: Duration = Duration::from_millis(20);

const PATIENCE: Duration = Duration::from_secs(600);

/// Numbers that fall due by the clock.
#[derive(Clone)]
struct Due {
    since: Instant,
    /// Per second; none: all are due at once.
    rate: Option<f64>,
    /// How many have been given.
    given: Arc<AtomicU64>,
}

impl Due {
    fn at(rate: Option<f64>) -> Due {
        Due { since: Instant::now(), rate, given: Arc::default() }
    }

    /// How many are due.
    fn due(&self) -> u64 {
        self.rate.map_or(u64::MAX, |rate| (self.since.elapsed().as_secs_f64() * rate) as u64)
    }

    fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    fn start(&self, settings: &Settings, dir: &std::path::Path) -> Result<JobHandle, JobError> {
        let due = self.clone();
        let job = Job::new("catch up").shards(1).cores([settings.core]).wait(WaitPolicy::Spin);
        job.state_dir(dir).checkpoint_interval(Duration::from_millis(500)).spawn(move |flow| {
            flow.source("due", due.clone()).map(|n| n % KEYS).key_by(|key| *key).count().discard();
        })
    }
}

impl Source for Due {
    type Item = u64;
    type Reader = DueReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("due".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<DueReader, SourceError> {
        let wrong = |_| SourceError::fatal("an offset of this source has eight bytes");
        let next = offset.map(|bytes| bytes.try_into().map(u64::from_le_bytes)).transpose().map_err(wrong)?;
        Ok(DueReader { due: self.clone(), next: next.unwrap_or(0) })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

struct DueReader {
    due: Due,
    next: u64,
}

impl Reader for DueReader {
    type Item = u64;

    fn poll(&mut self, _: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let end = self.due.due().min(self.next + out.room() as u64).max(self.next);
        out.extend(self.next..end);
        self.next = end;
        self.due.given.store(end, Ordering::Relaxed);
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("number {index} of the last poll, before {}", self.next)
    }
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Value, Box<dyn Error>> {
    let most = most(settings)?;
    let state = tempfile::tempdir_in(&settings.dir)?;
    let due = Due::at(Some(most / 2.0));
    let handle = due.start(settings, state.path())?;
    sleep(settings.stretch);
    handle.cancel();
    handle.wait()?;
    let outage = settings.stretch * 2;
    sleep(outage);
    let (began, handle) = (Instant::now(), due.start(settings, state.path())?);
    while due.due().saturating_sub(due.given()) as f64 > most / 2.0 * CAUGHT_UP.as_secs_f64() {
        if began.elapsed() > PATIENCE {
            return Err("the job does not catch up".into());
        }
        sleep(Duration::from_millis(1));
    }
    let (took, caught) = (began.elapsed().as_secs_f64(), due.given());
    handle.cancel();
    handle.wait()?;
    let outage = outage.as_secs_f64();
    println!(
        "\ncatching up: {outage:.1} s without the job, at half of its {:.1} M records/s: {took:.2} s, {:.2} of the outage",
        most / 1e6,
        took / outage
    );
    Ok(json!({ "most_per_second": most, "outage_s": outage, "caught_up_s": took, "records": caught }))
}

/// What the job can do, per second.
fn most(settings: &Settings) -> Result<f64, Box<dyn Error>> {
    let state = tempfile::tempdir_in(&settings.dir)?;
    let due = Due::at(None);
    let handle = due.start(settings, state.path())?;
    sleep(settings.stretch / 2);
    let (before, at) = (due.given(), Instant::now());
    sleep(settings.stretch);
    let rate = (due.given() - before) as f64 / at.elapsed().as_secs_f64();
    handle.cancel();
    handle.wait()?;
    if rate == 0.0 {
        return Err("the job gives no records".into());
    }
    Ok(rate)
}
