//! Processes that are watched over by another one, ended by signals, and kept from running twice.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::kills::{PATIENCE, Watch};
use support::process::{Ended, Process};
use support::{command, signal};

const PAGES: u64 = 6;

fn whole_window(line: &str) -> Result<String, String> {
    line.strip_suffix(",1000").map(str::to_owned).ok_or_else(|| "is not window,page,1000".to_owned())
}

fn all_windows(windows: u64) -> HashSet<String> {
    let starts = (0..windows).map(|window| window * 15_000);
    starts.flat_map(|start| (0..PAGES).map(move |page| format!("{start},{page}"))).collect()
}

/// A click count in this directory.
fn click_count(dir: &Path, windows: u64, rate: u64) -> Command {
    let mut command = command("click_count");
    command.arg("--state").arg(dir.join("state")).arg("--output").arg(dir.join("output"));
    command.args(["--shards", "1", "--checkpoint-interval", "10", "--window-seconds", "15"]);
    command.args(["--windows", &windows.to_string(), "--rate", &rate.to_string()]);
    command
}

/// The numbers of the processes that the supervisor has started, in order.
fn children(lines: &[(support::process::Said, String)]) -> Vec<u32> {
    let started = lines.iter().filter(|(_, line)| line.contains("supervised process started"));
    let pid =
        |line: &str| line.split("pid=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    started.map(|(_, line)| pid(line)).collect()
}

/// Waits until so many children have been started and the last of them runs its job.
fn running(process: &mut Process, nth: usize) -> u32 {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = process.lines();
        let jobs = lines.iter().filter(|(_, line)| line.contains(" RUNNING ")).count();
        if jobs >= nth && children(&lines).len() >= nth {
            return children(&lines)[nth - 1];
        }
        assert!(Instant::now() < end, "{lines:#?}");
        assert!(!process.ends_within(Duration::from_millis(5)), "{:#?}", process.lines());
    }
}

fn is_gone(pid: u32) -> bool {
    // A process that has ended and that nobody has waited for yet is no more than a name.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    }
}

#[test]
fn a_killed_process_is_started_again_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::over(&dir.path().join("output"), whole_window);
    let mut job = click_count(dir.path(), 60, 150_000);
    job.arg("--supervise");
    let mut process = Process::start(job);
    for nth in 1..=3 {
        let child = running(&mut process, nth);
        std::thread::sleep(Duration::from_millis(150));
        signal(child, if nth == 2 { "ABRT" } else { "KILL" });
    }
    let ended = process.wait(PATIENCE).succeeded();
    let again = ended.warnings().iter().filter(|line| line.contains("starting it again")).count();
    assert_eq!((again, children(&ended.lines).len()), (3, 4), "{}", ended.err());
    let ended = ended.says(&["was killed by signal 9 (SIGKILL)", "was killed by signal 6 (SIGABRT)"]);
    drop(ended);
    assert_eq!(watch.finish(), all_windows(60));
}

#[test]
fn the_strategy_limits_restarts_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "a b a\n".repeat(2_000_000)).unwrap();
    let mut job = command("word_count");
    job.arg("--text").arg(&text).arg("--state").arg(dir.path().join("state"));
    job.arg("--output").arg(dir.path().join("output"));
    job.args(["--supervise", "--restarts", "1", "--restart-delay", "0.01"]);
    let mut process = Process::start(job);
    for nth in 1..=2 {
        signal(running(&mut process, nth), "KILL");
    }
    let ended = process.wait(PATIENCE);
    assert_eq!(ended.status.code(), Some(128 + 9), "{}", ended.err());
    ended.says(&["was killed by signal 9 (SIGKILL); it is not started again"]);
}

#[test]
fn a_process_that_ends_by_itself_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "a\nERROR\n").unwrap();
    let mut job = command("word_count");
    job.arg("--text").arg(dir.path().join("text")).arg("--state").arg(dir.path().join("state"));
    job.args(["--supervise", "--restarts", "1", "--restart-delay", "0"]);
    let ended = Process::start(job).wait(PATIENCE).failed();
    assert_eq!(children(&ended.lines).len(), 1);
    ended.says(&["status FAILED, restarts=1"]);
}

/// Stops a click count with SIGTERM in the middle, by way of the given process, and lets another one do the rest.
fn stopped_and_finished(dir: &Path, job: Command, stop: impl FnOnce(&mut Process)) -> Ended {
    let watch = Watch::over(&dir.join("output"), whole_window);
    let mut process = Process::start(job);
    process.until_said(" RUNNING ", PATIENCE);
    std::thread::sleep(Duration::from_millis(300));
    stop(&mut process);
    let ended =
        process.wait(PATIENCE).succeeded().says(&["STOPPED after", "the job ends after a checkpoint"]);
    let rest = Process::start(click_count(dir, 40, 0)).wait(PATIENCE).succeeded();
    rest.says(&[" from="]);
    assert_eq!(watch.finish(), all_windows(40));
    ended
}

#[test]
fn sigterm_stops_a_job_with_a_last_checkpoint() {
    for name in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let job = click_count(dir.path(), 40, 50_000);
        stopped_and_finished(dir.path(), job, |process| signal(process.id(), name));
    }
}

#[test]
fn signals_are_passed_on_to_the_process_that_does_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = click_count(dir.path(), 40, 50_000);
    job.arg("--supervise");
    let ended = stopped_and_finished(dir.path(), job, |process| signal(process.id(), "TERM"));
    assert_eq!(children(&ended.lines).len(), 1, "{}", ended.err());
}

#[test]
fn the_work_ends_when_the_supervisor_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = click_count(dir.path(), 40, 10_000);
    job.arg("--supervise");
    let mut process = Process::start(job);
    let child = running(&mut process, 1);
    process.kill_and_go_on();
    let end = Instant::now() + PATIENCE;
    while !is_gone(child) {
        assert!(Instant::now() < end, "process {child} goes on without its supervisor");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn two_processes_cannot_have_one_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Process::start(click_count(dir.path(), 40, 10_000));
    first.until_said(" RUNNING ", PATIENCE);
    let second = Process::start(click_count(dir.path(), 40, 10_000)).wait(PATIENCE).failed();
    second.says(&["is in use by process", &first.id().to_string(), "a state directory of its own"]);
    // The first one is not troubled.
    signal(first.id(), "TERM");
    first.wait(PATIENCE).succeeded();
}
