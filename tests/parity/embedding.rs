//! Records that a host program pushes into its job: the journal that makes them come again, and what is done where there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream::embed::Ledger;
use millstream::io::JournalOptions;
use millstream::prelude::*;

#[test]
fn io_02_what_is_in_the_journal_counts_once_whatever_fails() {
    let state = tempfile::tempdir().unwrap();
    let job = Job::new("journaled")
        .state_dir(state.path())
        .checkpoint_interval(Duration::from_millis(5))
        .restart(RestartStrategy::fixed_delay(3, Duration::from_millis(1)));
    let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new().journal(JournalOptions::new()));
    let fails = Arc::new(AtomicBool::new(true));
    let running = job.spawn(move |flow| {
        let (seen, fails) = (flow.counter("seen"), fails.clone());
        flow.ingress::<u64>("numbers")
            .try_map(move |n| match n == 60 && fails.swap(false, Ordering::Relaxed) {
                true => Err("once"),
                false => Ok(n),
            })
            .inspect(move |n| seen.add(*n as i64))
            .discard();
    });
    let running = running.unwrap();
    for n in 0..100 {
        numbers.send(n).unwrap();
        if n % 20 == 0 {
            // For a checkpoint to come in between.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    drop(numbers);
    let summary = running.wait().unwrap();
    assert_eq!(summary.metrics.restarts, 1);
    assert_eq!(summary.accumulators.counter("seen"), Ok((0..100).sum()));
}

#[test]
fn io_18_what_is_spilled_is_not_lost_and_the_backlog_drains() {
    let dir = tempfile::tempdir().unwrap();
    let spill = Overload::Spill { dir: dir.path().to_owned(), max_bytes: 1 << 24 };
    let job = Job::new("spills");
    let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new().capacity(16).overload(spill));
    let mut out = job.egress::<u64>("out", EgressOptions::new().capacity(16));
    let running = job.spawn(|flow| flow.ingress::<u64>("numbers").egress("out")).unwrap();
    // Nobody receives meanwhile: the sender is as much faster as can be.
    for n in 0..20_000 {
        numbers.send(n).unwrap();
    }
    assert!(numbers.ledger().queued > 19_000, "{}", numbers.ledger());
    for n in 0..20_000 {
        assert_eq!(out.recv(), Ok(n));
    }
    assert_eq!(numbers.ledger(), Ledger { sent: 20_000, processed: 20_000, ..Ledger::default() });
    drop(numbers);
    running.wait().unwrap();
}

#[test]
fn io_18_every_loss_is_counted() {
    for overload in [Overload::DropOldest, Overload::DropNewest, Overload::Sample(0.5), Overload::Reject] {
        let job = Job::new("sheds");
        let options = IngressOptions::new().capacity(16).overload(overload.clone());
        let mut numbers = job.ingress::<u64>("numbers", options);
        // More than there is room for, before anybody takes any.
        let rejected = (0..1_000).filter(|n| numbers.send(*n).is_err()).count() as u64;
        let running = job.spawn(|flow| flow.ingress::<u64>("numbers").discard()).unwrap();
        let last = numbers.clone();
        drop(numbers);
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while last.ledger().queued > 0 {
            assert!(std::time::Instant::now() < end, "{}", last.ledger());
            std::thread::sleep(Duration::from_millis(1));
        }
        let ledger = last.ledger();
        assert_eq!((ledger.sent, ledger.rejected), (1_000, rejected), "{overload:?}");
        assert_eq!(ledger.processed, 1_000 - ledger.shed(), "{overload:?}");
        let lost = [ledger.dropped_oldest, ledger.dropped_newest, ledger.sampled_out, ledger.rejected];
        assert_eq!(lost.iter().filter(|lost| **lost > 0).count(), 1, "{overload:?}: {ledger:?}");
        drop(last);
        assert_eq!(running.wait().unwrap().metrics.records_in(), ledger.processed, "{overload:?}");
    }
}
