//! RS-09: the table of the Flink notes. Lines are typed into a socket; the line `ERROR` fails the job, which starts again three times
//! and then gives up.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::peer::Peer;
use support::process::{Ended, Process, Said};

/// What is typed.
const TYPED: [&str; 11] = ["a", "a", "b", "ERROR", "b", "a", "ERROR", "a", "ERROR", "b", "ERROR"];

/// The table says 10 s before each restart. One second is enough to see it.
const RESTART_DELAY: Duration = Duration::from_secs(1);

fn word_count(peer: &Peer, state: &Path) -> Command {
    let mut command = support::command("word_count");
    command.args(["--socket", &peer.address, "--restarts", "3"]);
    command.args(["--restart-delay", &RESTART_DELAY.as_secs().to_string(), "--checkpoint-interval", "200"]);
    command.arg("--state").arg(state);
    command
}

/// What the job said that is in the table: counts, restarts, and the end.
fn table(ended: &Ended) -> Vec<String> {
    let row = |(said, line): &(Said, String)| match said {
        Said::Out => Some(line.clone()),
        Said::Err if line.contains("starting again") => Some("restart".to_owned()),
        Said::Err if line.starts_with("status ") => Some(line.clone()),
        Said::Err => None,
    };
    ended.lines.iter().filter_map(row).collect()
}

/// The highest count that was printed of each word.
fn highest(ended: &Ended) -> BTreeMap<String, u64> {
    let mut highest = BTreeMap::new();
    for line in ended.out() {
        let (word, count) = line.trim_matches(['(', ')']).split_once(',').unwrap();
        let count: u64 = count.parse().unwrap();
        let best = highest.entry(word.to_owned()).or_insert(count);
        *best = count.max(*best);
    }
    highest
}

fn restarts(ended: &Ended) -> usize {
    table(ended).iter().filter(|row| *row == "restart").count()
}

/// Checkpoints outlive the job.
fn keeps_checkpoints(state: &Path) {
    assert!(state.join("MANIFEST").metadata().unwrap().len() > 0);
    assert!(state.join("delta").read_dir().unwrap().count() > 0);
}

#[test]
fn rs_09_line_for_line_with_a_checkpoint_between_any_two_lines() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::typing(&TYPED, Duration::from_millis(1500));
    let mut command = word_count(&peer, state.path());
    command.args(["--journal", "off"]);
    let ended = Process::start(command).wait(Duration::from_secs(60)).failed();
    let expected = [
        "(a,1)",
        "(a,2)",
        "(b,1)",
        "restart",
        "(b,2)",
        "(a,3)",
        "restart",
        "(a,4)",
        "restart",
        "(b,3)",
        "status FAILED, restarts=3",
    ];
    assert_eq!(table(&ended), expected, "{}", ended.err());
    ended.says(&["operator `split`", "custom error flag, restart application", "line 4"]);
    assert_eq!(peer.finish(), 4, "each start made a connection of its own");
    keeps_checkpoints(state.path());
}

#[test]
fn rs_09_cp_24_eo_02_with_a_journal_nothing_is_lost_however_fast_lines_come() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::typing(&TYPED, Duration::ZERO);
    let ended = Process::start(word_count(&peer, state.path())).wait(Duration::from_secs(30)).failed();
    assert_eq!(
        highest(&ended),
        BTreeMap::from([("a".to_owned(), 4), ("b".to_owned(), 3)]),
        "{:#?}",
        ended.lines
    );
    assert_eq!(restarts(&ended), 3);
    let ended = ended.says(&["status FAILED, restarts=3", "line 11: custom error flag"]);
    // Marked in the journal, and left out from then on.
    let left_out =
        |line: u64| ended.err().matches(&format!("line {line} made the job fail and is left out")).count();
    assert_eq!([4, 7, 9].map(left_out), [3, 2, 1]);
    assert_eq!(peer.finish(), 1, "the connection outlives restarts");
}

#[test]
fn rs_09_with_a_journal_and_pauses_the_table_is_the_same() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::typing(&TYPED, Duration::from_millis(1500));
    let ended = Process::start(word_count(&peer, state.path())).wait(Duration::from_secs(60)).failed();
    assert_eq!(
        ended.out(),
        ["(a,1)", "(a,2)", "(b,1)", "(b,2)", "(a,3)", "(a,4)", "(b,3)"],
        "{}",
        ended.err()
    );
    assert_eq!(restarts(&ended), 3);
    keeps_checkpoints(state.path());
}

#[test]
fn a_failed_record_that_is_replayed_fails_the_job_until_restarts_are_used_up() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::typing(&TYPED, Duration::ZERO);
    let mut command = word_count(&peer, state.path());
    command.args(["--on-failed-record", "replay"]);
    let ended = Process::start(command).wait(Duration::from_secs(30)).failed();
    assert_eq!(
        highest(&ended),
        BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]),
        "{:#?}",
        ended.lines
    );
    assert_eq!(restarts(&ended), 3);
    let failures = ended
        .err()
        .lines()
        .filter(|line| line.contains(" FAILED after ") && line.contains(", line 4: "))
        .count();
    // Three restarts, the last failure in the log, and the last words.
    assert_eq!(failures, 5, "{}", ended.err());
}
