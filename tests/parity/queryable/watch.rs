//! Being told of committed changes of a key.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millstream::element::Epoch;
use millstream::io::Generator;
use millstream::job::{CommittedChange, CommittedState, PoisonPolicy, Watch};
use millstream::operator::{KeyedContext, KeyedProcess, States, ValueState};
use millstream::prelude::*;

use super::{PATIENCE, counting, endless, wait_until};

const KEY: u64 = 3;

/// A job of this name with checkpoints every 10 ms.
fn job(name: &str, state: &Path) -> Job {
    let job = Job::new(name).shards(2).oversubscribe(true).state_dir(state);
    job.checkpoint_interval(Duration::from_millis(10))
}

fn watch_count(handle: &JobHandle) -> Watch<u64> {
    handle.watch("counts", "value", &KEY).unwrap()
}

#[track_caller]
fn next<V: Record>(watch: &mut Watch<V>) -> CommittedChange<V> {
    watch.next_timeout(PATIENCE).expect("no change comes").unwrap()
}

/// What the newest checkpoint of a stopped job has for the key.
fn committed(state: &Path, job: &str) -> (Epoch, Option<u64>) {
    let committed = CommittedState::open(state, job).unwrap();
    (committed.epoch(), committed.state::<u64, u64>("counts", "value").unwrap().get(&KEY).unwrap())
}

#[test]
fn qs_02_a_watch_gives_each_committed_change_and_ends_with_the_last_one() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let mut watch = watch_count(&handle);
    let mut seen: Vec<CommittedChange<u64>> = (0..5).map(|_| next(&mut watch)).collect();
    assert!(!watch.is_over());
    handle.stop();
    while let Some(change) = watch.next_timeout(PATIENCE) {
        seen.push(change.unwrap());
    }
    assert!(watch.is_over());
    assert!(
        seen.windows(2).all(|two| two[0].epoch < two[1].epoch && two[0].value < two[1].value),
        "{seen:?}"
    );
    handle.wait().unwrap();
    // The epoch is that in which it was found so first; in later ones it is the same.
    let (epoch, count) = committed(state.path(), "counting");
    let last = seen.last().unwrap();
    assert!(last.value == count && last.epoch <= epoch, "{last:?}, but {count:?} in {epoch}");
}

#[test]
fn qs_02_no_value_that_was_seen_is_undone_by_failures() {
    let state = tempfile::tempdir().unwrap();
    let fails_at = Arc::new(AtomicU64::new(1000));
    let restart = RestartStrategy::fixed_delay(u32::MAX, Duration::from_millis(1));
    let job = job("failing", state.path()).restart(restart).on_poison_record(PoisonPolicy::Restart);
    let handle = job.spawn(move |flow| {
        let fails_at = fails_at.clone();
        let numbers = Generator::new(1, None, 20_000, |_, n| (n, Timestamp(n as i64)));
        flow.source("numbers", numbers)
            .inspect(move |n| {
                let limit = fails_at.load(Ordering::Relaxed);
                if *n > limit {
                    fails_at.store(n + 1500, Ordering::Relaxed);
                    panic!("as planned, at {n}");
                }
            })
            .key_by(|n| n % 6)
            .count()
            .name("counts")
            .discard();
    });
    let handle = handle.unwrap();
    let mut watch = watch_count(&handle);
    let mut last = next(&mut watch);
    let mut restarts = BTreeSet::new();
    while restarts.len() < 8 {
        let change = next(&mut watch);
        assert!(change.epoch > last.epoch && change.value > last.value, "{change:?} after {last:?}");
        restarts.insert(handle.metrics().restarts);
        last = change;
    }
    // The process might end here as well: what was seen is what it would go on from.
    handle.cancel();
    for change in watch {
        last = change.unwrap();
    }
    handle.wait().unwrap();
    assert!(committed(state.path(), "failing").1 >= last.value);
}

#[test]
fn qs_02_a_job_that_is_started_again_begins_with_what_it_had_committed() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let mut watch = watch_count(&handle);
    let first = next(&mut watch);
    handle.cancel();
    let last = watch.into_iter().last().map_or(first.value, |last| last.unwrap().value);
    handle.wait().unwrap();
    let (epoch, count) = committed(state.path(), "counting");
    assert_eq!(count, last);
    let handle = counting(state.path());
    let change = next(&mut watch_count(&handle));
    // Of the checkpoint that it goes on from, or of one that it has made since.
    assert!(change.epoch >= epoch && change.value >= count, "{change:?}, and there was {count:?} in {epoch}");
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn qs_02_a_slow_watcher_is_given_the_newest() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let mut watch = watch_count(&handle);
    let first = next(&mut watch);
    let passed = |epochs: u64| handle.metrics().checkpoints.last_epoch >= first.epoch.0 + epochs;
    wait_until(|| passed(10));
    let second = next(&mut watch);
    // The job may have been at one or two of them.
    assert!(second.epoch.0 >= first.epoch.0 + 5, "{second:?} after {first:?}");
    handle.cancel();
    handle.wait().unwrap();
}

/// Keeps how many thousands a number is while these are even, and nothing while they are odd.
#[derive(Default)]
struct KeepsEven {
    even: ValueState<u64>,
}

impl KeyedProcess<u64, u64> for KeepsEven {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.even = states.value("even");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, u64>) {
        let thousands = n / 1000;
        if thousands.is_multiple_of(2) {
            ctx.set(&self.even, thousands);
        } else {
            ctx.clear(&self.even);
        }
    }
}

#[test]
fn qs_02_what_is_removed_is_told_and_what_was_never_there_is_not() {
    let state = tempfile::tempdir().unwrap();
    let handle = job("even", state.path()).spawn(|flow| {
        let numbers = Generator::new(1, None, 20_000, |_, n| (n, Timestamp(n as i64)));
        let numbers = flow.source("numbers", numbers).key_by(|n| n % 2);
        numbers.process(KeepsEven::default()).name("keeps").discard();
    });
    let handle = handle.unwrap();
    let mut even = handle.watch::<u64, u64>("keeps", "even", &0).unwrap();
    let mut never = handle.watch::<u64, u64>("keeps", "even", &7).unwrap();
    let seen: Vec<Option<u64>> = (0..6).map(|_| next(&mut even).value).collect();
    assert!(seen[0].is_some(), "{seen:?}");
    assert!(seen.windows(2).all(|two| two[0] != two[1]), "{seen:?}");
    assert!(seen.contains(&None), "{seen:?}");
    let values: Vec<u64> = seen.into_iter().flatten().collect();
    assert!(values.is_sorted() && values.iter().all(|value| value % 2 == 0), "{values:?}");
    assert!(never.next_timeout(Duration::ZERO).is_none());
    assert!(!never.is_over());
    handle.cancel();
    assert!(never.next_timeout(PATIENCE).is_none());
    assert!(never.is_over());
    handle.wait().unwrap();
}

#[test]
fn qs_02_many_watch_and_those_who_go_are_not_missed() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let watches: Vec<Watch<u64>> =
        (0..200u64).map(|n| handle.watch("counts", "value", &(n % 6)).unwrap()).collect();
    std::thread::scope(|scope| {
        for mut watch in watches {
            scope.spawn(move || {
                let (first, second) = (next(&mut watch), next(&mut watch));
                assert!(first.value < second.value);
            });
        }
    });
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn qs_02_a_watch_is_awaited_on_any_runtime() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let mut watch = watch_count(&handle);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let seen = runtime.block_on(async {
        let (told, mut come) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(change) = watch.next().await {
                told.send(change.unwrap().value).unwrap();
            }
        });
        // The runtime has its thread to itself meanwhile.
        let mut seen = Vec::new();
        while seen.len() < 2 {
            seen.extend(tokio::time::timeout(PATIENCE, come.recv()).await.expect("no change comes"));
        }
        handle.cancel();
        while let Some(value) = come.recv().await {
            seen.push(value);
        }
        task.await.unwrap();
        seen
    });
    assert!(seen.is_sorted(), "{seen:?}");
    handle.wait().unwrap();
}

#[test]
fn qs_02_a_wait_that_is_given_up_loses_nothing() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let mut watch = watch_count(&handle);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut last, end) = (None, Instant::now() + PATIENCE);
    let mut changes = 0;
    while changes < 5 {
        assert!(Instant::now() < end, "{changes} changes");
        let waited = async { tokio::time::timeout(Duration::from_millis(1), watch.next()).await };
        if let Ok(change) = runtime.block_on(waited) {
            let value = change.unwrap().unwrap().value;
            assert!(value > last, "{value:?} after {last:?}");
            (last, changes) = (value, changes + 1);
        }
    }
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn qs_02_what_cannot_be_watched_is_said() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    let said = |watch: Result<Watch<u64>, millstream::job::WatchError>| watch.unwrap_err().to_string();
    assert_eq!(
        said(handle.watch("count", "value", &KEY)),
        "the job has no operator `count` that keeps state by keys; it has `counts`"
    );
    let mut unknown = handle.watch::<u64, u64>("counts", "values", &KEY).unwrap();
    let error = unknown.next_timeout(PATIENCE).unwrap().unwrap_err().to_string();
    assert_eq!(error, "operator `counts` has no state `values` that can be read; it has `value`");
    assert!(unknown.is_over() && unknown.next_timeout(PATIENCE).is_none());
    let mut other = handle.watch::<u64, u32>("counts", "value", &KEY).unwrap();
    let error = other.next_timeout(PATIENCE).unwrap().unwrap_err().to_string();
    assert!(error.contains("has the keys `u64` and the values `u64`; ask for these"), "{error}");
    handle.cancel();
    wait_until(|| handle.status().is_over());
    let late = watch_count(&handle).next_timeout(PATIENCE);
    assert!(late.is_none(), "{late:?}");
    handle.wait().unwrap();
    let count =
        |flow: &Flow| flow.source("n", endless([1u64])).key_by(|n| *n).count().name("counts").discard();
    let without = Job::new("without").spawn(count).unwrap();
    assert!(said(without.watch("counts", "value", &KEY)).contains("no state directory"));
    without.cancel();
    without.wait().unwrap();
}
