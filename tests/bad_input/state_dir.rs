//! State directories of others: another job, another format, a running process, no state directory at all.

use std::time::{Duration, Instant};

use millstream::checkpoint::FORMAT_VERSION;

use super::{PATIENCE, example, refused};
use crate::support::peer::Peer;
use crate::support::process::Process;

/// The CRC-32 of zlib and gzip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn state_of_another_job_or_format_and_what_is_no_state() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("text"), "a b a\n").unwrap();
    std::fs::create_dir(dir.join("strange")).unwrap();
    std::fs::write(dir.join("strange/letter"), "dear").unwrap();
    let word_count = |state: &str, words: &[&str]| {
        refused("word_count", dir, &["--text", "text", "--state", state], words);
    };
    word_count("text", &["state directory text", "name a directory, not a file"]);
    word_count(
        "strange",
        &["strange is not a state directory", "it holds `letter`", "name an empty or a new directory"],
    );
    assert!(!dir.join("strange/LOCK").exists(), "nothing is left in a stranger's directory");

    let clicks = ["--windows", "1", "--state", "clicks", "--output", "output", "--shards", "1"];
    Process::start(example("click_count", dir, &clicks)).wait(PATIENCE).succeeded();
    word_count(
        "clicks",
        &["clicks belongs to the job `click_count`, not to `word_count`", "a state directory of its own"],
    );

    // The preamble is the same in every format: magic, version, and the checksum of both (`docs/formats/manifest.md`).
    let manifest = dir.join("clicks/MANIFEST");
    let good = std::fs::read(&manifest).unwrap();
    let mut bytes = good.clone();
    bytes[16..20].copy_from_slice(&7u32.to_le_bytes());
    let checksum = crc32(&bytes[..20]);
    bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&manifest, &bytes).unwrap();
    let formats = format!("clicks has format 7, this program reads format {FORMAT_VERSION}");
    refused("click_count", dir, &clicks, &[&formats, "run it with the version that wrote it"]);

    std::fs::remove_file(&manifest).unwrap();
    refused("click_count", dir, &clicks, &["their MANIFEST is missing"]);
    std::fs::write(&manifest, good).unwrap();
    Process::start(example("click_count", dir, &clicks)).wait(PATIENCE).succeeded();
}

#[test]
fn a_state_directory_in_use_names_the_process_and_is_free_when_that_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let peer = Peer::typing(&["a"], Duration::ZERO);
    let job = ["--socket", &peer.address, "--state", "state", "--journal", "off"];
    let mut first = Process::start(example("word_count", dir, &job));
    first.until_said("(a,1)", PATIENCE);
    let begin = Instant::now();
    let owner = format!("the state directory state is in use by process {}; stop that process", first.id());
    refused("word_count", dir, &job, &[&owner]);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(first.lines().iter().all(|(_, line)| !line.contains("WARN")), "the first is not disturbed");

    // Its death is not waited for: the kernel takes a moment, and the next start does not mistake it for a running job.
    first.kill_and_go_on();
    let mut second = Process::start(example("word_count", dir, &job));
    second.until_said(" RUNNING ", PATIENCE);
    second.kill().never_panicked();
    peer.finish();
}

#[test]
fn an_output_directory_in_use_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let clicks = |state: &'static str| {
        [
            "--windows",
            "1000",
            "--rate",
            "1000",
            "--state",
            state,
            "--output",
            "output",
            "--shards",
            "1",
            "--checkpoint-interval",
            "20",
        ]
    };
    let mut first = Process::start(example("click_count", dir, &clicks("one")));
    first.until_said(" RUNNING ", PATIENCE);
    while !dir.join("output/.lock").exists() {
        assert!(!first.ends_within(Duration::from_millis(5)));
    }
    let owner = format!("in use by process {}", first.id());
    refused(
        "click_count",
        dir,
        &clicks("two"),
        &["operator `counts`", "cannot write part files into output", &owner, "its own directory"],
    );
    first.kill().never_panicked();
}
