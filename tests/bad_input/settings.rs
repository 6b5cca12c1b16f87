//! Zero and absurd settings.

use std::time::Duration;

use millstream::io::{Collection, collect, sequence};
use millstream::prelude::*;

use super::refused;
use crate::support::process::Process;
use crate::support::{command, cores};

#[test]
fn command_lines_that_make_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "a b a\n").unwrap();
    let word_count = |arguments: &[&str], words: &[&str]| {
        let all: Vec<&str> = ["--text", "text"].into_iter().chain(arguments.iter().copied()).collect();
        refused("word_count", dir.path(), &all, words);
    };
    let click_count = |arguments: &[&str], words: &[&str]| {
        let all: Vec<&str> =
            ["--state", "state", "--output", "output"].into_iter().chain(arguments.iter().copied()).collect();
        refused("click_count", dir.path(), &all, words);
    };
    refused("word_count", dir.path(), &[], &["--text", "--socket", "required"]);
    word_count(&["--socket", "localhost:9100"], &["cannot be used with"]);
    word_count(&["--shards", "0"], &["at least 1 shard; 0 were asked for"]);
    word_count(&["--shards", "5000"], &["5000 shards were asked for; at most 1024 are supported"]);
    word_count(&["--shards", "70000"], &["70000 is not in 0..=65535"]);
    word_count(&["--checkpoint-interval", "0"], &["checkpoint_interval", "give at least 1 ms"]);
    word_count(&["--restart-delay", "-1"], &["--restart-delay", "give a number of seconds"]);
    word_count(&["--restart-delay", "NaN"], &["--restart-delay", "give a number of seconds"]);
    word_count(&["--restart-delay", "1e300"], &["--restart-delay", "give a number of seconds"]);
    word_count(&["--restart-delay", "soon"], &["--restart-delay", "give a number of seconds"]);
    word_count(&["--journal", "maybe"], &["--journal", "[possible values: on, off]"]);
    click_count(
        &["--window-seconds", "0"],
        &["window size: 0 s is not positive", "at least one tick", "click_count.rs"],
    );
    click_count(
        &["--window-seconds", "18446744073709551615"],
        &["window size", "more than event time can hold"],
    );
    click_count(&["--rate", "-5"], &["unexpected argument '-5'"]);
    click_count(&["--checkpoint-interval", "0"], &["checkpoint_interval", "give at least 1 ms"]);
    assert!(!dir.path().join("output").exists(), "what is refused leaves no output");
}

#[test]
fn more_shards_than_cores_are_refused_with_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "a b a\n").unwrap();
    let wanted = cores() + 1;
    let numbers = format!("needs {wanted} cores, {} available (cpuset ", cores());
    let arguments = ["--text", "text", "--shards", &wanted.to_string()];
    refused(
        "word_count",
        dir.path(),
        &arguments,
        &[&numbers, "lower the number of shards, or allow oversubscription"],
    );
}

#[test]
fn settings_that_only_the_library_has() {
    fn setting(job: Job) -> String {
        let program = |flow: &Flow| flow.source("numbers", sequence(0..=5)).key_by(|n| *n).count().discard();
        job.run(program).unwrap_err().to_string()
    }
    let state = tempfile::tempdir().unwrap();
    let with_state = || Job::new("settings").state_dir(state.path());
    let cases = [
        (setting(Job::new("")), "at least one character"),
        (setting(Job::new("a/b")), "no `/`"),
        (setting(with_state().checkpoint_timeout(Duration::ZERO)), "give some seconds"),
        (setting(with_state().retained_checkpoints(0)), "keep at least 1"),
        (setting(with_state().memory_limit(0)), "leave it out for no limit"),
        (setting(with_state().from_checkpoint(millstream::element::Epoch(7))), "checkpoint 7 is not in"),
        (setting(Job::new("settings").from_checkpoint(millstream::element::Epoch(7))), "call .state_dir(..)"),
        (setting(Job::new("settings").ring_bytes(0)), "ring"),
        (setting(Job::new("settings").ring_bytes(usize::MAX)), "ring"),
        (setting(Job::new("settings").cores([4000])), "core 4000 is not available"),
        (setting(Job::new("settings").shards(2).cores([0, 0])), "core 0 is named twice"),
    ];
    for (said, words) in cases {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
}

#[test]
fn programs_that_cannot_run_say_everything_that_is_wrong() {
    let (sink, _results) = collect::<i64>();
    let said = Job::new("wrong")
        .run(move |flow| {
            let numbers = || flow.source("numbers", sequence(0..=5).partitions(0));
            numbers().key_by(|n| *n).window(Tumbling::of(Duration::ZERO)).count().discard();
            flow.source("timeless", Collection::of([1i64]))
                .key_by(|n| *n)
                .window(Tumbling::of(Duration::from_secs(1)))
                .count()
                .discard();
            flow.source("numbers", sequence(0..=5)).sink("out", sink.clone());
        })
        .unwrap_err()
        .to_string();
    for words in ["window size: 0 s is not positive", "event time", "numbers", "settings.rs"] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
}

#[test]
fn a_source_in_no_partitions_says_so() {
    let said = Job::new("nothing")
        .run(|flow| flow.source("numbers", sequence(0..=5).partitions(0)).discard())
        .unwrap_err();
    assert!(said.to_string().contains("0 partitions"), "{said}");
}

#[test]
fn help_explains_every_option() {
    for (name, options) in [
        (
            "word_count",
            &[
                "--text",
                "--socket",
                "--output",
                "--shards",
                "--state",
                "--checkpoint-interval",
                "--restarts",
                "--restart-delay",
                "--journal",
                "--on-failed-record",
            ][..],
        ),
        (
            "click_count",
            &[
                "--shards",
                "--rate",
                "--windows",
                "--window-seconds",
                "--state",
                "--output",
                "--checkpoint-interval",
            ],
        ),
    ] {
        let mut command = command(name);
        command.arg("--help");
        let help = Process::start(command).wait(super::PATIENCE).succeeded().out().join("\n");
        for option in options {
            let help = &help[help.find("Options:").unwrap()..];
            let at = help
                .find(&format!("{option} "))
                .unwrap_or_else(|| panic!("{option} is not in the help of {name}:\n{help}"));
            let lines: Vec<&str> = help[at..].lines().take(2).collect();
            assert!(lines.concat().split_whitespace().count() > 4, "{option} is not explained: {lines:?}");
        }
    }
}
