//! How much state there may be, and where it lies.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use millstream::io::sequence;
use millstream::operator::{KeyedContext, KeyedProcess, ListState, MapState, States, Ttl, ValueState};
use millstream::prelude::*;
use millstream::runtime::metrics::JobMetrics;
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};

use crate::ways::{Once, Run};

const KEYS: u64 = 3_000;
/// How often each key comes.
const VISITS: u64 = 4;
const RECORDS: u64 = KEYS * VISITS;

/// Keeps about 1.5 KB for each key, in states of every kind. Every third time that a key comes, its map is cleared.
#[derive(Default)]
struct Keeps {
    text: ValueState<String>,
    list: ListState<String>,
    map: MapState<u64, String>,
}

/// What was seen of a key's states: its text, how many elements its list has, how many entries its map.
type Seen = (u64, u64, String, u64, u64);

fn text(key: u64, visit: u64) -> String {
    format!("{key}-{visit}-").repeat(60)
}

impl KeyedProcess<u64, u64> for Keeps {
    type Out = Seen;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.text = states.value("text");
        self.list = states.list("list");
        self.map = states.map("map");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, Seen>) {
        let (key, visit) = (ctx.key(), *n / KEYS);
        let before = ctx.get(&self.text).unwrap_or_default();
        ctx.set(&self.text, text(key, visit));
        ctx.list(&self.list).add(&text(key, visit)[..100].to_owned());
        let elements = ctx.list(&self.list).to_vec().len() as u64;
        let mut map = ctx.map(&self.map);
        if visit % 3 == 2 {
            map.clear();
        }
        map.put(&visit, &text(key, visit));
        let entries = map.keys().len() as u64;
        ctx.emit((key, visit, before, elements, entries));
    }
}

fn program(flow: &Flow, sink: &Once<Seen>) {
    // One record at a time, so that checkpoints fall between any two.
    let run = Run::straight(sink.clone());
    flow.source("numbers", run.source(0..RECORDS))
        .key_by(|n| *n * 7919 % KEYS)
        .process(Keeps::default())
        .name("keeps")
        .sink("seen", run.sink());
}

/// What the program gives, reckoned without it.
fn expected() -> Vec<Seen> {
    let mut all: Vec<Seen> = (0..KEYS)
        .flat_map(|key| (0..VISITS).map(move |visit| (key, visit)))
        .map(|(key, visit)| {
            let before = if visit == 0 { String::new() } else { text(key, visit - 1) };
            let entries = if visit < 2 { visit + 1 } else { visit - 1 };
            (key, visit, before, visit + 1, entries)
        })
        .collect();
    all.sort();
    all
}

fn sorted<T: Ord + Clone + Send + Sync + 'static>(out: &Once<T>) -> Vec<T> {
    let mut all = out.results();
    all.sort();
    all
}

/// How many pages were written to disk because memory had no room for them.
fn spilled(metrics: &JobMetrics) -> u64 {
    metrics.shards.iter().map(|shard| shard.spilled_pages_written).sum()
}

/// How many bytes its state takes where memory has no limit.
fn state_bytes() -> u64 {
    let out = Once::new();
    let sink = out.clone();
    let summary = Job::new("whole").run(move |flow| program(flow, &sink)).unwrap();
    assert_eq!(sorted(&out), expected());
    let shard = &summary.metrics.shards[0];
    assert_eq!((shard.spilled_pages_read, shard.spilled_pages_written), (0, 0));
    shard.state_bytes
}

#[test]
fn sb_01_state_without_a_directory_ends_with_its_job() {
    let run = |dir: Option<&Path>| {
        let out = Once::new();
        let sink = out.clone();
        let mut job = Job::new("counts").checkpoint_interval(Duration::from_secs(3600));
        if let Some(dir) = dir {
            job = job.state_dir(dir);
        }
        job.run(move |flow| {
            flow.source("numbers", sequence(0..=9)).key_by(|n| n % 2).count().sink("counts", sink.clone());
        })
        .unwrap();
        out.results().len()
    };
    assert_eq!((run(None), run(None)), (10, 10));
    // With one, a job that has ended has nothing more to do.
    let dir = tempfile::tempdir().unwrap();
    assert_eq!((run(Some(dir.path())), run(Some(dir.path()))), (10, 0));
}

#[test]
fn sb_02_state_lies_in_memory_and_its_checkpoints_on_disk() {
    let disk = SimDisk::new(5, SimFaults::default());
    let out = Once::new();
    let job = || Job::new("whole").state_dir("/state").checkpoint_interval(Duration::from_millis(1));
    let start = |disk: &SimDisk| {
        let sink = out.clone();
        Simulation::new(5, job(), disk, move |flow| program(flow, &sink)).unwrap()
    };
    let mut simulation = start(&disk);
    while simulation.metrics().checkpoints.completed < 3 {
        assert!(simulation.run(100).is_none(), "it ends before it is stopped");
    }
    drop(simulation);
    let disk = disk.crash();
    let end = start(&disk).run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}");
    assert_eq!(sorted(&out), expected());
}

#[test]
fn sb_03_state_may_be_four_times_as_large_as_memory() {
    let limit = state_bytes() / 4;
    for shards in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let out = Once::new();
        let sink = out.clone();
        let job = Job::new("spills").shards(shards).oversubscribe(true).spill_dir(dir.path());
        let job = job.memory_limit(limit).spill_state(true).spawn(move |flow| program(flow, &sink)).unwrap();
        let mut most = 0;
        while !job.status().is_over() {
            most = most.max(job.metrics().shards.iter().map(|shard| shard.state_bytes).sum::<u64>());
            std::thread::sleep(Duration::from_millis(1));
        }
        let summary = job.wait().unwrap();
        assert_eq!(sorted(&out), expected(), "{shards} shards");
        assert!(most <= limit + limit / 10, "{most} bytes of {limit} on {shards} shards");
        let written = spilled(&summary.metrics);
        assert!(written * 4096 > limit, "{written} pages were written");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of it");
    }
}

#[test]
fn sb_03_sb_06_what_is_on_disk_is_in_checkpoints_and_comes_back_elsewhere() {
    let limit = state_bytes() / 4;
    let mut disk = SimDisk::new(3, SimFaults::default());
    let out = Once::new();
    let (mut completed, mut written) = (0, 0);
    // Killed again and again, and gone on with on another number of shards, with the same limit, another, or none.
    for round in 0u64.. {
        let shards = [1, 2, 2, 3, 1][round as usize % 5];
        let sink = out.clone();
        let job = Job::new("spills")
            .shards(shards)
            .state_dir("/state")
            .checkpoint_interval(Duration::from_millis(1));
        let job = match round % 4 {
            0 | 1 => job.memory_limit(limit).spill_state(true),
            2 => job.memory_limit(limit / 2).spill_state(true),
            _ => job,
        };
        let mut simulation = Simulation::new(round, job, &disk, move |flow| program(flow, &sink)).unwrap();
        let end = loop {
            if let Some(end) = simulation.run(1_000) {
                break Some(end);
            }
            if simulation.metrics().checkpoints.completed >= 4 {
                break None;
            }
        };
        completed += simulation.metrics().checkpoints.completed;
        written += spilled(&simulation.metrics());
        if let Some(end) = end {
            assert!(matches!(end, SimEnd::Finished), "{end:?}");
            break;
        }
        drop(simulation);
        disk = disk.crash();
        assert!(round < 1_000, "it comes to no end");
    }
    assert!(completed > 8 && written > 1_000, "{completed} checkpoints, {written} pages written");
    assert_eq!(sorted(&out), expected());
}

#[test]
fn sb_03_without_leave_to_spill_the_limit_is_an_error_that_says_so() {
    let sink = Once::new();
    let job = Job::new("limited").restart(RestartStrategy::None).memory_limit(1 << 20);
    let said = job.run(move |flow| program(flow, &sink)).unwrap_err().to_string();
    for words in ["operator `keeps`", "memory budget of 1048576 bytes is used up", "Job::spill_state"] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
}

#[test]
fn sb_04_where_state_lies_is_said_per_job() {
    let program = |flow: &Flow| flow.source("numbers", sequence(0..=5)).key_by(|n| *n).count().discard();
    let said = Job::new("spills").spill_state(true).run(program).unwrap_err().to_string();
    assert!(said.contains("call .memory_limit(..)"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let job = Job::new("spills").memory_limit(1 << 20).spill_state(true).spill_dir(file.path());
    let said = job.run(program).unwrap_err().to_string();
    for words in ["cannot leave state on disk", &file.path().display().to_string(), "Job::spill_dir"] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    Job::new("spills").memory_limit(1 << 20).spill_state(true).run(program).unwrap();
}

/// Counts the records of each key, and forgets a key an hour after its last record.
#[derive(Default)]
struct Forgets {
    count: ValueState<u64>,
    text: ValueState<String>,
}

impl KeyedProcess<u64, u64> for Forgets {
    type Out = (u64, u64);

    fn open(&mut self, states: &mut States<'_, u64>) {
        let hour = Ttl::of(Duration::from_secs(3600)).by_event_time();
        self.count = states.expiring(hour).value("count");
        self.text = states.expiring(hour).value("text");
    }

    fn process(&mut self, n: &u64, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) {
        let count = ctx.get(&self.count).unwrap_or(0) + 1;
        ctx.set(&self.count, count);
        ctx.set(&self.text, text(*n, 0));
        ctx.emit((ctx.key(), count));
    }
}

#[test]
fn sb_05_windows_timers_and_what_expires_need_no_choice() {
    const MINUTE: i64 = 60_000;
    let run = |limit: Option<u64>| {
        let (windows, counts) = (Once::new(), Once::new());
        let (to_windows, to_counts) = (windows.clone(), counts.clone());
        let mut job = Job::new("days");
        if let Some(limit) = limit {
            job = job.memory_limit(limit).spill_state(true);
        }
        // Keys come again after half an hour, and then, those that do, after two.
        let come = |n: u64| n % 2_000 + if n < 6_000 { 0 } else { 10_000 };
        let at = |n: u64| Timestamp(n as i64 * MINUTE / 66 + if n < 4_000 { 0 } else { 120 * MINUTE });
        let records: Vec<_> = (0..8_000).map(|n| (n, at(n))).collect();
        let summary = job
            .run(move |flow| {
                let run = Run::straight(to_counts.clone());
                let numbers = flow.source("numbers", run.timed(vec![records.clone()]));
                let (first, second) = numbers.source_time(Watermarks::monotonous()).fork();
                first
                    .key_by(move |n| come(*n))
                    .window(Sliding::of(Duration::from_secs(24 * 3600)).every(Duration::from_secs(6 * 3600)))
                    .count()
                    .map(|count| (count.key, count.window.end.0, count.value))
                    .sink("windows", to_windows.clone());
                second.key_by(move |n| come(*n)).process(Forgets::default()).sink("counts", run.sink());
            })
            .unwrap();
        let written = spilled(&summary.metrics);
        ((sorted(&windows), sorted(&counts)), written)
    };
    let (whole, none) = run(None);
    let (spilled, written) = run(Some(400 << 10));
    assert_eq!(none, 0);
    assert!(written > 100, "{written} pages were written");
    assert!(spilled == whole, "the results differ");
    let mut most = BTreeMap::new();
    whole.1.iter().for_each(|(_, count)| *most.entry(*count).or_insert(0) += 1);
    // What was forgotten begins anew, but for the first record after the long pause, which comes before event time has gone on.
    assert_eq!(most, BTreeMap::from([(1, 5_999), (2, 2_000), (3, 1)]));
}
