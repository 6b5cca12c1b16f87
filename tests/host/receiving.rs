//! Records that the host receives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use millstream::io::sequence;

use super::*;

/// A job whose output comes by an egress, and that fails in the middle of a thousand numbers.
fn numbers(dir: &std::path::Path, options: EgressOptions) -> (millstream::embed::Egress<i64>, JobHandle) {
    let job =
        Job::new("numbers").state_dir(dir).checkpoint_interval(Duration::from_millis(2)).restart(at_once());
    let out = job.egress::<i64>("out", options);
    let failed = Arc::new(AtomicBool::new(false));
    let running = job.spawn(move |flow| {
        let failed = failed.clone();
        flow.source("numbers", sequence(0..=999))
            .map(move |n| {
                std::thread::sleep(Duration::from_micros(20));
                assert!(n != 600 || failed.swap(true, Ordering::SeqCst), "six hundred is not liked");
                n
            })
            .egress("out");
    });
    (out, running.unwrap())
}

#[test]
fn what_is_held_back_until_it_is_durable_comes_once() {
    let dir = tempfile::tempdir().unwrap();
    let (out, running) = numbers(dir.path(), EgressOptions::new().durable());
    let all: Vec<i64> = out.collect();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
    assert_eq!(running.wait().unwrap().metrics.restarts, 1);
}

#[test]
fn what_is_visible_at_once_may_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let (out, running) = numbers(dir.path(), EgressOptions::new());
    let all: Vec<i64> = out.collect();
    assert!(all.len() >= 1000);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (0..1000).collect());
    assert_eq!(running.wait().unwrap().metrics.restarts, 1);
}

#[test]
fn a_receiver_that_is_slow_holds_back_a_job_that_reads_no_further_than_there_is_room() {
    let job = Job::new("fast");
    let mut out = job.egress::<i64>("out", EgressOptions::new().capacity(8));
    let made = Arc::new(AtomicU64::new(0));
    let counted = made.clone();
    let running = job
        .spawn(move |flow| {
            let made = counted.clone();
            flow.source("numbers", sequence(0..=99_999))
                .inspect(move |_| {
                    made.fetch_add(1, Ordering::Relaxed);
                })
                .egress("out");
        })
        .unwrap();
    until("the first record", || made.load(Ordering::Relaxed) > 0);
    std::thread::sleep(Duration::from_millis(50));
    let ahead = made.load(Ordering::Relaxed);
    assert!(ahead <= 5_000, "{ahead} records are held back, which is more than a few batches");
    assert_eq!(out.by_ref().count(), 100_000);
    running.wait().unwrap();
}

#[test]
fn two_jobs_of_one_process_feed_each_other() {
    let (first, second) = (Job::new("first"), Job::new("second").oversubscribe(true));
    let mut into_first = first.ingress::<u64>("numbers", IngressOptions::new());
    let mut from_first = first.egress::<u64>("doubled", EgressOptions::new());
    let mut into_second = second.ingress::<u64>("doubled", IngressOptions::new());
    let mut from_second = second.egress::<u64>("result", EgressOptions::new());
    let first = first.spawn(|flow| flow.ingress::<u64>("numbers").map(|n| 2 * n).egress("doubled")).unwrap();
    let second = second.spawn(|flow| flow.ingress::<u64>("doubled").map(|n| n + 1).egress("result")).unwrap();
    let between = std::thread::spawn(move || {
        for n in from_first.by_ref() {
            into_second.send(n).unwrap();
        }
    });
    for n in 0..1000 {
        into_first.send(n).unwrap();
        assert_eq!(from_second.recv_timeout(PATIENCE).unwrap(), 2 * n + 1);
    }
    drop(into_first);
    first.wait().unwrap();
    between.join().unwrap();
    second.wait().unwrap();
}
