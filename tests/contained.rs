//! Panics of a program's own code in a job that is embedded in a host: each ends in an error of the job, or in a restart. None ends the host's
//! thread or lets it wait for ever.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use millstream::element::{Epoch, Nanos};
use millstream::io::{Generator, sequence};
use millstream::job::PoisonPolicy;
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

/// How long anything may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

const WORDS: &str = "as planned";

/// Has something done on a thread of its own, so that a test fails where it hangs.
#[track_caller]
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    std::thread::spawn(move || done.send(work()));
    is_done.recv_timeout(PATIENCE).expect("it hangs, or has panicked")
}

#[track_caller]
fn fails(job: Job, program: impl Fn(&Flow) + Send + Sync + 'static) -> JobError {
    let error = in_time(move || job.run(program)).unwrap_err();
    assert!(error.to_string().contains(WORDS), "{error}");
    error
}

#[test]
fn a_program_that_panics_while_it_builds_is_an_error_of_the_job() {
    let program = |_: &Flow| panic!("{WORDS}");
    let error = fails(Job::new("builds"), program);
    assert!(matches!(error, JobError::Program { .. }), "{error}");
    let error = Job::new("builds").explain(program).unwrap_err();
    assert!(matches!(error, JobError::Program { .. }), "{error}");
}

#[test]
fn a_program_that_panics_on_a_shard_alone_is_one_too() {
    let calls = Arc::new(AtomicU32::new(0));
    let job = Job::new("builds later").shards(2).oversubscribe(true).restart(RestartStrategy::None);
    fails(job, move |flow| {
        // The first call is on the thread that starts the job.
        assert!(calls.fetch_add(1, Ordering::Relaxed) < 2, "{WORDS}");
        flow.source("numbers", sequence(1..=3)).discard();
    });
}

/// Where a source panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Partitions,
    Open,
    Poll,
    Offset,
    Trim,
    Thread,
    Drop,
}

/// Gives numbers for ever, from a thread of its own, and panics at one place.
#[derive(Clone)]
struct Numbers {
    place: Place,
    /// How often it still does.
    left: Arc<AtomicU32>,
}

impl Numbers {
    fn panic_at(&self, place: Place) {
        let take = |left: u32| left.checked_sub(1);
        if self.place == place && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            panic!("{WORDS}");
        }
    }
}

impl Source for Numbers {
    type Item = u64;
    type Reader = NumbersReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        self.panic_at(Place::Partitions);
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<NumbersReader, SourceError> {
        self.panic_at(Place::Open);
        let next = offset.map_or(0, |offset| u64::from_le_bytes(offset.try_into().unwrap()));
        let (give, given) = sync_channel(64);
        let (source, giver) = (self.clone(), Giver { give: Some(give), waker: context.waker.clone() });
        std::thread::spawn(move || {
            for n in next.. {
                if n > 2000 {
                    source.panic_at(Place::Thread);
                }
                std::thread::sleep(Duration::from_micros(50));
                if !giver.give(n) {
                    return;
                }
            }
        });
        Ok(NumbersReader { source: self.clone(), given, next })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

/// The end of a queue that its source's thread has. The shard hears of it when it goes.
struct Giver {
    give: Option<SyncSender<u64>>,
    waker: millstream::runtime::Waker,
}

impl Giver {
    fn give(&self, n: u64) -> bool {
        let taken = self.give.as_ref().is_some_and(|give| give.send(n).is_ok());
        self.waker.wake();
        taken
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.give = None;
        self.waker.wake();
    }
}

struct NumbersReader {
    source: Numbers,
    given: Receiver<u64>,
    next: u64,
}

impl Reader for NumbersReader {
    type Item = u64;

    fn poll(&mut self, _: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        if self.next > 1000 {
            self.source.panic_at(Place::Poll);
        }
        while out.room() > 0 {
            match self.given.try_recv() {
                Ok(n) => {
                    self.next = n + 1;
                    out.push(n);
                }
                Err(TryRecvError::Empty) => return Ok(SourcePoll::Idle { until: None }),
                Err(TryRecvError::Disconnected) => {
                    return Err(SourceError::retryable(format!("its thread is gone, {WORDS}")));
                }
            }
        }
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        if self.next > 1000 {
            self.source.panic_at(Place::Offset);
        }
        out.extend(self.next.to_le_bytes());
    }

    fn trim(&mut self, _: &[u8]) -> Result<(), SourceError> {
        self.source.panic_at(Place::Trim);
        Ok(())
    }

    fn place(&self, _: usize) -> String {
        format!("number {}", self.next)
    }
}

impl Drop for NumbersReader {
    fn drop(&mut self) {
        self.source.panic_at(Place::Drop);
    }
}

/// Runs a job that panics so often until it has made a few checkpoints after that, and says how often it was started again.
#[track_caller]
fn outlives(name: &str, program: impl Fn(&Flow) + Send + Sync + 'static) -> u32 {
    let state = tempfile::tempdir().unwrap();
    let restart = RestartStrategy::fixed_delay(10, Duration::from_millis(1));
    let job = Job::new(name).state_dir(state.path()).checkpoint_interval(Duration::from_millis(10));
    let job = job.restart(restart).on_poison_record(PoisonPolicy::Restart).tolerable_checkpoint_failures(0);
    in_time(move || {
        let handle = job.spawn(program).unwrap();
        let had = |least: u32| handle.metrics().restarts >= least;
        while !had(1) {
            assert!(!handle.status().is_over(), "{:?}", handle.events().last());
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = handle.metrics().checkpoints.completed;
        while handle.metrics().checkpoints.completed < before + 3 {
            assert!(!handle.status().is_over(), "{:?}", handle.events().last());
            std::thread::sleep(Duration::from_millis(1));
        }
        let restarts = handle.metrics().restarts;
        handle.cancel();
        handle.wait().unwrap();
        restarts
    })
}

#[test]
fn a_source_that_panics_restarts_the_job() {
    for place in [Place::Open, Place::Poll, Place::Offset, Place::Trim, Place::Thread] {
        let source = Numbers { place, left: Arc::new(AtomicU32::new(1)) };
        let restarts = outlives(&format!("{place:?}"), move |flow| {
            flow.source("numbers", source.clone()).discard();
        });
        assert_eq!(restarts, 1, "{place:?}");
    }
}

#[test]
fn a_source_that_panics_without_end_fails_the_job() {
    for place in [Place::Partitions, Place::Open, Place::Poll, Place::Thread] {
        let source = Numbers { place, left: Arc::new(AtomicU32::new(u32::MAX)) };
        let job = Job::new("source").restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
        fails(job, move |flow| flow.source("numbers", source.clone()).discard());
    }
}

/// Runs a job for a moment, and waits for its end.
#[track_caller]
fn comes_to_an_end(program: impl Fn(&Flow) + Send + Sync + 'static) {
    let handle = Job::new("drops").restart(RestartStrategy::None).spawn(program).unwrap();
    in_time(move || {
        while handle.metrics().records_out() < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        handle.cancel();
        // How it ends is the job's affair. That it does is not.
        drop(handle.wait());
    });
}

#[test]
fn readers_and_sinks_that_panic_as_they_go_end_no_process() {
    let source = Numbers { place: Place::Drop, left: Arc::new(AtomicU32::new(u32::MAX)) };
    comes_to_an_end(move |flow| flow.source("numbers", source.clone()).discard());
    // A second panic while the first one unwinds would be the end of the process.
    comes_to_an_end(|flow| {
        let numbers = Generator::new(1, None, 10_000, |_, n| (n, Timestamp(n as i64)));
        let (one, other) = flow.source("numbers", numbers).fork();
        one.sink("one", Fragile::at(When::Drop, u32::MAX));
        other.sink("other", Fragile::at(When::Drop, u32::MAX));
    });
}

#[test]
fn sinks_that_panic_as_the_program_is_looked_at_are_an_error_of_the_job() {
    let error = fails(Job::new("unopened"), |flow| {
        let (one, other) = flow.source("numbers", sequence(1..=3)).fork();
        one.sink("one", Fragile::at(When::DropUnopened, u32::MAX));
        other.sink("other", Fragile::at(When::DropUnopened, u32::MAX));
    });
    assert!(matches!(error, JobError::Program { .. }), "{error}");
}

/// When a sink panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Open,
    Ready,
    Write,
    Flush,
    Prepare,
    PollPrepared,
    Commit,
    PollCommitted,
    Close,
    Drop,
    DropUnopened,
}

/// Swallows records, and panics so often.
#[derive(Clone)]
struct Fragile {
    when: When,
    left: Arc<AtomicU32>,
    is_open: bool,
}

impl Fragile {
    fn at(when: When, times: u32) -> Fragile {
        Fragile { when, left: Arc::new(AtomicU32::new(times)), is_open: false }
    }

    fn panic_at(&self, when: When) {
        let take = |left: u32| left.checked_sub(1);
        if self.when == when && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            panic!("{WORDS}");
        }
    }
}

impl<R: ?Sized> Sink<R> for Fragile {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        self.is_open = true;
        self.panic_at(When::Open);
        Ok(())
    }

    fn ready(&mut self) -> bool {
        self.panic_at(When::Ready);
        true
    }

    fn write(&mut self, _: &R, _: Timestamp) -> Result<(), SinkError> {
        self.panic_at(When::Write);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.panic_at(When::Flush);
        Ok(())
    }

    fn prepare(&mut self, _: Epoch) -> Result<(), SinkError> {
        self.panic_at(When::Prepare);
        Ok(())
    }

    fn poll_prepared(&mut self, _: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        self.panic_at(When::PollPrepared);
        Poll::Ready(Ok(Some(vec![1])))
    }

    fn commit(&mut self, _: Epoch) -> Result<(), SinkError> {
        self.panic_at(When::Commit);
        Ok(())
    }

    fn poll_committed(&mut self, _: Epoch) -> Poll<Result<(), SinkError>> {
        self.panic_at(When::PollCommitted);
        Poll::Ready(Ok(()))
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.panic_at(When::Close);
        Ok(())
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.panic_at(if self.is_open { When::Drop } else { When::DropUnopened });
    }
}

#[test]
fn a_sink_that_panics_restarts_the_job() {
    let whens = [
        When::Open,
        When::Ready,
        When::Write,
        When::Flush,
        When::Prepare,
        When::PollPrepared,
        When::Commit,
        When::PollCommitted,
    ];
    for when in whens {
        let sink = Fragile::at(when, 1);
        let restarts = outlives(&format!("{when:?}"), move |flow| {
            let numbers = Generator::new(1, None, 10_000, |_, n| (n, Timestamp(n as i64)));
            flow.source("numbers", numbers).sink("fragile", sink.clone());
        });
        assert_eq!(restarts, 1, "{when:?}");
    }
}

#[test]
fn a_sink_that_panics_without_end_fails_the_job() {
    for when in [When::Open, When::Write, When::PollPrepared, When::Commit, When::Close] {
        let sink = Fragile::at(when, u32::MAX);
        let job = Job::new("sink").restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
        let state = tempfile::tempdir().unwrap();
        fails(job.state_dir(state.path()), move |flow| {
            flow.source("numbers", sequence(1..=3)).sink("fragile", sink.clone());
        });
    }
}

/// A waker that panics.
struct Bomb(AtomicU32);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("{WORDS}");
    }
}

#[test]
fn a_waker_of_the_hosts_that_panics_harms_nobody_else() {
    let state = tempfile::tempdir().unwrap();
    let job = Job::new("wakers").state_dir(state.path()).checkpoint_interval(Duration::from_millis(10));
    let handle = job.spawn(|flow| {
        let numbers = Generator::new(1, None, 10_000, |_, n| (n, Timestamp(n as i64)));
        flow.source("numbers", numbers).key_by(|n| n % 2).count().name("counts").discard();
    });
    let handle = handle.unwrap();
    let bomb = Arc::new(Bomb(AtomicU32::new(0)));
    let waker = Waker::from(bomb.clone());
    let mut result = pin!(handle.result());
    assert!(result.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut bombed = handle.watch::<u64, u64>("counts", "value", &0).unwrap();
    let mut calm = handle.watch::<u64, u64>("counts", "value", &1).unwrap();
    assert!(bombed.poll_next(&mut Context::from_waker(&waker)).is_pending());
    for _ in 0..3 {
        calm.next_timeout(PATIENCE).unwrap().unwrap();
    }
    assert_eq!(bomb.0.load(Ordering::Relaxed), 1);
    assert!(bombed.next_timeout(PATIENCE).unwrap().is_ok());
    handle.cancel();
    while calm.next_timeout(PATIENCE).is_some() {}
    let ended = loop {
        if let Poll::Ready(ended) = result.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(ended.unwrap().status, JobStatus::Canceled);
}

#[test]
fn a_function_that_shows_records_may_panic() {
    let job = Job::new("shown").restart(RestartStrategy::fixed_delay(5, Duration::ZERO));
    let job = job.on_poison_record(PoisonPolicy::Fail).redact_records(|_| panic!("{WORDS}"));
    let control = in_time(move || {
        let handle = job.spawn(|flow| {
            flow.source("numbers", sequence(1..=3)).rebalance().map(|n| assert!(*n != 2, "two")).discard();
        });
        let handle = handle.unwrap();
        let control = handle.control();
        let error = handle.wait().unwrap_err();
        let JobError::Poison { record, .. } = &error else { panic!("{error}") };
        assert!(record.shown.as_ref().unwrap().contains(WORDS), "{record}");
        control
    });
    assert_eq!(control.status(), JobStatus::Failed);
}
