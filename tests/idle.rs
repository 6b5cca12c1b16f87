//! What a job costs that has nothing to do.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::peer::Peer;
use support::process::Process;
use support::{cores, skipped};

const RESIDENT_MAX_KIB: u64 = 50 * 1024;
const CPU_PERCENT_MAX: f64 = 2.0;
/// Settling, then watching.
const SETTLING: Duration = Duration::from_secs(3);
const WATCHING: Duration = Duration::from_secs(5);
/// An idle job does the same thing all the time. What a crowded machine adds (slow disks, cold caches, interrupts booked on whoever is
/// running) comes and goes, so one quiet stretch out of so many shows what the job itself costs.
const STRETCHES: usize = 6;

/// Ticks of `/proc/<pid>/stat` per second: `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time so far, of all threads, in seconds.
fn processor_time(process: &Path) -> f64 {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap();
    // The name, in brackets, may hold anything.
    let after_name = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 / TICKS_PER_SECOND
}

fn resident_kib(process: &Path) -> u64 {
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn idle(shards: u16, journal: &str) {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::typing(&["a", "b"], Duration::ZERO);
    let mut command = support::command("word_count");
    command.args(["--socket", &peer.address, "--journal", journal, "--shards", &shards.to_string()]);
    // Printed words would have the number of their shard before them.
    command.arg("--state").arg(dir.path().join("state"));
    let mut job = Process::start(command);
    job.until_said("(b,1)", Duration::from_secs(30));
    let process = Path::new("/proc").join(job.id().to_string());
    std::thread::sleep(SETTLING);
    let percent_max = CPU_PERCENT_MAX * f64::from(shards);
    let asleep = (0..STRETCHES).any(|_| {
        let before = processor_time(&process);
        std::thread::sleep(WATCHING);
        let percent = 100.0 * (processor_time(&process) - before) / WATCHING.as_secs_f64();
        eprintln!("{shards} shards, journal {journal}: {percent:.1} % of a core");
        percent < percent_max
    });
    let resident = resident_kib(&process);
    job.kill().never_panicked();
    peer.finish();
    assert!(resident < RESIDENT_MAX_KIB, "{resident} KiB resident");
    assert!(asleep, "never under {percent_max} % of a core in {STRETCHES} stretches of {WATCHING:?}");
}

#[test]
fn done_6_an_idle_word_count_is_small_and_asleep() {
    idle(1, "on");
}

#[test]
fn done_6_an_idle_word_count_on_two_shards_without_a_journal_too() {
    if cores() < 2 {
        return skipped("an idle job on 2 shards", "this machine has one core");
    }
    idle(2, "off");
}
