//! IO-18: sources that backpressure cannot slow, here what a host program sends; and IO-02 for them, the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream::embed::{Ledger, Sent, Shed};
use millstream::io::JournalOptions;
use millstream::prelude::*;

/// How long anything may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the operator takes in a millisecond at most.
const RECORDS_PER_MS: u64 = 4;
const RECORDS: u64 = 400;

/// Sends at twice the rate that the operator takes, checks the ledger at every step, and gives what the operator got and the ledger at the end.
fn overloaded(policy: Overload) -> (Vec<u64>, Ledger) {
    let job = Job::new("overloaded").stall_after(PATIENCE);
    let options = IngressOptions::new().capacity(32).overload(policy);
    let mut numbers = job.ingress::<u64>("numbers", options);
    let out = job.egress::<u64>("out", EgressOptions::new());
    let taken = Arc::new(AtomicU64::new(0));
    let counted = taken.clone();
    let running = job
        .spawn(move |flow| {
            let taken = counted.clone();
            flow.ingress::<u64>("numbers")
                .inspect(move |_| {
                    if taken.fetch_add(1, Ordering::SeqCst).is_multiple_of(RECORDS_PER_MS) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                })
                .egress("out");
        })
        .unwrap();
    let begin = Instant::now();
    for n in 0..RECORDS {
        // Twice as fast as the operator at its fastest.
        while begin.elapsed() < Duration::from_micros(n * 1000 / (2 * RECORDS_PER_MS)) {
            std::hint::spin_loop();
        }
        // Where it is given back, it is lost: this peer does not try again.
        let _ = numbers.send(n);
        let ledger = numbers.ledger();
        assert_eq!(ledger.sent, ledger.processed + ledger.shed() + ledger.queued, "{ledger}");
        assert_eq!(ledger.sent, n + 1);
    }
    while numbers.ledger().queued > 0 {
        assert!(begin.elapsed() < PATIENCE, "the backlog does not drain: {}", numbers.ledger());
        std::thread::sleep(Duration::from_millis(1));
    }
    let ledger = numbers.ledger();
    drop(numbers);
    running.wait().unwrap();
    let got: Vec<u64> = out.collect();
    assert_eq!(got.len() as u64, ledger.processed, "{ledger}");
    assert!(got.is_sorted(), "in the order in which they were sent");
    (got, ledger)
}

#[test]
fn io_18_blocked_senders_lose_nothing() {
    let (got, ledger) = overloaded(Overload::Block);
    assert_eq!(got, (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(ledger.shed(), 0);
}

#[test]
fn io_18_what_is_spilled_is_not_lost_and_the_backlog_drains() {
    let dir = tempfile::tempdir().unwrap();
    let (got, ledger) = overloaded(Overload::Spill { dir: dir.path().to_owned(), max_bytes: 1 << 20 });
    assert_eq!(got, (0..RECORDS).collect::<Vec<_>>());
    assert_eq!(ledger.shed(), 0);
}

#[test]
fn io_18_the_oldest_that_are_dropped_are_sent_less_processed() {
    let (got, ledger) = overloaded(Overload::DropOldest);
    assert_eq!(ledger.dropped_oldest, ledger.sent - ledger.processed, "{ledger}");
    assert!(ledger.dropped_oldest > 0, "twice the rate is too much: {ledger}");
    assert_eq!(got.last(), Some(&(RECORDS - 1)), "the newest is kept");
}

#[test]
fn io_18_the_newest_that_are_dropped_or_given_back_or_not_picked_are_sent_less_processed() {
    for (policy, of) in [
        (Overload::DropNewest, Shed::Newest),
        (Overload::Reject, Shed::Rejected),
        (Overload::Sample(0.5), Shed::Sampled),
    ] {
        let (got, ledger) = overloaded(policy);
        let lost = match of {
            Shed::Newest => ledger.dropped_newest,
            Shed::Rejected => ledger.rejected,
            _ => ledger.sampled_out,
        };
        assert_eq!(lost, ledger.sent - ledger.processed, "{of:?}: {ledger}");
        assert!(lost > 0, "twice the rate is too much: {ledger}");
        assert_eq!(got.first(), Some(&0), "the oldest is kept");
    }
}

/// Counts words, until it has seen so many; the highest count of each, and how often the job started again.
fn counted(dir: &std::path::Path, words: &[&str], journaled: bool) -> (BTreeMap<String, u64>, u32) {
    let job = Job::new("words")
        .state_dir(dir)
        .checkpoint_interval(Duration::from_millis(5))
        .restart(RestartStrategy::fixed_delay(3, Duration::ZERO));
    let options = match journaled {
        true => IngressOptions::new().journal(JournalOptions::new()),
        false => IngressOptions::new(),
    };
    let mut handle = job.ingress::<String>("words", options);
    let counts = job.egress::<(String, u64)>("counts", EgressOptions::new());
    let failed = Arc::new(AtomicU64::new(0));
    let running = job
        .spawn(move |flow| {
            let failed = failed.clone();
            flow.ingress::<String>("words")
                .map(move |word| {
                    assert!(
                        word != "once" || failed.fetch_add(1, Ordering::SeqCst) > 0,
                        "not the first time"
                    );
                    word
                })
                .key_by(|word| word.clone())
                .count()
                .egress("counts");
        })
        .unwrap();
    for (n, word) in words.iter().enumerate() {
        let sent = handle.send((*word).to_owned()).unwrap();
        assert_eq!(sent, if journaled { Sent::Journaled(n as u64) } else { Sent::Queued });
    }
    drop(handle);
    let restarts = running.wait().unwrap().metrics.restarts;
    let mut highest = BTreeMap::new();
    for (word, count) in counts {
        let seen = highest.entry(word).or_insert(0);
        *seen = count.max(*seen);
    }
    (highest, restarts)
}

#[test]
fn io_02_a_journaled_ingress_gives_again_what_a_failure_took() {
    let words = ["a", "a", "b", "once", "b", "a"];
    let dir = tempfile::tempdir().unwrap();
    let (counts, restarts) = counted(dir.path(), &words, true);
    let expected = [("a", 3), ("b", 2), ("once", 1)].map(|(word, count)| (word.to_owned(), count));
    assert_eq!((counts, restarts), (expected.into(), 1));
}

#[test]
fn io_02_without_a_journal_the_job_says_that_records_may_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("words").state_dir(dir.path());
    let _words = job.ingress::<String>("words", IngressOptions::new());
    let explained = job.explain(|flow| flow.ingress::<String>("words").discard()).unwrap();
    let paths = format!("{:?}", explained.paths());
    assert!(paths.contains("IngressOptions::journal"), "{paths}");
    let (counts, restarts) = counted(&dir.path().join("state"), &["a", "once"], false);
    // The record that failed the job is gone with it, unless a checkpoint had come before.
    assert_eq!(restarts, 1);
    assert!(!counts.contains_key("once"), "{counts:?}");
}
