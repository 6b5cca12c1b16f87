//! Calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use millstream::embed::{AskError, Asked, AskedView};
use millstream::io::JournalOptions;
use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};

use super::*;

/// Adds to a sum per key.
#[derive(Record, Clone, Debug, PartialEq)]
struct Add {
    key: u64,
    number: u64,
    text: String,
}

/// The sum so far, and what was asked.
#[derive(Record, Clone, Debug, PartialEq)]
struct Sum {
    sum: u64,
    of: u64,
    text: String,
}

#[derive(Default)]
struct Sums {
    sum: ValueState<u64>,
    /// Fails the job when it sees the number 13, once.
    fails: Option<Arc<AtomicBool>>,
}

impl KeyedProcess<Asked<Add>, u64> for Sums {
    type Out = millstream::embed::Reply<Sum>;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.sum = states.value("sum");
    }

    fn process(&mut self, asked: &AskedView<Add>, ctx: &mut KeyedContext<'_, u64, Self::Out>) {
        let request = asked.request();
        if let Some(fails) = &self.fails
            && request.number() == 13
            && !fails.swap(true, Ordering::SeqCst)
        {
            panic!("thirteen is not liked");
        }
        let sum = ctx.get(&self.sum).unwrap_or(0) + request.number();
        ctx.set(&self.sum, sum);
        ctx.emit(asked.reply(Sum { sum, of: request.number(), text: request.text().to_owned() }));
    }
}

fn sums(flow: &Flow, fails: Option<Arc<AtomicBool>>) {
    flow.ask::<Add, Sum>("sums")
        .key_by(|asked| asked.request.key)
        .process(Sums { fails, ..Sums::default() })
        .name("adds")
        .reply("sums");
}

fn add(key: u64, number: u64) -> Add {
    Add { key, number, text: format!("{key}+{number}") }
}

#[test]
fn every_reply_is_for_its_own_request_and_none_is_lost() {
    let job = Job::new("sums").shards(2).oversubscribe(true);
    let asks = job.ask::<Add, Sum>("sums", AskOptions::new().in_flight(8));
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    let callers: Vec<_> = (0..6u64)
        .map(|key| {
            let mut asks = asks.clone();
            thread::spawn(move || {
                let mut given_up = 0;
                for number in 0..500 {
                    // Now and then somebody does not wait for the reply, or not long enough.
                    let patience = if number % 7 == 3 { Duration::from_micros(number) } else { PATIENCE };
                    match asks.call(add(key, number), patience) {
                        Ok(reply) => assert_eq!((reply.of, reply.text), (number, add(key, number).text)),
                        Err(AskError::Deadline { .. }) if patience < PATIENCE => given_up += 1,
                        Err(error) => panic!("{error}"),
                    }
                    if number % 11 == 5 {
                        drop(asks.start(add(key, 0), PATIENCE));
                    }
                }
                (asks.call(add(key, 0), PATIENCE).unwrap().sum, given_up)
            })
        })
        .collect();
    for caller in callers {
        let (sum, given_up) = caller.join().unwrap();
        // A request whose caller gave up has taken effect, or never left.
        let all: u64 = (0..500).sum();
        assert!(sum <= all && (sum == all || given_up > 0), "{sum} of {all}, {given_up} given up");
    }
    assert_eq!(asks.in_flight(), 0);
    drop(asks);
    running.wait().unwrap();
}

/// A job that fails once at 13.
fn failing(dir: &Path, options: AskOptions) -> (Ask<Add, Sum>, JobHandle) {
    let job = Job::new("sums")
        .state_dir(dir.join("state"))
        .checkpoint_interval(Duration::from_millis(5))
        .restart(at_once());
    let asks = job.ask::<Add, Sum>("sums", options);
    let fails = Arc::new(AtomicBool::new(false));
    (asks, job.spawn(move |flow| sums(flow, Some(fails.clone()))).unwrap())
}

#[test]
fn a_call_that_the_job_fails_under_is_interrupted_and_the_next_one_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (mut asks, running) = failing(dir.path(), AskOptions::new());
    assert_eq!(asks.call(add(1, 1), PATIENCE).unwrap().sum, 1);
    let mut durable = asks.clone().with_level(Level::Durable);
    assert_eq!(durable.call(add(1, 2), PATIENCE).unwrap().sum, 3);
    assert_eq!(asks.call(add(1, 13), PATIENCE), Err(AskError::Interrupted));
    // It waits until the job is there again, on what was durable.
    assert_eq!(asks.call(add(1, 4), PATIENCE).unwrap().sum, 7);
    assert_eq!(running.metrics().restarts, 1);
    drop((asks, durable));
    running.wait().unwrap();
}

#[test]
fn with_a_journal_a_call_is_answered_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut asks, running) = failing(dir.path(), AskOptions::new().journal(JournalOptions::new()));
    for number in 1..=20 {
        let expected: u64 = (1..=number).sum();
        assert_eq!(asks.call(add(1, number), PATIENCE).unwrap().sum, expected, "nothing twice, nothing lost");
    }
    assert_eq!(running.metrics().restarts, 1);
    drop(asks);
    running.wait().unwrap();
}

#[test]
fn what_a_durable_reply_says_is_in_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("sums").state_dir(dir.path()).checkpoint_interval(Duration::from_millis(2));
    let mut asks = job.ask::<Add, Sum>("sums", AskOptions::new().level(Level::Durable));
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    for number in 1..=20 {
        let told = asks.call(add(7, number), PATIENCE).unwrap().sum;
        let committed = running.committed_state().unwrap();
        let kept = committed.state::<u64, u64>("adds", "sum").unwrap().get(&7).unwrap();
        assert!(kept >= Some(told), "{kept:?} is durable when {told} is told");
    }
    drop(asks);
    running.wait().unwrap();
}

#[test]
fn a_durable_reply_of_a_job_without_checkpoints_is_not_waited_for() {
    let job = Job::new("sums");
    let asks = job.ask::<Add, Sum>("sums", AskOptions::new());
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    let error = asks.with_level(Level::Durable).call(add(1, 1), PATIENCE).unwrap_err();
    assert!(
        matches!(&error, AskError::NotSent { .. }) && error.to_string().contains("Job::state_dir"),
        "{error}"
    );
    running.wait().unwrap();
}

#[test]
fn calls_end_with_the_job() {
    let job = Job::new("silent");
    let mut asks = job.ask::<u64, u64>("silent", AskOptions::new());
    let running = job
        .spawn(|flow| {
            flow.ask::<u64, u64>("silent")
                .filter(|asked| asked.request == 0)
                .map(|asked| asked.reply(0u64))
                .reply("silent");
        })
        .unwrap();
    assert_eq!(asks.call(0, PATIENCE), Ok(0));
    assert_eq!(asks.call(1, Duration::from_millis(10)), Err(AskError::Deadline { sent: true }));
    let mut other = asks.clone();
    let waits = thread::spawn(move || other.call(2, PATIENCE));
    until("the call", || asks.in_flight() == 1);
    thread::sleep(Duration::from_millis(10));
    running.cancel();
    running.wait().unwrap();
    assert_eq!(waits.join().unwrap(), Err(AskError::Interrupted));
    assert_eq!(asks.call(3, PATIENCE), Err(AskError::JobOver { status: JobStatus::Canceled }));
    assert!(matches!(asks.start(3, PATIENCE), Err(AskError::JobOver { .. })));
}

#[test]
fn host_threads_that_die_and_a_thousand_handles_do_the_job_no_harm() {
    let job = Job::new("sums");
    let asks = job.ask::<Add, Sum>("sums", AskOptions::new());
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    let dying: Vec<_> = (0..8)
        .map(|key| {
            let mut asks = asks.clone();
            thread::Builder::new()
                .name("dies".to_owned())
                .spawn(move || {
                    let _under_way = asks.start(add(key, 1), PATIENCE).unwrap();
                    panic!("the thread dies with a handle and a call");
                })
                .unwrap()
        })
        .collect();
    assert!(dying.into_iter().all(|thread| thread.join().is_err()));
    let mut handles: Vec<_> = (0..1000).map(|_| asks.clone()).collect();
    let mut sums = BTreeMap::new();
    for (n, handle) in handles.iter_mut().enumerate() {
        let key = 100 + n as u64 % 10;
        *sums.entry(key).or_insert(0) += n as u64;
        assert_eq!(handle.call(add(key, n as u64), PATIENCE).unwrap().sum, sums[&key]);
    }
    drop(handles);
    assert_eq!(asks.in_flight(), 0);
    drop(asks);
    assert_eq!(running.wait().unwrap().status, JobStatus::Finished);
}

/// Polls a future so often at most; its output if it came to that.
fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    (0..times).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            thread::sleep(Duration::from_micros(200));
            None
        }
    })
}

#[test]
fn futures_are_cancelled_at_every_point_without_a_trace() {
    let job = Job::new("sums");
    let mut asks = job.ask::<Add, Sum>("sums", AskOptions::new().in_flight(1));
    // Before the job runs: the first waits for a reply, the second for room.
    let waiting = asks.start(add(1, 0), PATIENCE).unwrap();
    for polls in 0..4 {
        assert!(poll_times(asks.call_async(add(1, 1), PATIENCE), polls).is_none());
    }
    assert_eq!(asks.in_flight(), 1);
    drop(waiting);
    for polls in 0..4 {
        assert!(poll_times(asks.call_async(add(1, 0), PATIENCE), polls).is_none());
        assert_eq!(asks.in_flight(), 0);
    }
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    let mut done = 0;
    for polls in (0..40).cycle().take(400) {
        done += u32::from(poll_times(asks.call_async(add(2, 0), PATIENCE), polls).is_some());
        assert_eq!(asks.in_flight(), 0);
    }
    assert!(done > 0, "some came to their end");
    assert_eq!(asks.call(add(2, 5), PATIENCE).unwrap().sum, 5);
    drop(asks);
    running.wait().unwrap();
}

#[test]
fn tasks_of_a_runtime_ask_side_by_side() {
    let job = Job::new("sums");
    let asks = job.ask::<Add, Sum>("sums", AskOptions::new());
    let running = job.spawn(|flow| sums(flow, None)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..50u64)
            .map(|key| {
                let mut asks = asks.clone();
                tokio::spawn(async move {
                    for number in 1..=20 {
                        let reply = asks.call_async(add(key, number), PATIENCE).await.unwrap();
                        assert_eq!(reply.sum, (1..=number).sum::<u64>());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // A deadline needs no clock of the runtime's.
        let mut asks = asks.clone();
        let late = asks.call_async(add(1, 0), Duration::ZERO).await;
        assert!(matches!(late, Ok(_) | Err(AskError::Deadline { .. })));
    });
    drop(asks);
    running.wait().unwrap();
}
