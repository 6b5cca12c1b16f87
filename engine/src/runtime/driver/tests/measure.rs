//! Figures, printed and not asserted: `cargo test --release -p millstream-engine --lib measure -- --ignored --nocapture`.

use super::*;
use crate::disk::{DiskOp, FileHandle};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const FILE: FileHandle = FileHandle(1);
const WRITE_BYTES: usize = 64 << 10;
const RUN: Duration = Duration::from_secs(2);

fn percentiles(nanos: &Histogram<u64>) -> String {
    let at = |q| nanos.value_at_quantile(q) as f64 / 1000.0;
    format!("n {}, p50 {:.1}, p99 {:.1}, max {:.1} us", nanos.len(), at(0.5), at(0.99), at(1.0))
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).unwrap()
}

fn pinned(shard: u16, wait: WaitPolicy, build: BuildShard) -> ShardSpec {
    let cores = crate::runtime::placement::available_cores();
    ShardSpec { core: Some(cores[usize::from(shard) % cores.len()]), ..spec(shard, wait, build) }
}

/// One shard steps as fast as it can (2 us a step, or idle) and keeps one 64 KiB write in flight.
fn writes(kind: DriverKind, busy: bool) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let build: BuildShard = Box::new(move |mut disk| {
        disk.submit(DiskOp::Create { file: FILE, path });
        let clock = Clock::wall();
        let (mut asked, mut writes, mut steps, mut latencies) = (clock.now(), 0u64, 0u64, histogram());
        let step = move |_| {
            steps += 1;
            if busy {
                let until = clock.now().after(Duration::from_micros(2));
                while clock.now() < until {
                    std::hint::spin_loop();
                }
            }
            let Some(done) = disk.poll() else {
                return if busy { Step::Worked } else { Step::Idle { until: None } };
            };
            done.result.unwrap();
            let now = clock.now();
            if writes > 0 {
                latencies.record(now.since(asked).as_nanos() as u64).unwrap();
            }
            if now.since(Nanos(0)) > RUN {
                let rate = steps as f64 / RUN.as_secs_f64() / 1e3;
                println!(
                    "{kind}, busy {busy}: {rate:.0} k steps/s | 64 KiB write {}",
                    percentiles(&latencies)
                );
                return Step::Done;
            }
            let buffer = done.buffer.unwrap_or_else(|| disk.buffer(WRITE_BYTES));
            disk.submit(DiskOp::Write { file: FILE, offset: writes % 64 * WRITE_BYTES as u64, buffer });
            (asked, writes) = (now, writes + 1);
            Step::Worked
        };
        Box::new(Closures { step, has_work: || false })
    });
    run_well(kind, vec![pinned(0, WaitPolicy::default(), build)]);
}

/// One shard wakes another every 200 us; how long until the other steps.
fn wakes(kind: DriverKind, wait: WaitPolicy) {
    let clock = Clock::wall();
    let (sent, waker) = (Arc::new(AtomicU64::new(0)), Waker::new());
    let (sender, sleeper, sender_clock) = (sent.clone(), waker.clone(), clock.clone());
    let build_sender: BuildShard = Box::new(move |_| {
        let (mut due, mut rounds) = (sender_clock.now(), 0);
        let step = move |_| {
            if sender_clock.now() < due {
                return Step::Worked;
            }
            due = due.after(Duration::from_micros(200));
            rounds += 1;
            sender.store(if rounds > 5_000 { u64::MAX } else { sender_clock.now().0 }, Ordering::Release);
            sleeper.wake();
            if rounds > 5_000 { Step::Done } else { Step::Worked }
        };
        Box::new(Closures { step, has_work: || false })
    });
    let build_sleeper: BuildShard = Box::new(move |_| {
        let seen = Arc::new(AtomicU64::new(0));
        let (last, mut latencies) = (seen.clone(), histogram());
        let has_work = {
            let sent = sent.clone();
            move || sent.load(Ordering::Acquire) != last.load(Ordering::Relaxed)
        };
        let step = move |_| {
            let at = sent.load(Ordering::Acquire);
            if at == seen.swap(at, Ordering::Relaxed) {
                return Step::Idle { until: None };
            }
            if at == u64::MAX {
                println!("{kind}, {wait:?}: wake-up {}", percentiles(&latencies));
                return Step::Done;
            }
            latencies.record(clock.now().since(Nanos(at)).as_nanos() as u64).unwrap();
            Step::Worked
        };
        Box::new(Closures { step, has_work })
    });
    let sleeper = ShardSpec { waker, ..pinned(1, wait, build_sleeper) };
    run_well(kind, vec![pinned(0, WaitPolicy::Spin, build_sender), sleeper]);
}

#[test]
#[ignore = "a measurement"]
fn measure_the_drivers() {
    let begin = Instant::now();
    let answer = preflight::check_io_uring(2);
    println!("preflight: {answer:?} in {:?}", begin.elapsed());
    for kind in drivers() {
        let begin = Instant::now();
        let two = (0..2).map(|shard| stepping(shard, WaitPolicy::Park, |_| Step::Done)).collect();
        run_well(kind, two);
        println!("{kind}: start and join of two shards in {:?}", begin.elapsed());
        for busy in [true, false] {
            writes(kind, busy);
        }
        for wait in [WaitPolicy::Spin, WaitPolicy::default(), WaitPolicy::Park] {
            wakes(kind, wait);
        }
    }
}
