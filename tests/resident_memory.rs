//! What `JobMetrics::memory` says is what the process takes. One test alone in its process: resident memory belongs to the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use millstream::io::Generator;
use millstream::prelude::*;
use millstream::runtime::metrics::MemoryUse;

const PATIENCE: Duration = Duration::from_secs(180);
const MIB: u64 = 1 << 20;

/// What is kept for a key.
type Kept = [u64; 30];
/// Keys that take about 256 MiB.
const KEYS: u64 = 900_000;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn wait_until(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "it does not come so far: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a job until it has had all keys, and some time more; gives what it says that it takes, and what it takes.
fn measured(job: Job, keys: u64, enough: impl Fn(&JobHandle) -> bool) -> (MemoryUse, u64) {
    let before = resident_bytes();
    let handle = job.spawn(move |flow| {
        let numbers = Generator::new(1, None, 3_000_000, move |_, n| (n % keys, Timestamp(0)));
        flow.source("numbers", numbers)
            .key_by(|n| *n)
            .fold([0; 30], |kept: &mut Kept, n| kept[(*n % 30) as usize] += 1)
            .name("wide")
            .discard();
    });
    let handle = handle.unwrap();
    wait_until("all keys", || handle.metrics().records_out() >= keys);
    wait_until("enough", || enough(&handle));
    // Both at the same moment, more or less; the figures are put down every few milliseconds.
    let (said, taken) = (handle.metrics().memory(), resident_bytes() - before);
    println!("said {said}; taken {:.1} MiB", taken as f64 / MIB as f64);
    handle.cancel();
    handle.wait().unwrap();
    (said, taken)
}

#[track_caller]
fn within(percent: u64, said: u64, taken: u64) {
    let off = said.abs_diff(taken);
    assert!(off * 100 <= taken * percent, "said {said}, taken {taken}: {} % off", off * 100 / taken);
}

fn wide(name: &str) -> Job {
    Job::new(name).shards(2).oversubscribe(true)
}

fn with_checkpoints(state: &Path) -> Job {
    wide("saved").state_dir(state).checkpoint_interval(Duration::from_millis(200))
}

#[test]
fn pp_22_what_is_accounted_for_is_what_the_process_takes() {
    let (said, taken) = measured(wide("plain"), KEYS, |_| true);
    assert!(said.state > 200 * MIB, "{said}");
    within(5, said.total(), taken);

    let state = tempfile::tempdir().unwrap();
    let several = |handle: &JobHandle| handle.metrics().checkpoints.completed >= 4;
    let (said, taken) = measured(with_checkpoints(state.path()), KEYS, several);
    assert!(said.checkpoints > 0, "{said}");
    within(5, said.total(), taken);

    // State beyond the limit lies on disk, and the process takes no more than the limit and what else is said.
    let (limit, keys) = (64 * MIB, KEYS / 2);
    let limited = wide("limited").memory_limit(limit).spill_state(true);
    let (said, taken) = measured(limited, keys, |_| true);
    let spilled = said.limited <= limit + limit / 16;
    assert!(spilled, "{said}");
    assert!(taken < said.total() + said.total() / 10, "said {said}, taken {taken}");
}
