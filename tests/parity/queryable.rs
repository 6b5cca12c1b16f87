//! Reading the state of a running job from other threads.

mod watch;

use std::time::{Duration, Instant};

use millstream::checkpoint::CheckpointMode;
use millstream::io::Generator;
use millstream::job::{CommittedState, CommittedStateError, StateReadError};
use millstream::operator::{KeyedContext, KeyedProcess, MapState, States, Ttl, ValueState};
use millstream::prelude::*;
use millstream::testing::golden::Paused;
use millstream::time::VirtualClock;

/// How long a job may take to come so far, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(reached: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "it does not come so far");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A source that gives these records and stays.
fn endless<T: Record + Clone>(records: impl IntoIterator<Item = T>) -> Paused<T> {
    Paused::endless(vec![records.into_iter().map(|record| (record, Timestamp(0))).collect()])
}

#[test]
fn qs_01_a_running_count_is_read_while_the_job_runs() {
    let words = ["a", "a", "b", "b", "a"].map(str::to_owned);
    let handle = Job::new("words").shards(2).oversubscribe(true).spawn(move |flow| {
        flow.source("words", endless(words.clone()))
            .key_by(|word| word.clone())
            .count()
            .name("counts")
            .discard();
    });
    let handle = handle.unwrap();
    wait_until(|| handle.metrics().records_out() == 5);
    let counts = handle.state::<String, u64>("counts", "value").unwrap();
    let read = |word: &str| counts.get(&word.to_owned()).unwrap();
    assert_eq!((read("a"), read("b"), read("c")), (Some(3), Some(2), None));
    // From any thread, and from several at once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let counts = counts.clone();
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(counts.get(&"b".to_owned()), Ok(Some(2)));
                }
            });
        }
    });
    handle.cancel();
    let error = wait_until_not_running(|| counts.get(&"b".to_owned()));
    assert!(error.to_string().contains("can be asked only while it is RUNNING"), "{error}");
    handle.wait().unwrap();
}

/// The error that comes once the job has ended.
fn wait_until_not_running<T>(read: impl Fn() -> Result<T, StateReadError>) -> StateReadError {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Err(error) = read() {
            return error;
        }
        assert!(Instant::now() < end, "it does not end");
    }
}

/// Keeps the last number of each key, how often each came, and the last one again for ten seconds.
#[derive(Default)]
struct Keeps {
    last: ValueState<u64>,
    counts: MapState<u64, u64>,
    fresh: ValueState<u64>,
}

impl KeyedProcess<(String, u64), str> for Keeps {
    type Out = u64;

    fn open(&mut self, states: &mut States<'_, str>) {
        self.last = states.value("last");
        self.counts = states.map("counts");
        self.fresh = states.expiring(Ttl::of(Duration::from_secs(10))).value("fresh");
    }

    fn process(&mut self, record: &View<(String, u64)>, ctx: &mut KeyedContext<'_, str, u64>) {
        let (_, n) = <(String, u64)>::owned(record);
        ctx.set(&self.last, n);
        ctx.set(&self.fresh, n);
        ctx.map(&self.counts).update(&n, || 0, |count| *count += 1);
        ctx.emit(n);
    }
}

#[test]
fn qs_01_values_and_entries_of_maps_of_a_process_function() {
    let record = |key: &str, n: u64| (key.to_owned(), n);
    let records = [record("x", 7), record("x", 7), record("y", 8), record("x", 9)];
    let clock = VirtualClock::new();
    let handle = Job::new("keeps").clock(clock.clone()).spawn(move |flow| {
        flow.source("records", endless(records.clone()))
            .key_by_ref(|record| record.0.as_str())
            .process(Keeps::default())
            .name("keeps")
            .discard();
    });
    let handle = handle.unwrap();
    wait_until(|| handle.metrics().records_out() == 4);
    let last = handle.state::<str, u64>("keeps", "last").unwrap();
    assert_eq!((last.get("x"), last.get("y"), last.get("z")), (Ok(Some(9)), Ok(Some(8)), Ok(None)));
    let counts = handle.map_state::<str, u64, u64>("keeps", "counts").unwrap();
    assert_eq!(
        (counts.get("x", &7), counts.get("x", &8), counts.get("y", &8)),
        (Ok(Some(2)), Ok(None), Ok(Some(1)))
    );
    // What has expired is not there, whether it has been taken out or not.
    let fresh = handle.state::<str, u64>("keeps", "fresh").unwrap();
    assert_eq!(fresh.get("x"), Ok(Some(9)));
    clock.advance(Duration::from_secs(10));
    wait_until(|| fresh.get("x") == Ok(None));
    assert_eq!(last.get("x"), Ok(Some(9)));
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn qs_01_what_cannot_be_read_is_said() {
    let handle = Job::new("keeps").spawn(move |flow| {
        flow.source("records", endless([("x".to_owned(), 1u64)]))
            .key_by_ref(|record| record.0.as_str())
            .process(Keeps::default())
            .name("keeps")
            .discard();
    });
    let handle = handle.unwrap();
    wait_until(|| handle.metrics().records_out() == 1);
    let said = |error: StateReadError| error.to_string();
    let unknown = handle.state::<str, u64>("keps", "last").unwrap_err();
    assert_eq!(said(unknown), "the job has no operator `keps` that keeps state by keys; it has `keeps`");
    let unknown = handle.state::<str, u64>("keeps", "lst").unwrap().get("x").unwrap_err();
    assert_eq!(
        said(unknown),
        "operator `keeps` has no state `lst` that can be read; it has `last`, `counts`, `fresh`"
    );
    let other = handle.state::<str, u32>("keeps", "last").unwrap().get("x").unwrap_err();
    assert_eq!(
        said(other),
        "state `last` of operator `keeps` has the keys `String` and the values `u64`; ask for these"
    );
    handle.cancel();
    handle.wait().unwrap();
}

/// Counts of six keys, in a job that goes on for ever and makes a checkpoint every 20 ms.
fn counting(state: &std::path::Path) -> JobHandle {
    // Aligned: what is on its way between shards would be in the checkpoint, but not in the counts yet.
    let job = Job::new("counting")
        .shards(2)
        .oversubscribe(true)
        .state_dir(state)
        .checkpoint_mode(CheckpointMode::Aligned);
    let handle = job.checkpoint_interval(Duration::from_millis(20)).spawn(|flow| {
        let numbers = Generator::new(1, None, 20_000, |_, n| (n % 6, Timestamp(n as i64)));
        flow.source("numbers", numbers).key_by(|n| *n).count().name("counts").discard();
    });
    handle.unwrap()
}

/// All counts of the newest checkpoint.
fn committed_counts(committed: &CommittedState) -> Vec<u64> {
    let mut counts = committed.state::<u64, u64>("counts", "value").unwrap();
    let mut all = vec![0; 6];
    counts.each(|key, count| all[key as usize] = count).unwrap();
    for (key, count) in (0..).zip(&all) {
        assert_eq!(counts.get(&key).unwrap().unwrap_or(0), *count);
    }
    all
}

#[test]
fn qs_02_committed_state_is_of_one_moment_and_is_never_undone() {
    let state = tempfile::tempdir().unwrap();
    let handle = counting(state.path());
    wait_until(|| handle.metrics().checkpoints.completed >= 3);
    let first = handle.committed_state().unwrap();
    let counts = committed_counts(&first);
    // The keys come in turn: of one moment, their counts differ by one at the most.
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    wait_until(|| handle.committed_state().unwrap().epoch() > first.epoch());
    // What is live is not behind what is committed.
    let committed = committed_counts(&handle.committed_state().unwrap());
    let live = handle.state::<u64, u64>("counts", "value").unwrap();
    for (key, count) in (0..).zip(&committed) {
        assert!(live.get(&key).unwrap().unwrap() >= *count);
    }
    // The job ends without a word: what was committed is what it goes on from, and what is read without it.
    handle.cancel();
    handle.wait().unwrap();
    let after = CommittedState::open(state.path(), "counting").unwrap();
    let last = committed_counts(&after);
    assert!(last.iter().zip(&committed).all(|(last, before)| last >= before));
    let handle = counting(state.path());
    wait_until(|| handle.committed_state().unwrap().epoch() > after.epoch());
    let went_on = committed_counts(&handle.committed_state().unwrap());
    assert!(went_on.iter().zip(&last).all(|(now, before)| now >= before), "{went_on:?} {last:?}");
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn qs_02_what_cannot_be_read_is_said() {
    let state = tempfile::tempdir().unwrap();
    let said = |error: CommittedStateError| error.to_string();
    let nothing = CommittedState::open(state.path(), "counting").unwrap_err();
    assert!(said(nothing).contains("MANIFEST"));
    let handle = counting(state.path());
    wait_until(|| handle.metrics().checkpoints.completed >= 1);
    let other = CommittedState::open(state.path(), "other").unwrap_err();
    assert!(said(other).contains("counting"));
    let committed = handle.committed_state().unwrap();
    let unknown = committed.state::<u64, u64>("counts", "values").unwrap_err();
    assert_eq!(said(unknown), "operator `counts` has no state `values` that can be read; it has `value`");
    let unknown = committed.state::<u64, u64>("count", "value").unwrap_err();
    assert_eq!(said(unknown), "the job has no operator `count` that keeps state by keys; it has `counts`");
    let other = committed.state::<u64, u32>("counts", "value").unwrap_err();
    assert!(said(other).contains("has the keys `u64` and the values `u64`; ask for these"));
    handle.cancel();
    handle.wait().unwrap();
    let without = Job::new("without").spawn(|flow| flow.source("n", endless([1u64])).discard()).unwrap();
    assert!(said(without.committed_state().unwrap_err()).contains("no state directory"));
    without.cancel();
    without.wait().unwrap();
}
