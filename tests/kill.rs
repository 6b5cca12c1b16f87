//! Jobs killed with SIGKILL at any moment and started again: every result is there once, and at no moment is half of one visible.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::kills::{Lives, PATIENCE, Watch, kill_again_and_again};
use support::process::Process;
use support::random::Random;
use support::{command, cores, skipped};

const KILLS: usize = 50;
/// The lives of the click count with another number of shards than the others.
const OTHER_SHARDS: std::ops::Range<usize> = 20..26;
const PAGES: u64 = 6;

/// A count of 1000 per window and page.
fn whole_window(line: &str) -> Result<String, String> {
    match line.rsplit_once(',') {
        Some((window_and_page, "1000")) => Ok(window_and_page.to_owned()),
        _ => Err("is not window,page,1000".to_owned()),
    }
}

fn any_line(line: &str) -> Result<String, String> {
    Ok(line.to_owned())
}

fn all_windows(windows: u64, window_seconds: u64) -> HashSet<String> {
    let starts = (0..windows).map(|window| window * window_seconds * 1000);
    starts.flat_map(|start| (0..PAGES).map(move |page| format!("{start},{page}"))).collect()
}

/// Two, and in some lives another number.
fn shards(other: bool) -> &'static str {
    if other || cores() == 1 { "1" } else { "2" }
}

#[test]
fn eo_08_click_count_killed_50_times_has_every_window_once() {
    if cores() < 2 {
        skipped("click_count with 2 shards", "this machine has one core; 1 shard is used throughout");
    }
    let dir = tempfile::tempdir().unwrap();
    let (state, output) = (dir.path().join("state"), dir.path().join("output"));
    // More clicks than 50 lives can take at these rates; the last life takes the rest as fast as it can.
    let windows = 200;
    let job = |life: usize, rate: u64| -> Command {
        let mut command = command("click_count");
        command
            .arg("--state")
            .arg(&state)
            .arg("--output")
            .arg(&output)
            .args(["--shards", shards(OTHER_SHARDS.contains(&life))]);
        command.args([
            "--windows",
            &windows.to_string(),
            "--window-seconds",
            "15",
            "--rate",
            &rate.to_string(),
        ]);
        command.args(["--checkpoint-interval", "10"]);
        command
    };
    let watch = Watch::over(&output, whole_window);
    let mut random = Random::seeded(3);
    let lives =
        kill_again_and_again(KILLS, &mut random, |life, random| job(life, random.between(10, 150) * 1000));
    assert_eq!((lives.killed, lives.finished), (KILLS, false), "{lives:?}");
    assert!(lives.restored > KILLS / 4, "{lives:?}");
    let last = Process::start(job(KILLS, 0)).wait(PATIENCE).succeeded();
    assert!(last.out()[0].contains(" events/s; "), "{:?}", last.out());
    assert_eq!(watch.finish(), all_windows(windows, 15));

    // Once more, where there is nothing left to do: nothing is repeated.
    let watch = Watch::over(&output, whole_window);
    Process::start(job(KILLS, 0)).wait(PATIENCE).succeeded();
    assert_eq!(watch.finish(), all_windows(windows, 15));
}

/// Text of several files, one of them packed, and how often each word is in it.
fn texts(dir: &Path, random: &mut Random) -> (Vec<PathBuf>, BTreeMap<String, u64>) {
    let mut counts = BTreeMap::new();
    let mut paths = Vec::new();
    for number in 0..4 {
        let mut text = String::new();
        for _ in 0..25_000 {
            let words = random.between(0, 8);
            for _ in 0..words {
                // Few words are frequent, many are rare.
                let rank = random.between(1, 3000);
                let word = format!("w{}", random.between(0, rank));
                text.push_str(&word);
                text.push(' ');
                *counts.entry(word).or_insert(0) += 1;
            }
            text.push('\n');
        }
        let path = dir.join(format!("{number}.txt"));
        std::fs::write(&path, text).unwrap();
        if number == 3 {
            assert!(Command::new("gzip").arg(&path).status().unwrap().success());
            paths.push(path.with_extension("txt.gz"));
        } else {
            paths.push(path);
        }
    }
    (paths, counts)
}

#[test]
fn eo_08_word_count_killed_50_times_counts_like_sort_and_uniq() {
    let mut random = Random::seeded(4);
    let (mut killed, mut restored, mut texts_counted) = (0, 0, 0);
    // How far a life comes depends on the machine. A text that is counted is followed by another one.
    while killed < KILLS {
        let lives = word_count_killed(KILLS - killed, &mut random);
        killed += lives.killed;
        restored += lives.restored;
        texts_counted += 1;
    }
    eprintln!("{texts_counted} texts, {killed} kills, {restored} lives went on from a checkpoint");
    assert!(restored > KILLS / 4);
}

/// Kills a word count up to so often, lets it come to its end, and compares.
fn word_count_killed(times: usize, random: &mut Random) -> Lives {
    let dir = tempfile::tempdir().unwrap();
    let (state, output) = (dir.path().join("state"), dir.path().join("output"));
    let (paths, counts) = texts(dir.path(), random);
    let job = |shards: &str| -> Command {
        let mut command = command("word_count");
        command.arg("--text").args(&paths).arg("--state").arg(&state).arg("--output").arg(&output);
        command.args(["--shards", shards, "--checkpoint-interval", "20"]);
        command
    };
    let watch = Watch::over(&output, any_line);
    let lives = kill_again_and_again(times, random, |_, random| job(shards(random.between(0, 4) == 0)));
    Process::start(job(shards(false))).wait(PATIENCE).succeeded();

    let expected: BTreeSet<String> = counts
        .iter()
        .flat_map(|(word, last)| (1..=*last).map(move |count| format!("({word},{count})")))
        .collect();
    let found: BTreeSet<String> = watch.finish().into_iter().collect();
    let (lost, surplus) = (expected.difference(&found).count(), found.difference(&expected).count());
    assert_eq!((lost, surplus), (0, 0), "of {} lines; {lives:?}", expected.len());
    lives
}
