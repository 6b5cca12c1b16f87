use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::*;
use crate::element::Epoch;
use crate::job::JobStatus;
use crate::sink::Sink as _;
use std::future::Future;

fn desk(options: AskOptions) -> Arc<Desk<u64>> {
    Arc::new(Desk::new(options))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn open(desk: &Arc<Desk<u64>>, level: Level) -> Call<u64> {
    match desk.open(level, soon(), None) {
        Poll::Ready(call) => call.unwrap(),
        Poll::Pending => panic!("there is a free slot"),
    }
}

fn reply(call: CallId, reply: u64) -> Reply<u64> {
    Reply { call, reply }
}

#[test]
fn a_reply_reaches_its_call_and_no_other() {
    let desk = desk(AskOptions::new().in_flight(2));
    let (first, second) = (open(&desk, Level::Computed), open(&desk, Level::Computed));
    assert!(desk.open(Level::Computed, soon(), None).is_pending(), "there are as many as there can be");
    desk.reply(second.id(), 2);
    desk.reply(second.id(), 3);
    desk.reply(first.id(), 1);
    assert_eq!((first.wait(), second.wait()), (Ok(1), Ok(2)), "the first reply counts");
    // Whoever takes a slot next does not get what was meant for the one before.
    let given_up = open(&desk, Level::Computed);
    let late = given_up.id();
    drop(given_up);
    let next = open(&desk, Level::Computed);
    assert_eq!(next.id().slot, late.slot);
    desk.reply(late, 4);
    desk.reply(CallId { desk: late.desk ^ 1, ..next.id() }, 5);
    assert!(next.look(None).is_pending());
    desk.reply(next.id(), 6);
    assert_eq!(next.wait(), Ok(6));
    assert_eq!(desk.in_flight(), 0);
}

#[test]
fn a_durable_reply_waits_for_its_checkpoint() {
    let desk = desk(AskOptions::new());
    let mut sink = ReplySink::new(Some(desk.clone()));
    let (computed, durable) = (open(&desk, Level::Computed), open(&desk, Level::Durable));
    let at = Timestamp::MIN;
    sink.write(&reply(computed.id(), 1), at).unwrap();
    sink.write(&reply(durable.id(), 2), at).unwrap();
    assert_eq!(computed.wait(), Ok(1));
    sink.prepare(Epoch(4)).unwrap();
    let later = open(&desk, Level::Durable);
    sink.write(&reply(later.id(), 3), at).unwrap();
    assert!(durable.look(None).is_pending());
    // Checkpoint 4 failed; 5 covers what it would have.
    sink.prepare(Epoch(5)).unwrap();
    sink.commit(Epoch(4)).unwrap();
    assert_eq!(durable.wait(), Ok(2));
    assert!(later.look(None).is_pending());
    sink.commit(Epoch(5)).unwrap();
    assert_eq!(later.wait(), Ok(3));
}

#[test]
fn calls_whose_requests_were_taken_are_interrupted() {
    let desk = desk(AskOptions::new());
    let (taken, waits) = (open(&desk, Level::Computed), open(&desk, Level::Computed));
    desk.interrupt_all_but(&HashSet::from([waits.id()]));
    assert_eq!(taken.wait(), Err(AskError::Interrupted));
    desk.reply(waits.id(), 1);
    assert_eq!(waits.wait(), Ok(1));
}

#[test]
fn the_end_of_the_job_ends_all_calls() {
    let desk = desk(AskOptions::new().in_flight(1));
    let under_way = open(&desk, Level::Computed);
    let (of_thread, begin) = (desk.clone(), Instant::now());
    let waits_for_a_slot = std::thread::spawn(move || {
        wait_for(Duration::ZERO, Some(soon()), |waker| of_thread.open(Level::Computed, soon(), waker))
            .map(|call| call.map(|call| call.id()))
    });
    std::thread::sleep(Duration::from_millis(10));
    desk.close(JobStatus::Canceled);
    assert_eq!(under_way.wait(), Err(AskError::Interrupted));
    let over = AskError::JobOver { status: JobStatus::Canceled };
    assert_eq!(waits_for_a_slot.join().unwrap(), Some(Err(over.clone())));
    assert!(begin.elapsed() < Duration::from_secs(4), "nobody waited for the deadline");
    assert!(matches!(desk.open(Level::Computed, soon(), None), Poll::Ready(Err(error)) if error == over));
}

/// Polls a future by a thread that sleeps in between.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let done = wait_for(Duration::ZERO, Some(soon()), |waker| match waker {
        Some(waker) => future.as_mut().poll(&mut Context::from_waker(waker)),
        None => Poll::Pending,
    });
    done.expect("it is ready within five seconds")
}

#[test]
fn a_task_is_woken_by_the_reply_or_at_the_deadline() {
    let desk = desk(AskOptions::new());
    let call = open(&desk, Level::Computed);
    let (of_thread, id) = (desk.clone(), call.id());
    let replies = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        of_thread.reply(id, 7);
    });
    assert_eq!(block_on(call), Ok(7));
    replies.join().unwrap();
    for wait in [30, 10, 20] {
        let begin = Instant::now();
        let deadline = begin + Duration::from_millis(wait);
        let Poll::Ready(Ok(call)) = desk.open(Level::Computed, deadline, None) else {
            panic!("a slot is free")
        };
        assert_eq!(block_on(call), Err(AskError::Deadline { sent: true }));
        assert!(begin.elapsed() >= Duration::from_millis(wait));
    }
}

#[test]
fn a_task_that_waits_for_a_slot_is_woken_when_there_is_one_or_at_the_deadline() {
    let desk = desk(AskOptions::new().in_flight(1));
    let call = open(&desk, Level::Computed);
    let open_until = |deadline| {
        let desk = desk.clone();
        async move { poll_fn(|context| desk.open_by(Level::Computed, deadline, context.waker())).await }
    };
    let result = block_on(open_until(Instant::now() + Duration::from_millis(10)));
    assert_eq!(result.err(), Some(AskError::Deadline { sent: false }));
    let frees = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        drop(call);
    });
    assert!(block_on(open_until(soon())).is_ok());
    frees.join().unwrap();
}

#[test]
fn a_desk_that_is_dropped_lets_its_clock_go() {
    let desk = desk(AskOptions::new());
    let mut call = open(&desk, Level::Computed);
    call.watch_deadline();
    let weak = Arc::downgrade(&desk);
    drop((call, desk));
    // The clock's thread may hold it for a moment.
    let gone = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        weak.strong_count() == 0
    });
    assert!(gone);
}
