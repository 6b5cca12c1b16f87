//! Savepoints: made of running jobs, gone on with by others. That every kind of state comes through them is shown by all tests here that
//! run [every way](crate::ways): two of the ways go through a savepoint after each record.

#[cfg(feature = "avro")]
mod avro;
mod evolution;
mod kinds;
#[cfg(feature = "parquet")]
mod parquet;
mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millstream::element::Epoch;
use millstream::job::JobHandle;
use millstream::prelude::*;
use millstream::savepoint::{Savepoint, SavepointError, Verdict};
use tempfile::TempDir;

use crate::ways::{Once, Paused};

/// How long a job may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

type Counts = Once<(String, u64)>;

fn job(shards: u16) -> Job {
    Job::new("counts")
        .shards(shards)
        .oversubscribe(true)
        .restart(RestartStrategy::None)
        .checkpoint_interval(Duration::from_millis(5))
}

/// Words that a source gives before it pauses for ever.
fn words(all: &[&str]) -> Vec<Vec<(String, Timestamp)>> {
    vec![all.iter().map(|word| ((*word).to_owned(), Timestamp::MIN)).collect()]
}

/// Counts the words, and waits for more.
fn counting(job: Job, all: &[&str], sink: &Counts) -> JobHandle {
    let (all, sink) = (words(all), sink.clone());
    let running = job.spawn(move |flow| {
        flow.source("words", Paused::endless(all.clone()))
            .key_by(|word| word.clone())
            .count()
            .name("count")
            .sink("counts", sink.clone());
    });
    running.unwrap()
}

/// Counts the words, and ends.
fn count(job: Job, all: &[&str]) -> Result<Vec<(String, u64)>, JobError> {
    let (all, sink) = (words(all), Counts::new());
    let out = sink.clone();
    job.run(move |flow| {
        flow.source("words", Paused::of(all.clone()))
            .key_by(|word| word.clone())
            .count()
            .name("count")
            .sink("counts", out.clone());
    })?;
    Ok(sink.results())
}

/// Waits until a job has read so many records.
fn wait_for(running: &JobHandle, records: u64) {
    let end = Instant::now() + PATIENCE;
    while running.metrics().records_in() < records {
        assert!(Instant::now() < end && !running.status().is_over(), "{:?}", running.metrics());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until what has come out is committed: then the next checkpoint has no output that a program without the sink would lose.
fn wait_until_committed(running: &JobHandle) {
    let completed = || running.metrics().checkpoints.completed;
    let (enough, end) = (completed() + 2, Instant::now() + PATIENCE);
    while completed() < enough {
        assert!(Instant::now() < end && !running.status().is_over(), "{:?}", running.metrics());
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn named(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

/// A savepoint of a job that has read these words, made as it stops; and the directory that it lies in.
fn savepoint_of(all: &[&str], shards: u16) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let running = counting(job(shards).state_dir(dir.path().join("state")), all, &Counts::new());
    wait_for(&running, all.len() as u64);
    wait_until_committed(&running);
    let savepoint = running.stop_with_savepoint(Some(&dir.path().join("savepoints")), false).unwrap();
    assert_eq!(running.wait().unwrap().status, JobStatus::Stopped);
    (dir, savepoint)
}

#[test]
fn sv_01_a_job_goes_on_from_a_checkpoint_that_is_named() {
    let dir = TempDir::new().unwrap();
    let job = || job(1).state_dir(dir.path());
    let running = counting(job(), &["a", "a", "b"], &Counts::new());
    wait_for(&running, 3);
    running.stop();
    let epoch = Epoch(running.wait().unwrap().metrics.checkpoints.last_epoch);
    let counts = count(job().from_checkpoint(epoch), &["a", "a", "b", "a"]).unwrap();
    assert_eq!(counts, named(&[("a", 3)]));
}

#[test]
fn sv_02_a_savepoint_is_made_while_a_job_goes_on_and_begins_another() {
    let dir = TempDir::new().unwrap();
    let sink = Counts::new();
    let running = counting(job(2).state_dir(dir.path().join("first")), &["a", "a", "b"], &sink);
    wait_for(&running, 3);
    let first = running.savepoint(dir.path()).unwrap();
    let second = running.savepoint(dir.path()).unwrap();
    assert_eq!(running.status(), JobStatus::Running);
    assert_ne!(first, second);
    running.stop();
    running.wait().unwrap();
    // The state directory of the first job is not needed.
    std::fs::remove_dir_all(dir.path().join("first")).unwrap();
    for (nth, (savepoint, shards)) in [(&first, 1), (&second, 2), (&first, 3)].into_iter().enumerate() {
        let other = job(shards).state_dir(dir.path().join(format!("other-{nth}"))).from_savepoint(savepoint);
        let mut counts = count(other, &["a", "a", "b", "a", "b", "c"]).unwrap();
        counts.sort();
        assert_eq!(counts, named(&[("a", 3), ("b", 2), ("c", 1)]));
    }
}

#[test]
fn sv_03_stop_makes_a_savepoint_and_cancel_does_not() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    let running = counting(job(1).state_dir(&state), &["a"], &Counts::new());
    wait_for(&running, 1);
    let savepoint = running.stop_with_savepoint(None, false).unwrap();
    assert_eq!(savepoint.parent(), Some(&*state.join("savepoints")));
    assert_eq!(running.wait().unwrap().status, JobStatus::Stopped);

    let running = counting(job(1).state_dir(&state), &["a"], &Counts::new());
    running.cancel();
    assert_eq!(running.wait().unwrap().status, JobStatus::Canceled);
    assert_eq!(std::fs::read_dir(state.join("savepoints")).unwrap().count(), 1);
}

#[test]
fn sv_03_a_job_that_can_make_none_is_not_stopped_for_one() {
    let running = counting(job(1), &["a"], &Counts::new());
    wait_for(&running, 1);
    let refused = running.stop_with_savepoint(None, false).unwrap_err();
    assert!(matches!(refused, SavepointError::NoStateDir), "{refused}");
    assert!(matches!(running.savepoint("anywhere").unwrap_err(), SavepointError::NoStateDir));
    assert_eq!(running.status(), JobStatus::Running);
    running.cancel();
    running.wait().unwrap();
}

#[test]
fn sv_03_a_savepoint_of_a_job_that_is_over_is_refused() {
    let dir = TempDir::new().unwrap();
    let running = counting(job(1).state_dir(dir.path()), &["a"], &Counts::new());
    wait_for(&running, 1);
    running.cancel();
    let end = Instant::now() + PATIENCE;
    while !running.status().is_over() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
    let refused = running.savepoint(dir.path()).unwrap_err();
    assert!(matches!(refused, SavepointError::NotRunning { .. }), "{refused}");
}

/// Counts records in windows of a second, and waits for more.
fn windows(job: Job, records: Vec<(u64, i64)>, waits: bool, sink: Once<(u64, u64)>) -> JobHandle {
    let records: Vec<(u64, Timestamp)> = records.into_iter().map(|(key, at)| (key, Timestamp(at))).collect();
    let running = job.spawn(move |flow| {
        let records = vec![records.clone()];
        let source = if waits { Paused::endless(records) } else { Paused::of(records) };
        flow.source("records", source)
            .source_time(Watermarks::monotonous())
            .key_by(|key| *key)
            .window(Tumbling::of(Duration::from_secs(1)))
            .count()
            .name("windows")
            .map(|count| (count.key, count.value))
            .sink("counts", sink.clone());
    });
    running.unwrap()
}

#[test]
fn sv_03_draining_lets_windows_fire() {
    let dir = TempDir::new().unwrap();
    let sink = Once::new();
    let running = windows(job(2).state_dir(dir.path()), vec![(1, 10), (1, 20), (2, 30)], true, sink.clone());
    wait_for(&running, 3);
    let savepoint = running.stop_with_savepoint(None, true).unwrap();
    assert_eq!(running.wait().unwrap().status, JobStatus::Finished);
    let mut counts = sink.results();
    counts.sort_unstable();
    assert_eq!(counts, [(1, 2), (2, 1)]);
    let savepoint = Savepoint::open(savepoint).unwrap();
    assert!(savepoint.sources().iter().all(|source| source.ended));
    assert_eq!(savepoint.state("windows", "window").unwrap().entries, 0);
}

#[test]
fn sv_04_a_dry_run_says_what_becomes_of_each_operator() {
    let (_dir, savepoint) = savepoint_of(&["a", "a", "b"], 1);
    let all = words(&["a"]);
    let with_more = {
        let all = all.clone();
        move |flow: &Flow| {
            flow.source("words", Paused::of(all.clone()))
                .key_by(|word| word.clone())
                .count()
                .name("count")
                .key_by(|(_, count)| *count)
                .count()
                .name("again")
                .discard();
        }
    };
    let check = job(3).restore_check(&savepoint, with_more).unwrap();
    let verdict = |name: &str| check.of_operator(name).map(|check| check.verdict.clone());
    assert_eq!(verdict("words"), Some(Verdict::Matched));
    assert_eq!(verdict("count"), Some(Verdict::Matched));
    assert_eq!(verdict("again"), Some(Verdict::New));
    assert!(check.is_complete(), "{check}");

    let without = move |flow: &Flow| flow.source("words", Paused::of(all.clone())).discard();
    let check = job(1).restore_check(&savepoint, without.clone()).unwrap();
    assert_eq!(check.of_operator("count").map(|check| &check.verdict), Some(&Verdict::Dropped));
    assert!(!check.is_complete(), "{check}");
    assert!(check.to_string().contains("count: dropped"), "{check}");

    let refused = job(1).from_savepoint(&savepoint).run(without.clone()).unwrap_err().to_string();
    assert!(refused.contains("`count`") && refused.contains("allow_non_restored_state"), "{refused}");
    let summary = job(1).from_savepoint(&savepoint).allow_non_restored_state(true).run(without).unwrap();
    assert_eq!(summary.status, JobStatus::Finished);
}

#[test]
fn sv_04_state_may_be_left_behind_when_a_job_goes_on_from_a_checkpoint() {
    let dir = TempDir::new().unwrap();
    let running = counting(job(1).state_dir(dir.path()), &["a", "b"], &Counts::new());
    wait_for(&running, 2);
    running.stop();
    running.wait().unwrap();
    let all = words(&["a", "b"]);
    let without = move |flow: &Flow| flow.source("words", Paused::of(all.clone())).discard();
    let refused = job(1).state_dir(dir.path()).run(without.clone()).unwrap_err().to_string();
    assert!(refused.contains("`count`"), "{refused}");
    job(1).state_dir(dir.path()).allow_non_restored_state(true).run(without).unwrap();
}

#[test]
fn sv_05_a_job_goes_on_with_other_shards_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    // A hundred keys, ten records each, half of them before the savepoint.
    let record = |nth: u64| (nth % 100, nth as i64 / 2);
    let all: Vec<_> = (0..1000).map(record).collect();
    let sink = Once::new();
    let first = job(1).state_dir(dir.path().join("first"));
    let running = windows(first, all[..500].to_vec(), true, sink.clone());
    wait_for(&running, 500);
    let savepoint = running.stop_with_savepoint(Some(dir.path()), false).unwrap();
    running.wait().unwrap();
    let second = job(3).state_dir(dir.path().join("second")).from_savepoint(savepoint);
    windows(second, all, false, sink.clone()).wait().unwrap();
    let mut counts = sink.results();
    counts.sort_unstable();
    assert_eq!(counts, (0..100).map(|key| (key, 10)).collect::<Vec<_>>());
}

#[test]
fn sv_05_a_job_that_is_started_again_goes_on_from_its_own_checkpoints() {
    let (dir, savepoint) = savepoint_of(&["a", "a"], 1);
    let state = dir.path().join("next");
    let next = || job(2).state_dir(&state).from_savepoint(&savepoint);
    let running = counting(next(), &["a", "a", "a"], &Counts::new());
    wait_for(&running, 1);
    // Otherwise the checkpoint that it stops with may hold the record on its way, and what it comes to is given out later.
    wait_until_committed(&running);
    running.stop();
    running.wait().unwrap();
    // The same command again: what has been counted since is not forgotten.
    assert_eq!(count(next(), &["a", "a", "a", "a"]).unwrap(), named(&[("a", 4)]));
    // A state directory in which keys have other hashes is not mixed up with it.
    let stranger = TempDir::new().unwrap();
    count(job(1).state_dir(stranger.path()), &["a"]).unwrap();
    let refused = count(job(1).state_dir(stranger.path()).from_savepoint(&savepoint), &["a"]).unwrap_err();
    assert!(refused.to_string().contains("other hashes"), "{refused}");
}

#[test]
fn sv_05_the_job_of_a_savepoint_goes_back_to_it_in_its_own_state_directory() {
    let (dir, savepoint) = savepoint_of(&["a", "a"], 1);
    let state = dir.path().join("state");
    assert_eq!(count(job(1).state_dir(&state), &["a", "a", "a"]).unwrap(), named(&[("a", 3)]));
    let back = job(1).state_dir(&state).from_savepoint(&savepoint);
    assert_eq!(count(back, &["a", "a", "a", "a"]).unwrap(), named(&[("a", 3), ("a", 4)]));
}

#[test]
fn sv_12_what_is_no_savepoint_of_this_format_is_refused_by_name() {
    let (_dir, savepoint) = savepoint_of(&["a"], 1);
    let open = |path: &Path| Savepoint::open(path).map(drop).unwrap_err();
    let nothing = TempDir::new().unwrap();
    assert!(matches!(open(nothing.path()), SavepointError::NotASavepoint { .. }));

    let head = savepoint.join("SAVEPOINT");
    let good = std::fs::read(&head).unwrap();
    let mut other = good.clone();
    other[16] = 99;
    std::fs::write(&head, &other).unwrap();
    let refused = open(&savepoint);
    assert!(matches!(refused, SavepointError::OtherVersion { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("format 99"), "{refused}");
    let error = count(job(1).from_savepoint(&savepoint), &["a"]).unwrap_err();
    assert!(matches!(error, JobError::Savepoint { .. }), "{error}");

    let mut damaged = good;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&head, damaged).unwrap();
    let refused = open(&savepoint);
    assert!(matches!(refused, SavepointError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("SAVEPOINT"), "{refused}");
}

#[test]
fn sb_06_a_savepoint_knows_no_backend() {
    let (dir, savepoint) = savepoint_of(&["a", "b", "a"], 2);
    let in_memory = job(1).from_savepoint(&savepoint);
    assert_eq!(count(in_memory, &["a", "b", "a", "b"]).unwrap(), named(&[("b", 2)]));
    let on_disk = job(1).state_dir(dir.path().join("files")).from_savepoint(&savepoint);
    assert_eq!(count(on_disk, &["a", "b", "a", "b"]).unwrap(), named(&[("b", 2)]));
}
