//! `restore_1gb_first_record_ms`: from the start of a process to the first record through a keyed operator with a gigabyte of state.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use serde_json::{Value, json};

use super::Settings;
use crate::clock::monotonic_nanos;
use crate::outcome::{Outcome, Target};
use crate::stats::{median, spread};

/// With the values below, 1.04 GB of keys and values.
const KEYS: u64 = 10_000_000;

/// How many records follow the first one, each by itself, most of them on pages that are not in memory yet.
const TOUCHES: usize = 1000;

const PATIENCE: Duration = Duration::from_secs(600);

/// What a child process is to do.
#[derive(clap::Args)]
pub struct ChildArgs {
    #[arg(long)]
    state: PathBuf,
    #[arg(long)]
    keys: u64,
    #[arg(long)]
    core: usize,
    /// When the process was started, by the machine's clock. Without it, state is built.
    #[arg(long)]
    started: Option<u64>,
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let keys = settings.size(KEYS);
    let state = tempfile::tempdir_in(&settings.dir)?;
    let child = |started: Option<u64>| -> Result<Value, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("restore-child").arg("--state").arg(state.path());
        command.args(["--keys", &keys.to_string(), "--core", &core.to_string()]);
        command.args(started.map(|at| format!("--started={at}")));
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("a child process failed: {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let built = child(None)?;
    let (mut ours, mut whole, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..settings.rounds {
        // The reference also brings all files into the page cache.
        let began = Instant::now();
        bytes = read_all(state.path())?;
        whole.push(began.elapsed().as_secs_f64() * 1e3);
        ours.push(child(Some(monotonic_nanos()))?);
    }
    let times = |what: &str| ours.iter().map(|of| of[what].as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let first = times("first_record_ms");
    let part = |what: &str| median(times(what));
    let notes = vec![
        format!(
            "one shard on core {core}; {keys} keys of 8 bytes with values of 96; page cache warm; medians"
        ),
        format!(
            "state: {:.0} MB of pages in memory, {:.0} MB of files, built and saved in {:.1} s",
            built["state_bytes"].as_f64().unwrap_or_default() / 1e6,
            bytes as f64 / 1e6,
            built["seconds"].as_f64().unwrap_or_default()
        ),
        format!(
            "process to main {:.1} ms; state directory opened {:.1} ms; page map read and executor made {:.1} ms; chains opened {:.1} ms; \
             first record (one page touched) {:.3} ms",
            part("main_ms"),
            part("opened_ms"),
            part("map_read_ms"),
            part("chains_ms"),
            part("touch_ms")
        ),
        format!(
            "then {TOUCHES} records one by one, while the rest comes in behind them: median {:.1} us, p99 {:.1} us",
            part("later_median_us"),
            part("later_p99_us")
        ),
    ];
    Ok(vec![Outcome {
        name: "restore_1gb_first_record_ms",
        unit: "ms",
        value: median(first.iter().copied()),
        reference: median(whole.iter().copied()),
        reference_is: "reading all files of the state from the page cache, as an eager restore would have to at least",
        spread: spread(first.iter().copied()),
        ratio_spread: None,
        target: Target::ValueAtMost(200.0),
        notes,
        disturbed: Vec::new(),
        raw: json!({ "built": built, "restored": ours, "read_all_ms": whole }),
    }])
}

/// Reads every file below a directory; returns how many bytes there were.
fn read_all(dir: &Path) -> Result<u64, std::io::Error> {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            bytes += read_all(&entry.path())?;
            continue;
        }
        let mut file = File::open(entry.path())?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => bytes += read as u64,
            }
        }
    }
    Ok(bytes)
}

/// The child process: builds state and ends after a checkpoint, or goes on from there and takes the time. Prints what it has to say as
/// JSON.
pub fn child(args: &ChildArgs) -> Result<(), Box<dyn Error>> {
    let said = match args.started {
        None => build(args)?,
        Some(started) => resume(args, started)?,
    };
    println!("{said}");
    Ok(())
}

/// What the job of a child and its main thread share.
#[derive(Default)]
struct Marks {
    /// How many records have passed the keyed operator.
    passed: AtomicU64,
    opened: AtomicU64,
    polled: AtomicU64,
    /// When each of the records of a resumed job left its source and passed the keyed operator.
    left: Vec<AtomicU64>,
    arrived: Vec<AtomicU64>,
    /// What is kept for the first key now.
    first_visits: AtomicU64,
}

impl Marks {
    fn new(records: usize) -> Arc<Marks> {
        let times = || (0..records).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Marks { left: times(), arrived: times(), ..Marks::default() })
    }
}

/// A key on its way.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Visit {
    key: u64,
    at: i64,
}

/// What is kept for a key: 96 bytes.
#[derive(Record, Clone, Copy, Debug, Default)]
#[repr(C)]
struct Profile {
    visits: u64,
    last: i64,
    rest: [u64; 10],
}

fn job(args: &ChildArgs, interval: Duration) -> Job {
    let job = Job::new("restore").shards(1).cores([args.core]).wait(WaitPolicy::Spin);
    job.state_dir(&args.state).checkpoint_interval(interval).retained_checkpoints(1)
}

fn program(flow: &Flow, keys: u64, marks: &Arc<Marks>) {
    let (source, sink) = (marks.clone(), marks.clone());
    flow.source("visits", Visits { keys, marks: source })
        .event_time(Watermarks::monotonous(), |visit| visit.at)
        .key_by(|visit| visit.key)
        .fold(Profile::default(), |profile, visit| {
            profile.visits += 1;
            profile.last = visit.at;
        })
        .for_each(move |(_, profile), _| {
            let passed = sink.passed.load(Ordering::Relaxed);
            if let Some(arrived) = sink.arrived.get(passed as usize) {
                arrived.store(monotonic_nanos(), Ordering::Relaxed);
                if passed == 0 {
                    sink.first_visits.store(profile.visits, Ordering::Relaxed);
                }
            }
            sink.passed.store(passed + 1, Ordering::Release);
        });
}

fn build(args: &ChildArgs) -> Result<Value, Box<dyn Error>> {
    let (keys, marks) = (args.keys, Marks::new(0));
    let began = Instant::now();
    let of_job = marks.clone();
    let handle = job(args, Duration::from_millis(500)).spawn(move |flow| program(flow, keys, &of_job))?;
    let has_passed = || marks.passed.load(Ordering::Acquire) >= keys;
    wait_until(&handle, has_passed)?;
    // One that is running now may have begun before the last record; the one after it has not.
    let enough = handle.metrics().checkpoints.completed + 2;
    wait_until(&handle, || handle.metrics().checkpoints.completed >= enough)?;
    let state_bytes: u64 = handle.metrics().shards.iter().map(|shard| shard.state_bytes).sum();
    handle.cancel();
    handle.wait()?;
    Ok(json!({ "state_bytes": state_bytes, "seconds": began.elapsed().as_secs_f64() }))
}

fn resume(args: &ChildArgs, started: u64) -> Result<Value, Box<dyn Error>> {
    let main = monotonic_nanos();
    let (keys, marks) = (args.keys, Marks::new(1 + TOUCHES));
    let of_job = marks.clone();
    // No checkpoint is to come between.
    let handle = job(args, Duration::from_secs(3600)).spawn(move |flow| program(flow, keys, &of_job))?;
    let spawned = monotonic_nanos();
    wait_until(&handle, || marks.passed.load(Ordering::Acquire) > TOUCHES as u64)?;
    handle.cancel();
    handle.wait()?;
    let visits = marks.first_visits.load(Ordering::Relaxed);
    if visits != 2 {
        return Err(format!("the first key was visited twice, but its state says {visits}").into());
    }
    let time = |mark: &AtomicU64| mark.load(Ordering::Relaxed);
    let (opened, polled) = (time(&marks.opened), time(&marks.polled));
    let later = marks.left.iter().zip(&marks.arrived).skip(1);
    let mut later: Vec<u64> = later.map(|(left, arrived)| time(arrived) - time(left)).collect();
    later.sort_unstable();
    let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
    Ok(json!({
        "main_ms": ms(started, main),
        "opened_ms": ms(main, spawned),
        "map_read_ms": ms(spawned, opened),
        "chains_ms": ms(opened, polled),
        "touch_ms": ms(time(&marks.left[0]), time(&marks.arrived[0])),
        "first_record_ms": ms(started, time(&marks.arrived[0])),
        "later_median_us": later[later.len() / 2] as f64 / 1e3,
        "later_p99_us": later[later.len() * 99 / 100] as f64 / 1e3,
    }))
}

fn wait_until(handle: &JobHandle, done: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while !done() {
        if !matches!(handle.status(), JobStatus::Created | JobStatus::Running) || began.elapsed() > PATIENCE {
            return Err(format!("the job gets nowhere; it is {}", handle.status()).into());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Every key once; a reader that goes on after that gives some of them again, one at a time.
struct Visits {
    keys: u64,
    marks: Arc<Marks>,
}

impl Source for Visits {
    type Item = Visit;
    type Reader = VisitReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<VisitReader, SourceError> {
        self.marks.opened.store(monotonic_nanos(), Ordering::Relaxed);
        let next = match offset.map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(SourceError::fatal("an offset of visits has eight bytes")),
        };
        Ok(VisitReader { keys: self.keys, next, again: 0, marks: self.marks.clone() })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

struct VisitReader {
    keys: u64,
    next: u64,
    again: u64,
    marks: Arc<Marks>,
}

impl Reader for VisitReader {
    type Item = Visit;

    fn poll(&mut self, _: Nanos, out: &mut Records<Visit>) -> Result<SourcePoll, SourceError> {
        if self.next < self.keys {
            for _ in 0..out.room().min((self.keys - self.next) as usize) {
                out.push(Visit { key: self.next, at: (self.next / 1000) as i64 });
                self.next += 1;
            }
            return Ok(SourcePoll::More);
        }
        let Some(left) = self.marks.left.get(self.again as usize) else {
            return Ok(SourcePoll::Idle { until: None });
        };
        if self.again == 0 {
            self.marks.polled.store(monotonic_nanos(), Ordering::Relaxed);
        }
        if self.marks.passed.load(Ordering::Relaxed) == self.again {
            // Keys from all over.
            let key = (self.again + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.keys;
            left.store(monotonic_nanos(), Ordering::Relaxed);
            out.push(Visit { key, at: (self.keys / 1000) as i64 });
            self.again += 1;
        }
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("visit {index} of the last poll, before number {}", self.next + self.again)
    }
}
