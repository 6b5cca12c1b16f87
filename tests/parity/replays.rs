//! What a failure does to the records of a source: of one that can be read again, of one that cannot, and of one that repeats itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::element::Nanos;
use millstream::graph::Guarantee;
use millstream::io::{JournalOptions, TcpLines};
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use millstream::testing::golden::Once;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};

const NUMBERS: u64 = 100;

/// Before this number the connection is lost, once.
const LOST_BEFORE: u64 = 55;

const PACE: Duration = Duration::from_millis(10);

/// With a checkpoint so often, the newest one before the failure holds the numbers below 50.
const INTERVAL: Duration = Duration::from_millis(100);

/// The numbers from 0 on, one after the other, at a pace.
#[derive(Clone)]
struct Numbers {
    /// Whether they can be asked for again.
    replay: Replay,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The number that has not been given yet.
    next: AtomicU64,
    is_lost: AtomicBool,
    /// Where readers were told to begin.
    opened_at: Mutex<Vec<Option<u64>>>,
}

impl Numbers {
    fn replayable() -> Numbers {
        Numbers { replay: Replay::Yes, shared: Arc::default() }
    }

    fn live() -> Numbers {
        let because = "what nobody has listened to is gone".to_owned();
        Numbers { replay: Replay::No { because }, shared: Arc::default() }
    }
}

impl Source for Numbers {
    type Item = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("numbers".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<NumbersReader, SourceError> {
        let offset = offset.map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        self.shared.opened_at.lock().unwrap().push(offset);
        let next = match self.replay {
            Replay::Yes => offset.unwrap_or(0),
            Replay::No { .. } => self.shared.next.load(Ordering::Relaxed),
        };
        Ok(NumbersReader { shared: self.shared.clone(), next, due: Nanos(0) })
    }

    fn replay(&self) -> Replay {
        self.replay.clone()
    }

    fn bounded(&self) -> bool {
        true
    }
}

struct NumbersReader {
    shared: Arc<Shared>,
    next: u64,
    due: Nanos,
}

impl Reader for NumbersReader {
    type Item = u64;

    fn poll(&mut self, now: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        if self.next == NUMBERS {
            return Ok(SourcePoll::End);
        }
        if now < self.due {
            return Ok(SourcePoll::Idle { until: Some(self.due) });
        }
        if self.next == LOST_BEFORE && !self.shared.is_lost.swap(true, Ordering::Relaxed) {
            return Err(SourceError::retryable("the connection is lost"));
        }
        out.push(self.next);
        self.next += 1;
        self.due = now.after(PACE);
        self.shared.next.store(self.next, Ordering::Relaxed);
        Ok(SourcePoll::Idle { until: Some(self.due) })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, _: usize) -> String {
        format!("before number {}", self.next)
    }
}

fn job() -> Job {
    Job::new("numbers")
        .shards(2)
        .state_dir("/state")
        .checkpoint_interval(INTERVAL)
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO))
}

/// Lets a program come to its end, by way of one restart.
fn run(program: impl Fn(&Flow) + Send + Sync + 'static) {
    let disk = SimDisk::new(5, SimFaults::default());
    let mut simulation = Simulation::new(5, job(), &disk, program).unwrap();
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}\n{}", simulation.describe());
    assert_eq!(simulation.metrics().restarts, 1, "{:?}", simulation.failures());
}

/// How often each last digit was counted.
fn counted(numbers: &Numbers) -> BTreeMap<u64, u64> {
    let (numbers, counts) = (numbers.clone(), Once::new());
    let sink = counts.clone();
    run(move |flow| {
        let digits = flow.source("numbers", numbers.clone()).key_by(|n| n % 10);
        digits.count().sink("counts", sink.clone());
    });
    // The last count of each is its highest.
    counts.results().into_iter().collect()
}

#[test]
fn cp_24_what_cannot_be_read_again_is_counted_once_or_not_at_all() {
    let live = Numbers::live();
    let counts = counted(&live);
    // State is that of the checkpoint; what came after it is gone: 50 to 54.
    let expected = (0..10).map(|digit| (digit, if digit < 5 { 9 } else { 10 }));
    assert_eq!(counts, expected.collect());

    let said = |source: TcpLines| {
        let plan = job().explain(move |flow| {
            flow.source("lines", source.clone()).sink("out", Once::new());
        });
        plan.unwrap().paths()[0].guarantee
    };
    let socket = || TcpLines::new("localhost:1");
    assert_eq!(said(socket()), Guarantee::AtMostOnce);
    // With a journal it can be read again, and is as good as any other.
    assert_eq!(said(socket().journal(JournalOptions::new())), Guarantee::ExactlyOnce);
}

#[test]
fn eo_02_a_source_goes_on_from_the_position_of_the_checkpoint() {
    let numbers = Numbers::replayable();
    let counts = counted(&numbers);
    assert_eq!(counts, (0..10).map(|digit| (digit, 10)).collect());
    assert_eq!(*numbers.shared.opened_at.lock().unwrap(), [None, Some(50)]);
}

#[test]
fn eo_02_what_the_other_side_sends_twice_is_known_by_its_id_through_a_failure() {
    let (numbers, seen) = (Numbers::replayable(), Once::new());
    let sink = seen.clone();
    // The other side goes back by twenty: the ids 40 to 59 come twice. The failure is between the two times, and so is the checkpoint.
    run(move |flow| {
        let ids = flow.source("numbers", numbers.clone()).map(|n| if n < 60 { n } else { n - 20 });
        ids.key_by(|id| id % 10).dedup_by(|id| *id, 10).sink("seen", sink.clone());
    });
    let mut seen = seen.results();
    seen.sort();
    assert_eq!(seen, (0..NUMBERS - 20).collect::<Vec<_>>());
}
