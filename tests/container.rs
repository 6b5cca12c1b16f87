//! A container's default restrictions: io_uring is refused by a seccomp filter. Everything works on the thread driver, and one line
//! says why.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use support::cores;
use support::kills::{PATIENCE, Watch, kill_again_and_again};
use support::process::{Ended, Process};
use support::random::Random;

/// Set for the child process that gives up io_uring and becomes what the variable names.
const BECOME: &str = "MILLSTREAM_TEST_BECOME";
const ARGUMENTS_END: char = '\n';

/// Started by [`contained`] in a process of its own: there is no way back from the filter.
#[test]
#[ignore = "a part of the other tests, for a process of its own"]
fn becomes_an_example_without_io_uring() {
    let Ok(words) = std::env::var(BECOME) else { return };
    millstream::testing::refuse_io_uring().unwrap();
    let mut words = words.split(ARGUMENTS_END);
    let error = Command::new(words.next().unwrap()).args(words).env_remove(BECOME).exec();
    panic!("cannot become the example: {error}");
}

/// The same command behind a filter that refuses io_uring.
fn contained(command: &Command) -> Command {
    let words: Vec<&str> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| OsStr::to_str(word).unwrap())
        .collect();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["becomes_an_example_without_io_uring", "--exact", "--ignored", "--nocapture"]);
    child.env(BECOME, words.join(&ARGUMENTS_END.to_string())).env("NO_COLOR", "1").env_remove("RUST_LOG");
    child
}

fn click_count(dir: &Path, windows: u64, rate: u64, shards: u16) -> Command {
    let mut command = support::command("click_count");
    command.arg("--state").arg(dir.join("state")).arg("--output").arg(dir.join("output"));
    command.args(["--windows", &windows.to_string(), "--rate", &rate.to_string()]);
    command.args(["--checkpoint-interval", "10", "--shards", &shards.to_string()]);
    contained(&command)
}

fn shards() -> u16 {
    cores().min(2) as u16
}

fn whole_window(line: &str) -> Result<String, String> {
    match line.rsplit_once(',') {
        Some((window_and_page, "1000")) => Ok(window_and_page.to_owned()),
        _ => Err("is not window,page,1000".to_owned()),
    }
}

fn all_windows(windows: u64) -> HashSet<String> {
    (0..windows).flat_map(|window| (0..6).map(move |page| format!("{},{page}", window * 15_000))).collect()
}

/// One warning, about the driver, that says what is wrong and what can be done.
#[track_caller]
fn warns_once(ended: &Ended) {
    let warnings = ended.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    for words in [
        "falling back to the thread driver",
        "io_uring is refused by a seccomp filter",
        "Docker",
        "allow io_uring_setup",
    ] {
        assert!(warnings[0].contains(words), "{words:?} is not in {:?}", warnings[0]);
    }
}

#[test]
fn done_8_click_count_is_whole_on_the_thread_driver_with_one_warning() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::over(&dir.path().join("output"), whole_window);
    let ended = Process::start(click_count(dir.path(), 50, 0, shards())).wait(PATIENCE).succeeded();
    assert_eq!(watch.finish(), all_windows(50));
    warns_once(&ended);
    ended.says(&["(thread driver)", "exactly once end to end: yes"]);
}

#[test]
fn done_8_kills_and_restarts_on_the_thread_driver() {
    let dir = tempfile::tempdir().unwrap();
    let watch = Watch::over(&dir.path().join("output"), whole_window);
    let mut random = Random::seeded(8);
    let lives = kill_again_and_again(12, &mut random, |life, random| {
        // One life with another number of shards.
        let shards = if life == 6 { 1 } else { shards() };
        click_count(dir.path(), 120, random.between(10, 150) * 1000, shards)
    });
    assert!(lives.killed > 0, "{lives:?}");
    Process::start(click_count(dir.path(), 120, 0, shards())).wait(PATIENCE).succeeded();
    assert_eq!(watch.finish(), all_windows(120));
}

#[test]
fn done_8_a_failed_job_starts_again_on_the_thread_driver() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "a b a\nERROR\n").unwrap();
    let mut command = support::command("word_count");
    command.arg("--text").arg(&text).args(["--restarts", "2", "--restart-delay", "0.01"]);
    let ended =
        Process::start(contained(&command)).wait(PATIENCE).failed().says(&["status FAILED, restarts=2"]);
    let about_drivers = ended.warnings().iter().filter(|line| line.contains("thread driver")).count();
    assert_eq!(about_drivers, 1, "{:#?}", ended.warnings());
    assert!(ended.out().contains(&"(a,2)"));
}
