//! A source that the test feeds while the job runs, and a job under a clock that the test moves.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream::element::Nanos;
use millstream::io::{Collected, collect};
use millstream::prelude::*;
use millstream::runtime::Waker;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use millstream::time::VirtualClock;

/// How long something may take to happen, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "it does not come to this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A source without end. Clones are the same source; each reader takes one record at a poll.
#[derive(Clone)]
pub struct Fed {
    partitions: Arc<Vec<Partition>>,
}

#[derive(Default)]
struct Partition {
    records: Mutex<VecDeque<(u64, Timestamp)>>,
    waker: Mutex<Option<Waker>>,
    taken: AtomicUsize,
}

impl Fed {
    pub fn new(partitions: usize) -> Self {
        Fed { partitions: Arc::new((0..partitions).map(|_| Partition::default()).collect()) }
    }

    /// Adds records, without waiting for them to be taken.
    pub fn give(&self, partition: usize, records: impl IntoIterator<Item = (u64, i64)>) {
        let partition = &self.partitions[partition];
        let records = records.into_iter().map(|(record, at)| (record, Timestamp(at)));
        partition.records.lock().unwrap().extend(records);
        if let Some(waker) = &*partition.waker.lock().unwrap() {
            waker.wake();
        }
    }

    /// How many records of a partition were taken.
    pub fn taken(&self, partition: usize) -> usize {
        self.partitions[partition].taken.load(Ordering::Acquire)
    }

    /// Adds a record and waits until it is taken.
    pub fn feed(&self, partition: usize, record: u64, at: i64) {
        let before = self.taken(partition);
        self.give(partition, [(record, at)]);
        until("the record is taken", || self.taken(partition) > before);
    }
}

impl Source for Fed {
    type Item = u64;
    type Reader = FedReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions.len()).map(|number| PartitionId(format!("fed-{number}"))).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        _: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<FedReader, SourceError> {
        let number: usize = partition.0["fed-".len()..].parse().unwrap();
        *self.partitions[number].waker.lock().unwrap() = Some(context.waker.clone());
        Ok(FedReader { source: self.clone(), number })
    }

    fn replay(&self) -> Replay {
        Replay::No { because: "it is fed by hand".to_owned() }
    }

    fn bounded(&self) -> bool {
        false
    }
}

pub struct FedReader {
    source: Fed,
    number: usize,
}

impl Reader for FedReader {
    type Item = u64;

    fn poll(&mut self, _: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let partition = &self.source.partitions[self.number];
        let Some((record, at)) = partition.records.lock().unwrap().pop_front() else {
            return Ok(SourcePoll::Idle { until: None });
        };
        out.push_at(record, at);
        partition.taken.fetch_add(1, Ordering::Release);
        Ok(SourcePoll::More)
    }

    fn offset(&self, _: &mut Vec<u8>) {}

    fn place(&self, index: usize) -> String {
        format!("fed-{}, record {index}", self.number)
    }
}

/// A job that runs, the clock it goes by, and what comes out of it.
pub struct Stepped<T> {
    pub running: JobHandle,
    pub clock: VirtualClock,
    results: Collected<T>,
}

impl<T: Record + Clone + Send> Stepped<T> {
    /// Starts a job under a virtual clock. The program ends in the sink that it is given.
    pub fn start<P>(shards: u16, program: P) -> Self
    where
        P: Fn(&Flow, millstream::io::CollectRecords<T>) + Send + Sync + 'static,
    {
        Self::run(Job::new("stepped").shards(shards), Duration::ZERO, program)
    }

    /// The same, with checkpoints in a directory, and with a clock that stands at `now`.
    pub fn start_in<P>(state: &Path, shards: u16, now: Duration, program: P) -> Self
    where
        P: Fn(&Flow, millstream::io::CollectRecords<T>) + Send + Sync + 'static,
    {
        let job = Job::new("stepped").shards(shards).state_dir(state);
        Self::run(job.checkpoint_interval(Duration::from_millis(1)), now, program)
    }

    fn run<P>(job: Job, now: Duration, program: P) -> Self
    where
        P: Fn(&Flow, millstream::io::CollectRecords<T>) + Send + Sync + 'static,
    {
        let (sink, results) = collect::<T>();
        let sink = Mutex::new(sink);
        let clock = VirtualClock::new();
        clock.set(now);
        let running = job
            .oversubscribe(true)
            .restart(RestartStrategy::None)
            .clock(clock.clone())
            .spawn(move |flow| program(flow, sink.lock().unwrap().clone()))
            .unwrap();
        until("the job runs", || running.status() == JobStatus::Running && running.event_time().is_ok());
        Stepped { running, clock, results }
    }

    /// The next result.
    #[track_caller]
    pub fn next(&self) -> T {
        self.results.next_within(PATIENCE).expect("a result is due")
    }

    /// Nothing comes out for a while.
    #[track_caller]
    pub fn nothing(&self)
    where
        T: std::fmt::Debug,
    {
        let result = self.results.next_within(Duration::from_millis(100));
        assert!(result.is_none(), "{result:?} is too soon");
    }

    /// Waits until an operator has this watermark on all shards.
    #[track_caller]
    pub fn until_watermark(&self, operator: &str, watermark: i64) {
        until(&format!("{operator} at {watermark}"), || {
            self.watermarks(operator).iter().all(|at| *at == watermark)
        });
    }

    /// The watermarks of an operator, by shard.
    pub fn watermarks(&self, operator: &str) -> Vec<i64> {
        let all = self.running.event_time().unwrap().operators();
        all.into_iter().filter(|of| of.operator == operator).map(|of| of.watermark.0).collect()
    }

    /// Stops the job with a checkpoint that holds all that has happened.
    pub fn stop_with_checkpoint(self) {
        self.running.stop();
        assert_eq!(self.running.wait().unwrap().status, JobStatus::Stopped);
    }

    pub fn stop(self) {
        self.running.cancel();
        self.running.wait().unwrap();
    }
}
