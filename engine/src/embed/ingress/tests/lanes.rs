//! Handles with a lane each.

use std::task::Context;

use super::*;
use crate::waiting::wait_for;

fn options(capacity: usize) -> IngressOptions {
    IngressOptions::new().capacity(capacity)
}

#[test]
fn what_one_handle_sends_comes_in_order_and_the_last_handle_ends_the_stream() {
    let hub = hub::<u64>(options(100));
    let (mut first, mut second) = (Ingress::new(hub.clone()), Ingress::new(hub.clone()));
    let mut reader = reader(&hub, None);
    assert_eq!(read(&mut reader), (vec![], IDLE));
    assert!(!reader.has_input());
    for n in 0..20 {
        first.send(n).unwrap();
        second.send(100 + n).unwrap();
    }
    assert!(reader.has_input());
    let (all, answer) = read(&mut reader);
    assert_eq!(answer, IDLE);
    let of = |which: fn(&u64) -> bool| all.iter().copied().filter(which).collect::<Vec<_>>();
    assert_eq!(of(|n| *n < 100), (0..20).collect::<Vec<_>>());
    assert_eq!(of(|n| *n >= 100), (100..120).collect::<Vec<_>>());
    drop(first);
    assert_eq!(read(&mut reader), (vec![], IDLE));
    second.send(7).unwrap();
    drop(second);
    let (rest, answer) = read(&mut reader);
    assert_eq!(rest, [7]);
    // The stream ends once there was nothing more to be handed out.
    assert_eq!(
        (read(&mut reader), answer == SourcePoll::End || answer == IDLE),
        ((vec![], SourcePoll::End), true)
    );
}

#[test]
fn the_next_reader_goes_on_with_what_waits() {
    let hub = hub::<u64>(options(100));
    let mut handle = Ingress::new(hub.clone());
    let mut before = reader(&hub, None);
    for n in 0..5 {
        handle.send(n).unwrap();
    }
    assert_eq!(read(&mut before).0, [0, 1, 2, 3, 4]);
    handle.send(5).unwrap();
    let mut shown = Vec::new();
    before.for_each_waiting(|n| shown.push(*n));
    assert_eq!(shown, [5]);
    drop(before);
    handle.send(6).unwrap();
    let mut after = reader(&hub, Some([0, 5]));
    assert_eq!(read(&mut after).0, [5, 6]);
    assert_eq!(after.place(0), "numbers, record 6");
    handle.send(7).unwrap();
    assert_eq!(read(&mut after).0, [7]);
    assert_eq!(handle.ledger(), Ledger { sent: 8, processed: 8, ..Ledger::default() });
}

#[test]
fn a_full_lane_makes_its_sender_wait_and_no_other() {
    let hub = hub::<u64>(options(2));
    let (mut full, mut other) = (Ingress::new(hub.clone()), Ingress::new(hub.clone()));
    full.send(0).unwrap();
    full.try_send(1).unwrap();
    assert!(matches!(full.try_send(2), Err(SendError::Full { record: 2, .. })));
    let error = full.send_timeout(3, Duration::from_millis(5)).unwrap_err();
    assert!(matches!(error, SendError::TimedOut { record: 3, .. }), "{error}");
    other.try_send(10).unwrap();
    let sender = std::thread::spawn(move || (full.send(4).unwrap(), full));
    std::thread::sleep(Duration::from_millis(10));
    let mut reader = reader(&hub, None);
    let mut all = read_until(&mut reader, 4);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 4, 10]);
    let (sent, full) = sender.join().unwrap();
    assert_eq!(sent, Sent::Queued);
    assert_eq!(full.ledger(), Ledger { sent: 4, processed: 4, ..Ledger::default() });
}

#[test]
fn a_future_that_is_dropped_has_sent_nothing_and_one_that_waits_is_woken() {
    let hub = hub::<u64>(options(1));
    let mut handle = Ingress::new(hub.clone());
    let mut reader = reader(&hub, None);
    handle.send(0).unwrap();
    {
        let mut given_up = Box::pin(handle.send_async(1));
        let waker = Waker::noop();
        assert!(given_up.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    let sender = std::thread::spawn(move || {
        let mut sending = Box::pin(handle.send_async(2));
        wait_for(Duration::ZERO, None, |waker| {
            waker.map_or(Poll::Pending, |waker| sending.as_mut().poll(&mut Context::from_waker(waker)))
        })
    });
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(read_until(&mut reader, 2), [0, 2]);
    assert_eq!(sender.join().unwrap().unwrap().unwrap(), Sent::Queued);
}

#[test]
fn whoever_waits_for_room_is_told_that_the_job_is_over() {
    let hub = hub::<u64>(options(1));
    let mut handle = Ingress::new(hub.clone());
    handle.send(0).unwrap();
    let sender = std::thread::spawn(move || handle.send(1).map_err(SendError::into_record));
    std::thread::sleep(Duration::from_millis(10));
    hub.close(JobStatus::Failed);
    assert_eq!(sender.join().unwrap(), Err(1));
    let error = Ingress::new(hub).send(2).unwrap_err().to_string();
    assert!(error.contains("`numbers` is closed: the job is FAILED"), "{error}");
}

#[test]
fn event_time_is_that_of_the_slowest_handle_that_has_a_say() {
    let hub = hub::<u64>(options(16));
    let (mut a, mut b, mut silent) =
        (Ingress::new(hub.clone()), Ingress::new(hub.clone()), Ingress::new(hub.clone()));
    let mut reader = reader(&hub, None);
    let mut look = || {
        let mut batch = Records::with_limit(8);
        reader.poll(Nanos(0), &mut batch).unwrap();
        (batch.take_watermark().map(|at| at.0), batch.take_idle())
    };
    silent.send(1).unwrap();
    assert_eq!(look(), (None, false));
    a.watermark(Timestamp(10)).unwrap();
    b.watermark(Timestamp(5)).unwrap();
    assert_eq!(look(), (Some(5), false));
    b.idle().unwrap();
    assert_eq!(look(), (Some(10), false));
    a.watermark(Timestamp(7)).unwrap();
    assert_eq!(look(), (None, false), "it does not go back");
    drop(a);
    assert_eq!(look(), (None, true), "nobody has a say");
    b.watermark(Timestamp(20)).unwrap();
    assert_eq!(look(), (Some(20), false));
}

#[test]
fn what_is_sent_behind_a_watermark_comes_after_it() {
    let hub = hub::<u64>(options(16));
    let (mut timed, mut other) = (Ingress::new(hub.clone()), Ingress::new(hub.clone()));
    timed.send_at(1, Timestamp(5)).unwrap();
    timed.watermark(Timestamp(10)).unwrap();
    timed.send_at(2, Timestamp(9)).unwrap();
    timed.send_at(3, Timestamp(11)).unwrap();
    other.send(100).unwrap();
    let mut reader = reader(&hub, None);
    let mut look = || {
        let mut batch = Records::with_limit(8);
        let answer = reader.poll(Nanos(0), &mut batch).unwrap();
        let watermark = batch.take_watermark().map(|at| at.0);
        (batch.drain().map(|(n, _)| n).collect::<Vec<_>>(), watermark, answer)
    };
    assert_eq!(look(), (vec![1, 100], Some(10), SourcePoll::More), "no other handle is held up by it");
    assert_eq!(look(), (vec![2, 3], None, IDLE), "2 is late");
}

#[test]
fn a_thousand_handles_come_and_go() {
    let hub = hub::<u64>(options(4));
    let mut reader = reader(&hub, None);
    for round in 0..5 {
        let mut handles: Vec<_> = (0..1000).map(|_| Ingress::new(hub.clone())).collect();
        for (n, handle) in handles.iter_mut().enumerate() {
            handle.send(n as u64).unwrap();
        }
        handles.truncate(500);
        let mut all = read_until(&mut reader, 1000);
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>(), "round {round}");
        assert!(hub.lanes_in_use() <= 1000);
    }
    drop(read(&mut reader));
    drop(read(&mut reader));
    assert!(hub.lanes_in_use() <= 64, "only spare lanes are left, not {}", hub.lanes_in_use());
    assert_eq!(hub.ledger(), Ledger { sent: 5000, processed: 5000, ..Ledger::default() });
}

#[test]
fn one_handle_too_many_is_told_so() {
    let hub = hub::<u64>(options(2));
    let handles: Vec<_> = (0..LANES_MAX).map(|_| Ingress::new(hub.clone())).collect();
    let error = Ingress::new(hub.clone()).send(1).unwrap_err();
    assert!(matches!(error, SendError::TooManyHandles { max: LANES_MAX, record: 1, .. }), "{error}");
    drop(handles);
    // Spare lanes serve.
    Ingress::new(hub).send(2).unwrap();
}
