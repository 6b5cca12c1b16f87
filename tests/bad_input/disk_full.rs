//! A full disk: a checkpoint that fails says what it needs; the job waits for room and goes on where it was.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{PATIENCE, refused};
use crate::support::kills::Watch;
use crate::support::process::Process;
use crate::support::{command, skipped};

const WINDOWS: u64 = 100;

fn whole_window(line: &str) -> Result<String, String> {
    line.strip_suffix(",1000").map(str::to_owned).ok_or_else(|| "is not window,page,1000".to_owned())
}

/// Runs the rest of a command line on a file system of its own, in a mount namespace of its own: `small` holds so many KiB, of which a
/// file takes `ballast` until there is a file `room`. What is in it at the end is kept.
fn with_small_disk(dir: &Path, kib: u32, ballast: u32, job: &Command) -> Command {
    let script = format!(
        "mount -t tmpfs -o size={kib}k none small || exit 77
         head -c {ballast}k /dev/zero > small/ballast || exit 77
         (while ! [ -e room ]; do sleep 0.05; done; rm small/ballast) &
         timeout 60 \"$0\" \"$@\"; code=$?
         touch room
         cp -r small kept
         exit $code"
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]).arg(job.get_program()).args(job.get_args());
    command.current_dir(dir).env("NO_COLOR", "1");
    std::fs::create_dir(dir.join("small")).unwrap();
    command
}

/// Whether file systems can be mounted here.
fn can_mount() -> bool {
    let mount = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    mount.is_ok_and(|output| output.status.success())
}

fn waits_for_room(kib: u32, ballast: u32, state: &str, output: &str, says: &[&str]) {
    if !can_mount() {
        return skipped("a full disk", "this user cannot mount a small one (needs root and unshare)");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut job = command("click_count");
    job.args(["--state", state, "--output", output, "--shards", "1", "--checkpoint-interval", "20"]);
    job.args(["--windows", &WINDOWS.to_string(), "--rate", "200000"]);
    let mut process = Process::start(with_small_disk(dir.path(), kib, ballast, &job));
    process.until_said("; starting again", PATIENCE);
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(dir.path().join("room"), "").unwrap();
    process.wait(PATIENCE).succeeded().says(says).says(&["exactly once end to end: yes"]);
    let kept = dir.path().join(output.replace("small", "kept"));
    assert_eq!(Watch::over(&kept, whole_window).finish().len() as u64, WINDOWS * 6);
}

#[test]
fn a_full_disk_under_the_state_directory() {
    waits_for_room(
        // Room for the manifest and two or three checkpoints.
        4096,
        3036,
        "small/state",
        "output",
        &[
            "the disk is full: small/state/",
            " bytes; free room on its file system",
            "0 failed checkpoints in a row are tolerable",
        ],
    );
}

#[test]
fn a_full_disk_under_the_output() {
    waits_for_room(
        4096,
        4080,
        "state",
        "small/output",
        &["cannot write to small/output/", "the disk is full: make room"],
    );
}

#[test]
fn a_disk_too_small_to_begin_with() {
    if !can_mount() {
        return skipped("a full disk", "this user cannot mount a small one (needs root and unshare)");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut job = command("click_count");
    job.args(["--state", "small/state", "--output", "output", "--shards", "1"]);
    let ended = Process::start(with_small_disk(dir.path(), 256, 100, &job)).wait(PATIENCE).failed();
    ended.says(&[
        "the state directory small/state cannot be used",
        "No space left on device",
        "free room on its file system",
    ]);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    let dir = tempfile::tempdir().unwrap();
    let job = command("click_count");
    let mut limited = Command::new("sh");
    // Without the trap the kernel would end the process before it could say anything.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""]).arg(job.get_program());
    limited.args(["--state", "state", "--output", "output", "--shards", "1"]).current_dir(dir.path());
    let ended = Process::start(limited).wait(PATIENCE).failed();
    ended.says(&["the state directory state cannot be used", "File too large", "ulimit -f"]);
}

#[test]
fn a_read_only_disk() {
    if !can_mount() {
        return skipped("a read-only disk", "this user cannot mount one (needs root and unshare)");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("small")).unwrap();
    let job = command("click_count");
    let mut read_only = Command::new("unshare");
    read_only
        .args(["-m", "sh", "-c", "mount -t tmpfs -o ro none small && exec \"$0\" \"$@\""])
        .arg(job.get_program());
    read_only.args(["--state", "small/state", "--output", "output", "--shards", "1"]).current_dir(dir.path());
    let ended = Process::start(read_only).wait(PATIENCE).failed();
    ended.says(&[
        "small/state cannot be used",
        "Read-only file system",
        "name a directory that this user may write to",
    ]);
    refused("word_count", dir.path(), &["--text", "/proc/self/mem", "--restarts", "0"], &["/proc/self/mem"]);
}
