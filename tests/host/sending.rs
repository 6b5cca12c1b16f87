//! Records that the host sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream::embed::{Ledger, Sent};
use millstream::io::JournalOptions;

use super::*;

/// Counts per key, to an egress; fails once in a while.
fn counts(flow: &Flow, fails_at: Arc<AtomicU64>) {
    flow.ingress::<(u64, u64)>("numbers")
        .map(move |record| {
            // Once for each of the three.
            let fails = |at: u64| {
                record.1 == at
                    && fails_at.compare_exchange(at, at + 300, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            };
            assert!(![250, 550, 850].into_iter().any(fails), "{} is not liked", record.1);
            record
        })
        .key_by(|(key, _)| *key)
        .count()
        .name("counts")
        .egress("counts");
}

#[test]
fn with_a_journal_each_record_counts_once_whatever_fails() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("counts")
        .shards(2)
        .oversubscribe(true)
        .state_dir(dir.path())
        .checkpoint_interval(Duration::from_millis(3))
        .restart(at_once());
    let options = IngressOptions::new().capacity(16).journal(JournalOptions::new());
    let numbers = job.ingress::<(u64, u64)>("numbers", options);
    let counted = job.egress::<(u64, u64)>("counts", EgressOptions::new());
    let fails_at = Arc::new(AtomicU64::new(250));
    let running = job.spawn(move |flow| counts(flow, fails_at.clone())).unwrap();
    let reads = std::thread::spawn(move || {
        let mut highest = BTreeMap::new();
        for (key, count) in counted {
            let seen = highest.entry(key).or_insert(0);
            *seen = count.max(*seen);
        }
        highest
    });
    let senders: Vec<_> = (0..4)
        .map(|key| {
            let mut numbers = numbers.clone();
            std::thread::spawn(move || {
                for n in 0..1000 {
                    assert!(matches!(numbers.send((key, n)).unwrap(), Sent::Journaled(_)));
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    until("the last record", || numbers.ledger().queued == 0);
    assert_eq!(numbers.ledger(), Ledger { sent: 4000, processed: 4000, ..Ledger::default() });
    drop(numbers);
    let summary = running.wait().unwrap();
    assert_eq!(summary.metrics.restarts, 3);
    assert_eq!(reads.join().unwrap(), (0..4).map(|key| (key, 1000)).collect());
}

#[test]
fn without_a_journal_a_failure_loses_what_no_checkpoint_has_and_nothing_that_waits() {
    let job = Job::new("picky").restart(at_once());
    let mut numbers = job.ingress::<u64>("numbers", IngressOptions::new());
    let mut out = job.egress::<u64>("out", EgressOptions::new());
    let failed = Arc::new(AtomicU64::new(0));
    let running = job
        .spawn(move |flow| {
            let failed = failed.clone();
            flow.ingress::<u64>("numbers")
                .map(move |n| {
                    assert!(n != 3 || failed.fetch_add(1, Ordering::SeqCst) > 0, "three is not liked");
                    n
                })
                .egress("out");
        })
        .unwrap();
    for n in 0..3 {
        numbers.send(n).unwrap();
        assert_eq!(out.recv().unwrap(), n);
    }
    numbers.send(3).unwrap();
    until("the failure", || running.metrics().restarts == 1);
    // What is sent while it starts again waits.
    numbers.send(4).unwrap();
    assert_eq!(out.recv_timeout(PATIENCE).unwrap(), 4);
    drop(numbers);
    assert!(out.recv().is_err());
    running.wait().unwrap();
}

#[test]
fn records_wait_for_the_job_to_start_and_end_it_when_all_handles_are_gone() {
    let job = Job::new("sum").shards(2).oversubscribe(true);
    let numbers = job.ingress::<u64>("numbers", IngressOptions::new());
    let senders: Vec<_> = (0..3u64)
        .map(|n| {
            let mut numbers = numbers.clone();
            std::thread::spawn(move || (0..100).for_each(|m| assert!(numbers.send(100 * n + m).is_ok())))
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    drop(numbers);
    let mut sums = job.egress::<u64>("sums", EgressOptions::new());
    let running = job.spawn(|flow| flow.ingress::<u64>("numbers").key_by(|_| 0u64).sum(|n| n).egress("sums"));
    assert_eq!(running.unwrap().wait().unwrap().status, JobStatus::Finished);
    assert_eq!(sums.by_ref().last(), Some((0..300).sum()));
}

#[test]
fn watermarks_that_the_host_pushes_fire_windows() {
    let job = Job::new("windows").tick(Tick::Microsecond);
    let mut ticks = job.ingress::<u64>("ticks", IngressOptions::new());
    let mut counts = job.egress::<(u64, u64)>("counts", EgressOptions::new());
    let running = job
        .spawn(|flow| {
            flow.ingress::<u64>("ticks")
                .source_time(Watermarks::from_source())
                .key_by(|n| n % 2)
                .window(Tumbling::of(Duration::from_micros(10)))
                .count()
                .map(|result| (result.key(), result.value()))
                .egress("counts");
        })
        .unwrap();
    for n in 0..12 {
        ticks.send_at(n, Timestamp(n as i64)).unwrap();
    }
    ticks.watermark(Timestamp(9)).unwrap();
    let mut fired = [counts.recv_timeout(PATIENCE).unwrap(), counts.recv_timeout(PATIENCE).unwrap()];
    fired.sort_unstable();
    assert_eq!(fired, [(0, 5), (1, 5)]);
    drop(ticks);
    running.wait().unwrap();
    assert_eq!(counts.by_ref().count(), 2, "the rest fires at the end");
}
