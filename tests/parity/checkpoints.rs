//! The parameters of checkpoints, what becomes of checkpoints, and what is told of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream::checkpoint::{CheckpointStore, JobIdentity, StoreOptions};
use millstream::disk::RealDisk;
use millstream::element::Epoch;
use millstream::io::sequence;
use millstream::job::{CheckpointInterval, CheckpointRetention};
use millstream::key::HashSeed;
use millstream::params::Params;
use millstream::prelude::*;
use millstream::runtime::metrics::CheckpointTrigger;

use crate::ways::{Once, Paused};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a job that counts by key has told of its counts.
type Counts = Arc<Mutex<BTreeMap<u64, u64>>>;

/// Numbers without end, counted by their remainder; what comes out is plain.
fn counting(flow: &Flow, counts: Counts) {
    let numbers: Vec<_> = (0u64..500).map(|n| (n, Timestamp(0))).collect();
    flow.source("numbers", Paused::endless(vec![numbers])).key_by(|n| n % 7).count().for_each(
        move |(key, count), _| {
            counts.lock().unwrap().insert(*key, *count);
        },
    );
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs the counting job until it has made so many checkpoints, and ends it.
fn checkpointed(job: Job, checkpoints: u64, end: impl FnOnce(&millstream::job::JobHandle)) -> Summary {
    let counts = Counts::default();
    let handle = job.spawn(move |flow| counting(flow, counts.clone())).unwrap();
    until("the checkpoint", || handle.metrics().checkpoints.completed >= checkpoints);
    end(&handle);
    handle.wait().unwrap()
}

/// The checkpoints that are in a state directory, newest first.
fn retained(job: &str, state: &Path) -> Vec<Epoch> {
    let identity = JobIdentity { job: job.to_owned(), hash_seed: HashSeed(0) };
    let opened = CheckpointStore::open(RealDisk::shared(), state, &identity, StoreOptions::default());
    opened.unwrap().0.checkpoints().into_iter().map(|checkpoint| checkpoint.epoch).collect()
}

#[test]
fn cp_06_an_interval_below_a_millisecond_is_refused() {
    let job = |interval| Job::new("interval").state_dir("unused").checkpoint_interval(interval);
    let program = |flow: &Flow| flow.source("numbers", sequence(0..=5)).discard();
    for interval in [CheckpointInterval::Every(Duration::ZERO), CheckpointInterval::auto(Duration::ZERO)] {
        let error = job(interval).run(program).unwrap_err();
        assert!(error.to_string().contains("at least 1 ms"), "{error}");
    }
}

#[test]
fn cp_10_settings_that_contradict_each_other_are_named_with_their_lines() {
    let seed_003 = || {
        let params = ["-Dexecution.checkpointing.min-pause=500"];
        Job::new("seed 003").max_concurrent_checkpoints(2).params(Params::from_args(params).unwrap())
    };
    let program = |flow: &Flow| flow.source("numbers", sequence(0..=5)).discard();
    let error = seed_003().run(program).unwrap_err();
    assert!(matches!(error, JobError::Conflict { .. }), "{error}");
    let said = error.to_string();
    for words in [
        "max_concurrent_checkpoints = 2 (Job::max_concurrent_checkpoints at tests/parity/checkpoints.rs:",
        "checkpoint_min_pause = 500ms (the parameter --execution.checkpointing.min-pause)",
        "leave one of the two out",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    // Flink takes 1 and says nothing.
    assert_eq!(seed_003().flink_compat(true).run(program).unwrap().status, JobStatus::Finished);
    let alone = Job::new("alone").max_concurrent_checkpoints(2).run(program).unwrap_err();
    assert!(alone.to_string().contains("max_concurrent_checkpoints = 2"), "{alone}");
}

#[test]
fn cp_13_checkpoints_of_a_canceled_job_stay_or_go() {
    let ended = |retention, fails: bool| {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let job = Job::new("canceled")
            .state_dir(&state)
            .checkpoint_interval(Duration::from_millis(5))
            .checkpoint_retention(retention)
            .restart(RestartStrategy::None);
        if fails {
            let error =
                job.run(|flow| flow.source("numbers", sequence(0..=9)).map(|n| 10 / (n - 3)).discard());
            assert!(matches!(error, Err(JobError::Failed { .. })));
        } else {
            let summary = checkpointed(job, 1, |handle| handle.cancel());
            assert_eq!(summary.status, JobStatus::Canceled);
        }
        state.join("MANIFEST").exists() || state.exists()
    };
    assert!(ended(CheckpointRetention::RetainOnCancellation, false));
    assert!(!ended(CheckpointRetention::DeleteOnCancellation, false));
    assert!(ended(CheckpointRetention::RetainOnCancellation, true));
    assert!(ended(CheckpointRetention::DeleteOnCancellation, true));
}

/// The newest delta file of a state directory.
fn newest_delta(state: &Path) -> PathBuf {
    let files = state.join("delta").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let epoch = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        name.split('-').next().unwrap().parse::<u64>().unwrap()
    };
    files.max_by_key(epoch).unwrap()
}

#[test]
fn cp_14_a_damaged_file_is_named_with_the_offset_and_the_one_before_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let counts = Counts::default();
    // Counts so many numbers by a thousand keys; what comes out is plain, so that going back repeats nothing that is committed.
    let spawn = |numbers: u64| {
        let numbers: Vec<_> = (0..numbers).map(|n| (n, Timestamp(0))).collect();
        let counts = counts.clone();
        let job = Job::new("damaged").state_dir(&state).checkpoint_interval(CheckpointInterval::Off);
        let handle = job.spawn(move |flow| {
            let (numbers, counts) = (vec![numbers.clone()], counts.clone());
            flow.source("numbers", Paused::endless(numbers)).key_by(|n| n % 1000).count().for_each(
                move |(key, count), _| {
                    counts.lock().unwrap().insert(*key, *count);
                },
            );
        });
        handle.unwrap()
    };
    let counted = |each: u64| {
        let counts = counts.lock().unwrap();
        counts.len() == 1000 && counts.values().all(|count| *count == each)
    };
    for (numbers, each) in [(20_000, 20), (40_000, 40)] {
        let handle = spawn(numbers);
        until("the count", || counted(each));
        handle.stop();
        handle.wait().unwrap();
    }
    // The first page of the newest checkpoint: behind the block of the file's header.
    let damaged = newest_delta(&state);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[4096 + 100] ^= 0x10;
    std::fs::write(&damaged, bytes).unwrap();
    counts.lock().unwrap().clear();
    let handle = spawn(40_000);
    until("the count from the older checkpoint on", || counted(40));
    let told: Vec<String> = handle.events().iter().map(ToString::to_string).collect();
    let named = |text: &String| text.contains(damaged.to_str().unwrap()) && text.contains("at byte ");
    assert!(told.iter().any(named), "{told:#?}");
    handle.cancel();
    handle.wait().unwrap();
}

#[test]
fn cp_15_three_checkpoints_are_kept_unless_told_otherwise() {
    for (job, kept) in [(Job::new("kept"), 3), (Job::new("kept").retained_checkpoints(5), 5)] {
        let dir = tempfile::tempdir().unwrap();
        let job = job.state_dir(dir.path()).checkpoint_interval(Duration::from_millis(2));
        let summary = checkpointed(job, 10, |handle| handle.stop());
        let epochs = retained("kept", dir.path());
        let newest = summary.metrics.checkpoints.last_epoch;
        assert_eq!(epochs, (0..kept).map(|n| Epoch(newest - n)).collect::<Vec<_>>());
    }
}

#[test]
fn cp_16_both_copies_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let out: Once<(u64, u64)> = Once::new();
    let job =
        |state: &Path| Job::new("copied").state_dir(state).checkpoint_interval(Duration::from_millis(2));
    let program = |numbers: u64, end: bool| {
        let out = out.clone();
        let numbers: Vec<_> = (0..numbers).map(|n| (n, Timestamp(0))).collect();
        move |flow: &Flow| {
            let numbers = vec![numbers.clone()];
            let numbers = if end { Paused::of(numbers) } else { Paused::endless(numbers) };
            flow.source("numbers", numbers).key_by(|n| n % 3).count().sink("out", out.clone());
        }
    };
    let handle = job(&first).replicate_to(&second).spawn(program(3000, false)).unwrap();
    until("all results", || handle.metrics().records_out() == 3000);
    handle.stop();
    let checkpoints = handle.wait().unwrap().metrics.checkpoints;
    let replica = checkpoints.replica.unwrap();
    assert_eq!(
        (replica.last_epoch, replica.lag, replica.failed),
        (checkpoints.last_epoch, 0, 0),
        "{replica:?}"
    );
    assert_eq!(retained("copied", &first), retained("copied", &second));
    // From either it goes on where it was.
    for state in [&second, &first] {
        let before = out.results().len();
        job(state).run(program(3003, true)).unwrap();
        let mut more = out.results()[before..].to_vec();
        more.sort_unstable();
        assert_eq!(more, [(0, 1001), (1, 1001), (2, 1001)], "{}", state.display());
    }
}

#[test]
fn cp_16_a_copy_that_fails_does_not_fail_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let job = Job::new("copied").state_dir(&first).checkpoint_interval(Duration::from_millis(2));
    let counts = Counts::default();
    let handle = job.replicate_to(&second).spawn(move |flow| counting(flow, counts.clone())).unwrap();
    until("a copy", || handle.metrics().checkpoints.replica.is_some_and(|replica| replica.last_epoch > 0));
    // The other disk is gone.
    std::fs::remove_dir_all(&second).unwrap();
    until("the failure", || handle.metrics().checkpoints.replica.is_some_and(|replica| replica.failed > 0));
    let completed = handle.metrics().checkpoints.completed;
    until("further checkpoints", || handle.metrics().checkpoints.completed > completed + 3);
    assert_eq!(handle.status(), JobStatus::Running);
    // It is back.
    std::fs::create_dir_all(second.join("delta")).unwrap();
    until("a copy", || handle.metrics().checkpoints.replica.is_some_and(|replica| replica.failure.is_none()));
    handle.stop();
    handle.wait().unwrap();
    assert_eq!(retained("copied", &second), retained("copied", &first));
}

#[test]
fn cp_16_copies_of_another_life_are_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let second = dir.path().join("second");
    let job = |first: &str| Job::new("lives").state_dir(dir.path().join(first)).replicate_to(&second);
    let program = |flow: &Flow| flow.source("numbers", sequence(0..=5)).key_by(|n| *n).count().discard();
    job("first").run(program).unwrap();
    // The first directory is lost, and an empty one is in its place.
    let error = job("fresh").run(program).unwrap_err().to_string();
    assert!(error.contains("another life of the job `lives`"), "{error}");
    let itself = Job::new("lives").state_dir(&second).replicate_to(&second).run(program).unwrap_err();
    assert!(itself.to_string().contains("is the state directory itself"), "{itself}");
}

#[test]
fn cp_20_an_interval_that_follows_from_a_goal() {
    let dir = tempfile::tempdir().unwrap();
    let goal = Duration::from_millis(200);
    let job = Job::new("auto").state_dir(dir.path()).checkpoint_interval(CheckpointInterval::auto(goal));
    let summary = checkpointed(job, 3, |handle| handle.stop());
    let checkpoints = summary.metrics.checkpoints;
    assert!(checkpoints.interval.is_some_and(|interval| interval <= goal), "{checkpoints:?}");
    assert!(checkpoints.cost().bytes_per_second > 0.0);
}

#[test]
fn cp_21_checkpoints_go_on_when_a_source_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let out: Once<u64> = Once::new();
    let sink = out.clone();
    let handle = Job::new("ended")
        .state_dir(dir.path())
        .checkpoint_interval(Duration::from_millis(2))
        .spawn(move |flow| {
            let endless = Paused::endless(vec![vec![(100u64, Timestamp(0))]]);
            let bounded = Paused::of(vec![vec![(1u64, Timestamp(0)), (2, Timestamp(0))]]);
            flow.source("endless", endless).union(flow.source("bounded", bounded)).sink("out", sink.clone());
        })
        .unwrap();
    until("all results", || handle.metrics().records_out() == 3);
    let completed = handle.metrics().checkpoints.completed;
    until("further checkpoints", || handle.metrics().checkpoints.completed >= completed + 3);
    handle.stop();
    handle.wait().unwrap();
    let mut results = out.results();
    results.sort_unstable();
    assert_eq!(results, [1, 2, 100]);
}

#[test]
fn cp_23_what_checkpoints_hold_of_a_job_without_state() {
    let dir = tempfile::tempdir().unwrap();
    let job = || Job::new("stateless").state_dir(dir.path());
    let program = |flow: &Flow| flow.source("numbers", sequence(0..=99)).map(|n| n + 1).discard();
    let explanation = job().explain(program).unwrap().to_string();
    let holds = explanation.split_once("in checkpoints\n").unwrap().1.split_once("\n\n").unwrap().0;
    assert_eq!(holds.lines().collect::<Vec<_>>(), ["  numbers  offsets, event time of partitions"]);
    let checkpoints = job().run(program).unwrap().metrics.checkpoints;
    let last = checkpoints.history().next_back().unwrap();
    assert_eq!((last.pages(), last.in_flight_bytes()), (0, 0));
    let with_state = |flow: &Flow| flow.source("numbers", sequence(0..=99)).key_by(|n| *n).count().discard();
    let explanation = Job::new("stateful").state_dir("unused").explain(with_state).unwrap().to_string();
    for words in ["records on their way to it", "event time of inputs, state\n"] {
        assert!(explanation.contains(words), "{explanation}");
    }
}

#[test]
fn cp_25_a_history_of_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new("history").shards(2).oversubscribe(true).state_dir(dir.path());
    let counts = Counts::default();
    let handle = job
        .checkpoint_interval(Duration::from_millis(5))
        .spawn(move |flow| counting(flow, counts.clone()))
        .unwrap();
    until("checkpoints", || handle.checkpoints().len() >= 3);
    let history = handle.checkpoints();
    assert!(
        history.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].started < pair[1].started)
    );
    for of in &history {
        assert_eq!((of.trigger, of.shards.len(), &of.failure), (CheckpointTrigger::Interval, 2, &None));
        assert!(
            of.shards.iter().all(|shard| shard.saved_after.is_some_and(|after| after <= of.duration)),
            "{of:?}"
        );
    }
    handle.stop();
    let checkpoints = handle.wait().unwrap().metrics.checkpoints;
    assert_eq!(checkpoints.history().next_back().unwrap().trigger, CheckpointTrigger::Asked);
    let last = checkpoints.history().next_back().unwrap();
    assert_eq!(last.bytes(), checkpoints.last_bytes, "what Flink calls lastCheckpointSize");
}
