//! After an outage. What a job can do is counted by the simulator's clock, in which every step takes its time: so the share of the load counts, and
//! not the machine. How fast a real job is, `millstream-bench checkpoint` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};

/// How many records a poll gives at the most: what limits the job.
const POLL_MAX: u64 = 32;

/// How long the job runs before it fails.
const BEFORE: Duration = Duration::from_millis(50);

const OUTAGE: Duration = Duration::from_millis(100);

/// A job has caught up when no more than what comes in this time is left.
const CAUGHT_UP: Duration = OUTAGE.checked_div(20).unwrap();

/// Numbers that fall due by the clock, whether the job runs or not.
#[derive(Clone)]
struct Due {
    /// Per second; none: all are due at once.
    rate: Option<f64>,
    fails_at: Nanos,
    ends_at: Nanos,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    has_failed: AtomicBool,
    /// After each poll: the time, and the number that comes next.
    polls: Mutex<Vec<(Nanos, u64)>>,
}

impl Due {
    fn at(rate: Option<f64>, fails_after: Duration, ends_after: Duration) -> Due {
        let at = |after| Nanos(0).after(after);
        Due { rate, fails_at: at(fails_after), ends_at: at(ends_after), shared: Arc::default() }
    }

    /// How many are due.
    fn due(&self, now: Nanos) -> u64 {
        self.rate.map_or(u64::MAX, |rate| (now.since(Nanos(0)).as_secs_f64() * rate) as u64)
    }

    fn polls(&self) -> Vec<(Nanos, u64)> {
        self.shared.polls.lock().unwrap().clone()
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
        let next = offset.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        Ok(DueReader { due: self.clone(), next })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

struct DueReader {
    due: Due,
    next: u64,
}

impl Reader for DueReader {
    type Item = u64;

    fn poll(&mut self, now: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let Due { fails_at, ends_at, shared, .. } = &self.due;
        if now >= *fails_at && !shared.has_failed.swap(true, Ordering::Relaxed) {
            return Err(SourceError::retryable("the power is gone"));
        }
        if now >= *ends_at {
            return Ok(SourcePoll::End);
        }
        let end = self.due.due(now).min(self.next + POLL_MAX).max(self.next);
        out.extend(self.next..end);
        self.next = end;
        shared.polls.lock().unwrap().push((now, end));
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, _: usize) -> String {
        format!("before number {}", self.next)
    }
}

/// Runs a count per key by this source, which comes back after the outage where it fails.
fn run(due: &Due) {
    let (source, disk) = (due.clone(), SimDisk::new(9, SimFaults::default()));
    let job = Job::new("catch up")
        .state_dir("/state")
        .checkpoint_interval(Duration::from_millis(1))
        .restart(RestartStrategy::fixed_delay(1, OUTAGE));
    let simulation = Simulation::new(9, job, &disk, move |flow| {
        flow.source("due", source.clone()).key_by(|n| n % 1000).count().discard();
    });
    let mut simulation = simulation.unwrap();
    let end = simulation.run(100_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}\n{}", simulation.describe());
}

/// What the job can do, per second.
fn most() -> f64 {
    let due = Due::at(None, Duration::MAX, BEFORE);
    run(&due);
    let polls = due.polls();
    // The second half, when it is warm.
    let (first, last) = (polls[polls.len() / 2], polls[polls.len() - 1]);
    (last.1 - first.1) as f64 / last.0.since(first.0).as_secs_f64()
}

#[test]
fn eo_09_what_an_outage_has_left_is_done_within_as_long() {
    let rate = most() / 2.0;
    let due = Due::at(Some(rate), BEFORE, BEFORE + 3 * OUTAGE);
    run(&due);
    let comes_in = |time: Duration| (time.as_secs_f64() * rate) as u64;
    let left = |(at, next): (Nanos, u64)| due.due(at) - next;
    let polls = due.polls();
    let back = polls.iter().position(|(at, _)| *at >= due.fails_at.after(OUTAGE)).unwrap();
    let (before, after) = polls.split_at(back);
    // Half of what it can do is no load to fall behind with.
    let behind = before.iter().map(|poll| left(*poll)).max().unwrap();
    assert!(behind <= comes_in(Duration::from_millis(1)), "{behind} were left at half load");
    assert!(left(after[0]) + POLL_MAX >= comes_in(OUTAGE), "{} have gathered", left(after[0]));
    let caught_up = after.iter().find(|poll| left(**poll) <= comes_in(CAUGHT_UP)).unwrap();
    let took = caught_up.0.since(due.fails_at.after(OUTAGE));
    assert!(took <= OUTAGE, "it took {took:?} after an outage of {OUTAGE:?}");
}
