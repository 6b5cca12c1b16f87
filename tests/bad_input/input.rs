//! Wrong or missing paths, unreadable gzip, lines that are not UTF-8, a socket that refuses.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{PATIENCE, example, refused};
use crate::support::process::Process;

fn packed(dir: &Path, name: &str, text: &str) -> Vec<u8> {
    std::fs::write(dir.join(name), text).unwrap();
    assert!(Command::new("gzip").arg(dir.join(name)).status().unwrap().success());
    std::fs::read(dir.join(format!("{name}.gz"))).unwrap()
}

#[test]
fn inputs_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("good"), "a b a\n").unwrap();
    std::fs::create_dir(dir.join("directory")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe")).status().unwrap().success());
    let gzip = packed(dir, "whole", &"to be or not to be\n".repeat(500));
    std::fs::write(dir.join("cut.gz"), &gzip[..gzip.len() / 2]).unwrap();
    std::fs::write(dir.join("noise.gz"), [7; 100]).unwrap();
    let mut flipped = gzip.clone();
    let middle = flipped.len() - 6;
    flipped[middle] ^= 0x20;
    std::fs::write(dir.join("flipped.gz"), &flipped).unwrap();
    std::fs::write(dir.join("latin"), b"ok\nna\xefve\nmore\n").unwrap();

    let text = |path: &str, words: &[&str]| {
        let ended = refused("word_count", dir, &["--text", "good", path, "--restarts", "3"], words);
        // No restart helps here, and none is tried.
        assert!(ended.err().contains("status FAILED, restarts=0"), "{}", ended.err());
    };
    text(
        "missing",
        &["operator `text`", "word_count.rs:", "cannot read missing", "No such file", "check the path"],
    );
    text("directory", &["cannot read directory", "it is a directory", "name the files in it"]);
    text("pipe", &["cannot read pipe", "it is a pipe or device", "write it to a file first"]);
    text("good", &["good is given twice", "name each file once"]);
    text("cut.gz", &["cut.gz is a truncated gzip file at byte ", "(unpacked byte ", "gzip -t"]);
    text("noise.gz", &["noise.gz is a corrupt gzip file at byte ", "gzip -t"]);
    text("flipped.gz", &["flipped.gz is a corrupt gzip file at byte ", "gzip -t"]);
    text(
        "latin",
        &[
            "latin, byte 3: the line is not UTF-8 (byte 3 of it is 0xef)",
            "Utf8Policy::Skip",
            "Utf8Policy::Lossy",
        ],
    );
}

#[test]
fn outputs_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("text"), "a b a\n").unwrap();
    std::fs::create_dir(dir.join("strange")).unwrap();
    std::fs::write(dir.join("strange/part-of-something"), "else").unwrap();
    let output = |path: &str, words: &[&str]| {
        refused("word_count", dir, &["--text", "text", "--output", path], words);
    };
    output(
        "text",
        &["operator `counts`", "cannot write part files into text", "it is a file", "name a directory"],
    );
    output("no/such/directory", &["no/such/directory", "No such file", "make the directory"]);
    output("strange", &["strange/part-of-something", "was not written by this sink", "move it away"]);

    // Output of an earlier run, and no state of that run.
    let fresh = ["--text", "text", "--output", "output"];
    Process::start(example("word_count", dir, &fresh)).wait(PATIENCE).succeeded();
    output(
        "output",
        &["output of an earlier run", "give it an empty directory, or the state directory of that run"],
    );
}

#[test]
fn output_that_the_checkpoint_counts_on_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("text"), "a b a\n").unwrap();
    let job = ["--text", "text", "--output", "output", "--state", "state"];
    Process::start(example("word_count", dir, &job)).wait(PATIENCE).succeeded();
    let parts = std::fs::read_dir(dir.join("output")).unwrap().map(|entry| entry.unwrap().path());
    for part in parts.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-")) {
        std::fs::remove_file(part).unwrap();
    }
    refused(
        "word_count",
        dir,
        &job,
        &["part-0-", "is missing", "put it back, or start with a new state directory"],
    );
}

#[test]
fn a_changed_text_is_not_taken_for_the_one_of_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = "to be or not to be\n".repeat(100_000) + "ERROR\n";
    std::fs::write(dir.join("text"), &text).unwrap();
    let job = [
        "--text",
        "text",
        "--output",
        "output",
        "--state",
        "state",
        "--checkpoint-interval",
        "10",
        "--restarts",
        "0",
    ];
    // It fails at the last line, when checkpoints hold places in the middle.
    refused("word_count", dir, &job, &["text, byte 1900000: custom error flag"]);
    std::fs::write(dir.join("text"), "to be\n").unwrap();
    refused(
        "word_count",
        dir,
        &job,
        &["text was truncated: it has 6 bytes, and the checkpoint goes on at byte ", "put the old file back"],
    );
    std::fs::write(dir.join("text"), text.replace("to be", "to go")).unwrap();
    refused(
        "word_count",
        dir,
        &job,
        &["text is not the file that the checkpoint was made with", "put the old file back"],
    );
    std::fs::write(dir.join("text"), text.replace("ERROR\n", "")).unwrap();
    Process::start(example("word_count", dir, &job)).wait(PATIENCE).succeeded();
}

#[test]
fn a_text_that_is_added_to_a_finished_job_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("first"), "a b\n").unwrap();
    std::fs::write(dir.join("second"), "a c\n").unwrap();
    let counts = |texts: &[&str]| {
        let arguments: Vec<&str> =
            ["--state", "state", "--text"].into_iter().chain(texts.iter().copied()).collect();
        let ended = Process::start(example("word_count", dir, &arguments)).wait(PATIENCE).succeeded();
        ended.out().join(" ")
    };
    assert_eq!(counts(&["first"]), "(a,1) (b,1)");
    assert_eq!(counts(&["first"]), "");
    assert_eq!(counts(&["first", "second"]), "(a,2) (c,1)");
}

#[test]
fn sockets_that_refuse_or_make_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for address in ["localhost", "localhost:", ":9000", "localhost:0", "localhost:99999", "localhost:http"] {
        let arguments = ["--socket", address, "--restarts", "0"];
        refused("word_count", dir, &arguments, &["is not HOST:PORT", "as in localhost:9000"]);
    }
    // A port that nobody listens at: that of a listener that has gone.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let begin = Instant::now();
    let words = [
        &format!("cannot connect to {address} within 10s"),
        "Connection refused",
        "start the peer first",
        "check host and port",
    ];
    refused("word_count", dir, &["--socket", &address, "--restarts", "0"], &words);
    assert!(begin.elapsed() >= Duration::from_secs(10), "it tries for a while");
}

#[test]
fn a_line_from_a_socket_that_is_not_utf_8_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"fine\nna\xefve\n").unwrap();
        stream
    });
    let arguments = ["--socket", &address, "--restarts", "0", "--journal", "off"];
    refused("word_count", dir.path(), &arguments, &[&address, "line 2", "is not UTF-8", "0xef"]);
    peer.join().unwrap();
}
