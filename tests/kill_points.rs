//! A process that dies at each point of a sink's two-phase commit: in the middle of a write, when its part is prepared, when the checkpoint is
//! durable and nothing is committed, and when it is committed and nobody knows yet. Whoever reads the files sees each record once.
//!
//! The process that dies is this test binary itself, started again with [`CHILD`] set.

#![allow(clippy::unwrap_used)] // helpers of a test

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use millstream::element::Epoch;
use millstream::io::{FileSink, Generator};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};

/// Where a child is to die: `write`, `prepared`, `commit`, `committed`, or nowhere.
const CHILD: &str = "MILLSTREAM_KILL_POINT";
const STATE: &str = "MILLSTREAM_KILL_STATE";
const OUTPUT: &str = "MILLSTREAM_KILL_OUTPUT";

const RECORDS: u64 = 20_000;

/// How many records a child writes before it dies at any point.
const BEFORE: u64 = 5_000;

/// Ends this process as SIGKILL does: nothing is flushed, no destructor runs.
fn die() -> ! {
    let pid = std::process::id().to_string();
    let _ = Command::new("kill").args(["-9", &pid]).status();
    std::process::abort()
}

/// A file sink that dies at a point.
struct Dies {
    files: FileSink,
    point: String,
    written: u64,
    since_cut: u64,
}

impl Dies {
    fn at(&self, point: &str) {
        if self.point == point && self.written >= BEFORE {
            die();
        }
    }
}

impl Sink<u64> for Dies {
    fn delivery(&self) -> Delivery {
        Sink::<u64>::delivery(&self.files)
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        Sink::<u64>::open(&mut self.files, context, recovered)
    }

    fn ready(&mut self) -> bool {
        Sink::<u64>::ready(&mut self.files)
    }

    fn write(&mut self, record: &u64, at: Timestamp) -> Result<(), SinkError> {
        self.written += 1;
        self.since_cut += 1;
        // In the middle of what belongs to one checkpoint.
        if self.since_cut > 10 {
            self.at("write");
        }
        self.files.write(record, at)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Sink::<u64>::flush(&mut self.files)
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.since_cut = 0;
        Sink::<u64>::prepare(&mut self.files, epoch)
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let answer = Sink::<u64>::poll_prepared(&mut self.files, epoch);
        if matches!(answer, Poll::Ready(Ok(Some(_)))) {
            self.at("prepared");
        }
        answer
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.at("commit");
        Sink::<u64>::commit(&mut self.files, epoch)
    }

    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        let answer = Sink::<u64>::poll_committed(&mut self.files, epoch);
        if matches!(answer, Poll::Ready(Ok(()))) {
            self.at("committed");
        }
        answer
    }

    fn close(&mut self) -> Result<(), SinkError> {
        Sink::<u64>::close(&mut self.files)
    }
}

/// The child: a job that numbers go through, to its end or to its death.
#[test]
#[ignore = "a part of the other test, for a process of its own"]
fn child() {
    let point = std::env::var_os(CHILD).unwrap();
    let (state, output) = (std::env::var_os(STATE).unwrap(), std::env::var_os(OUTPUT).unwrap());
    let point = point.into_string().unwrap();
    let summary = Job::new("killed")
        .state_dir(state)
        .checkpoint_interval(Duration::from_millis(20))
        .run(move |flow| {
            let numbers = Generator::new(1, Some(RECORDS), 40_000, |_, n| (n, Timestamp(n as i64)));
            let files = FileSink::lines(&output);
            let sink = Dies { files, point: point.clone(), written: 0, since_cut: 0 };
            flow.source("numbers", numbers).sink("files", sink);
        })
        .unwrap();
    assert_eq!(summary.status, JobStatus::Finished);
}

fn run_child(point: &str, state: &Path, output: &Path) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(CHILD, point)
        .env(STATE, state)
        .env(OUTPUT, output)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

/// How often each number is in the files that a reader looks at.
fn visible(output: &Path) -> BTreeMap<u64, u64> {
    let mut numbers = BTreeMap::new();
    for entry in std::fs::read_dir(output).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("part-") {
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                *numbers.entry(line.parse().unwrap()).or_insert(0) += 1;
            }
        }
    }
    numbers
}

#[test]
fn eo_04_each_record_is_there_once_wherever_the_process_dies() {
    for point in ["write", "prepared", "commit", "committed"] {
        let (state, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for death in 1..=3 {
            let status = run_child(point, state.path(), output.path());
            let part = visible(output.path());
            assert!(part.values().all(|times| *times == 1), "{point}, after death {death}");
            if status.success() {
                // It has less to do each time, and may come to its end.
                assert!(death > 1, "{point}: the first process did not die");
                break;
            }
            // It was killed, and did not fail on its way there.
            assert_eq!(status.signal(), Some(9), "{point}, death {death}: {status}");
        }
        let status = run_child("nowhere", state.path(), output.path());
        assert!(status.success(), "{point}: {status}");
        let all: BTreeMap<u64, u64> = (0..RECORDS).map(|n| (n, 1)).collect();
        assert_eq!(visible(output.path()), all, "{point}");
    }
}
