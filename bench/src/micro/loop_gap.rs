//! `loop_gap_excess_us`: how long a shard stays away from the head of its loop, beyond what the machine does to any thread.

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use millstream::prelude::*;
use serde_json::json;

use super::cold_touch::ColdTouches;
use super::{Settings, keyed_count};
use crate::bids::Tally;
use crate::clock::monotonic_nanos;
use crate::outcome::{Outcome, Target};
use crate::stats::{median, spread};
use crate::throughput::{await_start, pin};

/// How many pieces of each kind there are, and how many gaps, a second each, make a piece: thirty seconds.
const PIECES: usize = 6;
const GAPS_PER_PIECE: usize = 5;

/// The longest gaps of the seconds of all pieces, in microseconds.
#[derive(Default)]
struct Gaps {
    job: Vec<f64>,
    spin: Vec<f64>,
}

/// Measures it.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let second = settings.seconds(1.0);
    let mut gaps = Gaps::default();
    let mut checkpoints = 0;
    for _ in 0..PIECES {
        let completed = of_job(settings, core, second, &mut gaps.job)?;
        checkpoints += completed;
        of_spin(core, second, GAPS_PER_PIECE, monotonic_nanos, &mut gaps.spin)?;
    }
    let touches = ColdTouches::measure(core, second)?;
    let (ours, bare) = (median(gaps.job.iter().copied()), median(gaps.spin.iter().copied()));
    let ((_, job_max), (_, spin_max)) = (spread(gaps.job.iter().copied()), spread(gaps.spin.iter().copied()));
    let excess = gaps.job.iter().map(|gap| gap - bare);
    let notes = vec![
        format!("shard 0 and the bare loop on core {core}, by turns of {GAPS_PER_PIECE} s"),
        "the job: running count of 1 M keys, a checkpoint every second".to_owned(),
        format!(
            "longest gap of a second: job median {ours:.0} us, maximum {job_max:.0} us; bare loop median {bare:.0} us, \
             maximum {spin_max:.0} us; {checkpoints} checkpoints completed"
        ),
        touches.note(),
    ];
    Ok(vec![Outcome {
        name: "loop_gap_excess_us",
        unit: "us",
        value: ours - bare,
        reference: bare,
        reference_is: "the longest gap of a bare spin loop, median of its seconds",
        spread: spread(excess),
        ratio_spread: None,
        target: Target::ValueAtMost(100.0),
        notes,
        disturbed: touches.disturbance().into_iter().collect(),
        raw: json!({ "job_us": gaps.job, "spin_us": gaps.spin }),
    }])
}

fn of_job(
    settings: &Settings,
    core: usize,
    second: Duration,
    gaps: &mut Vec<f64>,
) -> Result<u64, Box<dyn Error>> {
    let state = tempfile::tempdir_in(&settings.dir)?;
    let tally = Tally::new(1);
    let counted = tally.clone();
    let handle = Job::new("loop_gap")
        .shards(1)
        .cores([core])
        .wait(WaitPolicy::Spin)
        .state_dir(state.path())
        .checkpoint_interval(second)
        .spawn(move |flow| keyed_count::program(flow, &counted, 1))?;
    await_start(&handle, &tally)?;
    while tally.total() < keyed_count::WARM_UP.records {
        sleep(Duration::from_millis(5));
    }
    // The table has grown by now; what its growth took is not asked for.
    handle.take_loop_gaps();
    for _ in 0..GAPS_PER_PIECE {
        sleep(second);
        gaps.extend(handle.take_loop_gaps().iter().map(|gap| gap.as_secs_f64() * 1e6));
    }
    handle.cancel();
    Ok(handle.wait()?.metrics.checkpoints.completed)
}

/// A thread that does nothing but look at a clock of nanoseconds: appends the longest gap of each second, in microseconds.
pub fn of_spin(
    core: usize,
    second: Duration,
    seconds: usize,
    clock: fn() -> u64,
    gaps: &mut Vec<f64>,
) -> Result<(), Box<dyn Error>> {
    let (longest, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(core)?;
            let mut last = clock();
            while !stop.load(Ordering::Relaxed) {
                let now = clock();
                let gap = black_box(now - last);
                if gap > longest.load(Ordering::Relaxed) {
                    longest.store(gap, Ordering::Relaxed);
                }
                last = now;
            }
            Ok(())
        });
        sleep(Duration::from_millis(10));
        longest.store(0, Ordering::Relaxed);
        for _ in 0..seconds {
            sleep(second);
            gaps.push(longest.swap(0, Ordering::Relaxed) as f64 / 1e3);
        }
        stop.store(true, Ordering::Relaxed);
        let ended: Result<(), String> = thread.join().map_err(|_| "the bare loop panicked".to_owned())?;
        Ok(ended?)
    })
}
