//! `fire_1m_step_us`, `fire_1m_gap_us`: how long a shard's steps become while a window of a million keys fires.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use serde_json::json;

use super::Settings;
use super::cold_touch::ColdTouches;
use super::loop_gap::of_spin;
use crate::bids::{Bids, Tally};
use crate::clock::{monotonic_nanos, thread_nanos};
use crate::outcome::{Outcome, Target};
use crate::stats::{median, spread};
use crate::throughput::await_start;

const KEYS: u64 = 1_000_000;
/// Five million bids: all keys but seven in a thousand have one.
const WINDOW: Duration = Duration::from_secs(5);
const RECORDS_PER_WINDOW: u64 = 5_000_000;
const WINDOWS_BEFORE: u64 = 2;

/// What the longest step of all is to be.
const STEP_MAX_US: f64 = 300.0;

/// How many pieces of each kind there are, and how many seconds make a piece.
const PIECES: usize = 5;
const SECONDS_PER_PIECE: usize = 5;

/// The longest of each second, in microseconds.
#[derive(Default)]
struct Longest {
    /// A step's processor time.
    steps: Vec<f64>,
    /// A gap by the clock.
    gaps: Vec<f64>,
    /// A gap of a bare loop by the clock.
    spin: Vec<f64>,
    /// A gap of a bare loop in processor time.
    spin_steps: Vec<f64>,
    windows: u64,
}

/// Measures both.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let second = settings.seconds(1.0);
    let mut longest = Longest::default();
    let watch = Arc::new(Watch::default());
    for _ in 0..PIECES {
        of_job(core, second, &watch, &mut longest)?;
        of_spin(core, second, SECONDS_PER_PIECE, monotonic_nanos, &mut longest.spin)?;
        of_spin(core, second, SECONDS_PER_PIECE, thread_nanos, &mut longest.spin_steps)?;
    }
    let touches = ColdTouches::measure(core, second)?;
    let (steps, above) = (watch.steps.load(Ordering::Relaxed), watch.above.load(Ordering::Relaxed));
    let range = |values: &[f64]| spread(values.iter().copied());
    let middle = |values: &[f64]| median(values.iter().copied());
    let seconds_above = |gaps: &[f64]| {
        format!("{} of {} seconds", gaps.iter().filter(|gap| **gap > STEP_MAX_US).count(), gaps.len())
    };
    let by_piece: Vec<f64> = longest
        .steps
        .chunks(SECONDS_PER_PIECE)
        .map(|piece| piece.iter().copied().fold(0.0, f64::max))
        .collect();
    let notes = vec![
        format!("shard 0 and the bare loop on core {core}, by turns of {SECONDS_PER_PIECE} s"),
        format!(
            "the job: a count per key and tumbling window, 1 M keys, 5 M records per window; {} windows fired",
            longest.windows
        ),
        format!("{steps} steps, {above} of them above {STEP_MAX_US} us of processor time"),
        format!("the longest step of each piece: {} us", shown(&by_piece)),
        format!(
            "a turn of the bare loop takes {:.0} us of processor time at the longest, and more than {STEP_MAX_US} us in {}",
            range(&longest.spin_steps).1,
            seconds_above(&longest.spin_steps),
        ),
        format!(
            "the bare loop was away for {:.0} us at the longest, and for more than {STEP_MAX_US} us in {}",
            range(&longest.spin).1,
            seconds_above(&longest.spin),
        ),
        touches.note(),
    ];
    let bare = middle(&longest.spin);
    let raw = json!({
        "step_us": longest.steps, "gap_us": longest.gaps, "spin_us": longest.spin, "spin_step_us": longest.spin_steps,
    });
    Ok(vec![
        Outcome {
            name: "fire_1m_step_us",
            unit: "us",
            value: range(&by_piece).0,
            reference: middle(&longest.spin_steps),
            reference_is: "the longest turn of a bare spin loop in processor time, median of its seconds; the value is the longest step of the best \
                           piece, the spread that of all pieces: a hypervisor that takes the processor away counts as processor time",
            spread: range(&by_piece),
            ratio_spread: None,
            target: Target::ValueAtMost(STEP_MAX_US),
            notes: notes.clone(),
            disturbed: touches.disturbance().into_iter().collect(),
            raw: raw.clone(),
        },
        Outcome {
            name: "fire_1m_gap_us",
            unit: "us",
            value: middle(&longest.gaps),
            reference: bare,
            reference_is: "the longest gap of a bare spin loop, median of its seconds; the value is the same of the shard's loop",
            spread: range(&longest.gaps),
            ratio_spread: None,
            target: Target::None,
            notes,
            disturbed: (bare > STEP_MAX_US / 2.0)
                .then(|| format!("the bare loop itself was away for {bare:.0} us in a second"))
                .into_iter()
                .chain(touches.disturbance())
                .collect(),
            raw,
        },
    ])
}

/// Figures in whole numbers, one after the other.
fn shown(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(", ")
}

fn of_job(
    core: usize,
    second: Duration,
    watch: &Arc<Watch>,
    longest: &mut Longest,
) -> Result<(), Box<dyn Error>> {
    let tally = Tally::new(1);
    let (counted, watched) = (tally.clone(), Arc::clone(watch));
    let job = Job::new("window_fire").shards(1).cores([core]).wait(WaitPolicy::Spin);
    let handle = job.spawn(move |flow| {
        flow.source("bids", Bids::new(KEYS, 1, &counted))
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .key_by(|bid| bid.auction as u64)
            .window(Tumbling::of(WINDOW))
            .count()
            .for_each(|result, _| {
                black_box(result);
            });
        flow.source("steps", Steps { watch: Arc::clone(&watched) }).for_each(|step, _| {
            black_box(step);
        });
    })?;
    await_start(&handle, &tally)?;
    while tally.total() < WINDOWS_BEFORE * RECORDS_PER_WINDOW {
        sleep(Duration::from_millis(5));
    }
    // What it takes to begin is not asked for.
    handle.take_loop_gaps();
    watch.start();
    let before = tally.total() / RECORDS_PER_WINDOW;
    for _ in 0..SECONDS_PER_PIECE {
        sleep(second);
        longest.gaps.extend(handle.take_loop_gaps().iter().map(|gap| gap.as_secs_f64() * 1e6));
        longest.steps.push(watch.longest.swap(0, Ordering::Relaxed) as f64 / 1e3);
    }
    longest.windows += tally.total() / RECORDS_PER_WINDOW - before;
    watch.stop();
    handle.cancel();
    handle.wait()?;
    Ok(())
}

/// What is known of the steps of a shard.
#[derive(Default)]
struct Watch {
    /// Whether anyone wants to know.
    on: AtomicU64,
    longest: AtomicU64,
    steps: AtomicU64,
    above: AtomicU64,
}

impl Watch {
    fn start(&self) {
        self.on.store(1, Ordering::Relaxed);
    }

    fn stop(&self) {
        self.on.store(0, Ordering::Relaxed);
    }

    /// Only the shard's thread counts, and only the other one swaps.
    fn step(&self, nanos: u64) {
        if self.on.load(Ordering::Relaxed) == 0 {
            return;
        }
        let add =
            |counter: &AtomicU64, n| counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        add(&self.steps, 1);
        add(&self.above, u64::from(nanos as f64 > STEP_MAX_US * 1e3));
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }
}

/// A source that gives nothing: every shard asks its sources once in every step, and this one looks at the thread's processor time then.
struct Steps {
    watch: Arc<Watch>,
}

impl Source for Steps {
    type Item = u64;
    type Reader = StepReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(&self, _: &PartitionId, _: Option<&[u8]>, _: &ReaderContext) -> Result<StepReader, SourceError> {
        Ok(StepReader { watch: Arc::clone(&self.watch), last: None })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

struct StepReader {
    watch: Arc<Watch>,
    last: Option<u64>,
}

impl Reader for StepReader {
    type Item = u64;

    fn poll(&mut self, now: Nanos, _: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let had = thread_nanos();
        if let Some(last) = self.last.replace(had) {
            self.watch.step(had - last);
        }
        Ok(SourcePoll::Idle { until: Some(now) })
    }

    fn offset(&self, _: &mut Vec<u8>) {}

    fn place(&self, _: usize) -> String {
        "no record".to_owned()
    }
}
