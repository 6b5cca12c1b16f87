//! Records per second in the steady state, ours and a reference's by turns.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use millstream::prelude::*;
use serde_json::{Value, json};

use crate::bids::Tally;
use crate::clock::processor_nanos;
use crate::micro::Settings;
use crate::outcome::{Outcome, Target};
use crate::stats::{QUARTERS_MAX, median, spread};

/// How many records a hand-written loop works on between two looks at whether it is to stop: what a source gives at a poll.
const RECORDS_PER_TURN: u64 = 1024;

/// Threads that had less than this of their cores were disturbed.
const PROCESSOR_SHARE_MIN: f64 = 0.95;

/// How long after its start a job is expected to have given its first record.
const START_MAX: Duration = Duration::from_secs(60);

/// One stretch of a steady run.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Million records per second.
    pub rate: f64,
    quarters: [f64; 4],
    /// Of the time of their cores, what the threads had.
    processor_share: f64,
}

impl Stretch {
    /// What disturbed it, if anything did.
    pub fn disturbance(&self) -> Option<String> {
        let (least, greatest) = spread(self.quarters);
        if greatest > least * QUARTERS_MAX {
            return Some(format!("the quarters of a stretch differ, {least:.1} to {greatest:.1} M/s"));
        }
        let share = self.processor_share;
        (share < PROCESSOR_SHARE_MIN)
            .then(|| format!("the threads had only {:.0} % of their cores in a stretch", share * 100.0))
    }

    /// Million records per second of processor time: what remains comparable where others take the cores away.
    fn rate_of_processor(&self) -> f64 {
        self.rate / self.processor_share
    }

    fn to_json(&self) -> Value {
        json!({ "rate": self.rate, "quarters": self.quarters, "processor_share": self.processor_share })
    }
}

/// What a stretch waits for before it begins.
#[derive(Clone, Copy, Debug)]
pub struct WarmUp {
    /// So many records, in all.
    pub records: u64,
}

/// Watches a tally once the run is warm. None: the run has ended before.
fn watch(
    settings: &Settings,
    warm_up: WarmUp,
    threads: u16,
    tally: &Tally,
    has_ended: impl Fn() -> bool,
) -> Option<Stretch> {
    let started = Instant::now();
    let warm = settings.warm_up();
    while tally.total() < warm_up.records || started.elapsed() < warm {
        if has_ended() {
            return None;
        }
        sleep(Duration::from_millis(5));
    }
    let quarter = settings.stretch() / 4;
    let (begin, begin_processor, begin_total) = (Instant::now(), processor_nanos(), tally.total());
    let (mut from, mut before) = (begin, begin_total);
    let quarters = [1, 2, 3, 4].map(|number| {
        sleep((begin + quarter * number).saturating_duration_since(Instant::now()));
        let (now, total) = (Instant::now(), tally.total());
        let rate = (total - before) as f64 / (now - from).as_secs_f64() / 1e6;
        (from, before) = (now, total);
        rate
    });
    let elapsed = (from - begin).as_secs_f64();
    let processor = (processor_nanos() - begin_processor) as f64 / 1e9;
    let stretch = Stretch {
        rate: (before - begin_total) as f64 / elapsed / 1e6,
        quarters,
        processor_share: processor / (elapsed * f64::from(threads)),
    };
    (!has_ended()).then_some(stretch)
}

/// A stretch of a job. The program is given the tally that its source is to count in.
pub fn of_job(
    settings: &Settings,
    warm_up: WarmUp,
    job: Job,
    shards: u16,
    program: impl Fn(&Flow, &Tally) + Send + Sync + 'static,
) -> Result<(Stretch, Summary), Box<dyn Error>> {
    let tally = Tally::new(shards);
    let counted = tally.clone();
    let cores = settings.cores_for(shards)?;
    let job = job.shards(shards).cores(cores).wait(WaitPolicy::Spin);
    let handle = job.spawn(move |flow| program(flow, &counted))?;
    await_start(&handle, &tally)?;
    let stretch = watch(settings, warm_up, shards, &tally, || handle.status().is_over());
    handle.cancel();
    let summary = handle.wait()?;
    Ok((stretch.ok_or("the job ended before it was measured")?, summary))
}

/// Waits for the first record.
pub fn await_start(handle: &JobHandle, tally: &Tally) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    while tally.total() == 0 {
        if matches!(handle.status(), JobStatus::Failed | JobStatus::Canceled) || started.elapsed() > START_MAX
        {
            return Err(format!("the job gives no records; it is {}", handle.status()).into());
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A stretch of a hand-written loop on the first core. `make` makes, on that thread, what works on one record at each call.
pub fn of_loop<F: FnMut()>(
    settings: &Settings,
    warm_up: WarmUp,
    make: impl FnOnce() -> F + Send,
) -> Result<Stretch, Box<dyn Error>> {
    of_loops(settings, warm_up, 1, make)
}

/// As [`of_loop`], where `make` starts other threads, so that there are so many that work.
pub fn of_loops<F: FnMut()>(
    settings: &Settings,
    warm_up: WarmUp,
    threads: u16,
    make: impl FnOnce() -> F + Send,
) -> Result<Stretch, Box<dyn Error>> {
    of_batches(settings, warm_up, threads, || {
        let mut work = make();
        move || {
            for _ in 0..RECORDS_PER_TURN {
                work();
            }
            RECORDS_PER_TURN
        }
    })
}

/// As [`of_loops`], where each call works on several records and says how many.
pub fn of_batches<F: FnMut() -> u64>(
    settings: &Settings,
    warm_up: WarmUp,
    threads: u16,
    make: impl FnOnce() -> F + Send,
) -> Result<Stretch, Box<dyn Error>> {
    let tally = Tally::new(1);
    let stop = Arc::new(AtomicBool::new(false));
    let core = settings.cores_for(1)?[0];
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(core)?;
            let mut work = make();
            while !stop.load(Ordering::Relaxed) {
                tally.add(0, work());
            }
            Ok(())
        });
        while tally.total() == 0 && !thread.is_finished() {
            sleep(Duration::from_millis(1));
        }
        let stretch = watch(settings, warm_up, threads, &tally, || thread.is_finished());
        stop.store(true, Ordering::Relaxed);
        let ended: Result<(), String> =
            thread.join().map_err(|_| "the hand-written loop panicked".to_owned())?;
        ended?;
        Ok(stretch.ok_or("the hand-written loop ended before it was measured")?)
    })
}

/// Pins the calling thread.
pub fn pin(core: usize) -> Result<(), String> {
    match core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        true => Ok(()),
        false => Err(format!("cannot pin a thread to core {core}; is it in the process's cpuset?")),
    }
}

/// What gives a stretch each time it is called.
pub type Run<'a> = &'a mut dyn FnMut() -> Result<Stretch, Box<dyn Error>>;

/// Stretches of several things, by turns: in every round another one goes first.
pub fn by_turns<const N: usize>(
    settings: &Settings,
    runs: [Run<'_>; N],
) -> Result<[Vec<Stretch>; N], Box<dyn Error>> {
    let mut stretches = [const { Vec::new() }; N];
    for round in 0..settings.rounds {
        for turn in 0..N {
            let which = (round + turn) % N;
            stretches[which].push(runs[which]()?);
        }
    }
    Ok(stretches)
}

/// How fast the one was against the other, by the clock and by processor time.
pub fn beside(ours: &[Stretch], what: &str, reference: &[Stretch]) -> String {
    let ratio =
        |rate: fn(&Stretch) -> f64| median(ours.iter().map(rate)) / median(reference.iter().map(rate));
    format!(
        "beside {what}: {:.1} M records/s, ratio {:.3}; by processor time {:.3}",
        median(reference.iter().map(|stretch| stretch.rate)),
        ratio(|stretch| stretch.rate),
        ratio(Stretch::rate_of_processor)
    )
}

/// What several stretches of one thing come to.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Million records per second: the median of the stretches that count, those that nothing disturbed.
    pub median: f64,
    pub spread: (f64, f64),
    /// Said where all were disturbed: then all count, and say little.
    pub disturbed: Option<String>,
    /// How many do not count.
    pub left_out: usize,
}

impl Rates {
    pub fn of(stretches: &[Stretch]) -> Rates {
        let disturbances: Vec<Option<String>> = stretches.iter().map(Stretch::disturbance).collect();
        let all = disturbances.iter().all(Option::is_some);
        let counted = || {
            let with = stretches.iter().zip(&disturbances);
            with.filter(|(_, disturbed)| all || disturbed.is_none()).map(|(stretch, _)| stretch.rate)
        };
        Rates {
            median: median(counted()),
            spread: spread(counted()),
            left_out: stretches.len() - counted().count(),
            disturbed: if all { disturbances.into_iter().flatten().next() } else { None },
        }
    }

    /// Nanoseconds per record of one thread.
    pub fn nanos(&self) -> f64 {
        1e3 / self.median
    }
}

/// Stretches of two things, by turns.
pub struct Comparison {
    pub ours: Vec<Stretch>,
    pub reference: Vec<Stretch>,
}

impl Comparison {
    /// Runs the rounds.
    pub fn run(
        settings: &Settings,
        mut ours: impl FnMut() -> Result<Stretch, Box<dyn Error>>,
        mut reference: impl FnMut() -> Result<Stretch, Box<dyn Error>>,
    ) -> Result<Comparison, Box<dyn Error>> {
        let [ours, reference] = by_turns(settings, [&mut ours, &mut reference])?;
        Ok(Comparison { ours, reference })
    }

    /// The outcome, in million records per second.
    pub fn outcome(
        self,
        name: &'static str,
        reference_is: &'static str,
        target: Target,
        mut notes: Vec<String>,
    ) -> Outcome {
        let rates = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.rate).collect::<Vec<_>>();
        let (ours, reference) = (rates(&self.ours), rates(&self.reference));
        let ratios = ours.iter().zip(&reference).map(|(ours, reference)| ours / reference);
        let stretches = self.ours.iter().chain(&self.reference);
        let disturbances: Vec<String> = stretches.filter_map(Stretch::disturbance).collect();
        let disturbed = disturbances.first().map(|first| {
            format!("{} of {} stretches; for example, {first}", disturbances.len(), 2 * self.ours.len())
        });
        let of_processor = |stretches: &[Stretch]| median(stretches.iter().map(Stretch::rate_of_processor));
        let (ours_of_processor, reference_of_processor) =
            (of_processor(&self.ours), of_processor(&self.reference));
        notes.push(format!(
            "per second of processor time and core: {ours_of_processor:.1} M records, reference {reference_of_processor:.1} M, ratio {:.3}",
            ours_of_processor / reference_of_processor
        ));
        let all = |stretches: &[Stretch]| stretches.iter().map(Stretch::to_json).collect::<Vec<_>>();
        Outcome {
            name,
            unit: "M_records/s",
            value: median(ours.iter().copied()),
            reference: median(reference.iter().copied()),
            reference_is,
            spread: spread(ours.iter().copied()),
            ratio_spread: Some(spread(ratios)),
            target,
            notes,
            disturbed: disturbed.into_iter().collect(),
            raw: json!({ "ours": all(&self.ours), "reference": all(&self.reference) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(quarters: [f64; 4], processor_share: f64) -> Stretch {
        Stretch { rate: 1.0, quarters, processor_share }
    }

    #[test]
    fn disturbed_stretches_are_told() {
        assert_eq!(stretch([10.0, 11.0, 10.5, 12.9], 1.0).disturbance(), None);
        assert!(stretch([10.0, 11.0, 10.5, 13.1], 1.0).disturbance().unwrap().contains("quarters"));
        assert!(stretch([10.0, 10.0, 10.0, 10.0], 0.6).disturbance().unwrap().contains("60 %"));
    }

    #[test]
    fn disturbed_stretches_are_not_averaged_in() {
        let of = |rate, share| Stretch { rate, ..stretch([rate; 4], share) };
        let rates = Rates::of(&[of(10.0, 1.0), of(2.0, 0.3), of(8.0, 1.0), of(9.0, 1.0)]);
        assert_eq!((rates.median, rates.spread, rates.left_out), (9.0, (8.0, 10.0), 1));
        assert!(rates.disturbed.is_none());
        let all = Rates::of(&[of(4.0, 0.5), of(2.0, 0.3)]);
        assert_eq!((all.median, all.left_out), (3.0, 0));
        assert!(all.disturbed.unwrap().contains("50 %"));
    }

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let rate = |rate| Stretch { rate, quarters: [rate; 4], processor_share: 1.0 };
        let rounds = Comparison {
            ours: vec![rate(8.0), rate(9.0), rate(7.0)],
            reference: vec![rate(10.0), rate(10.0), rate(10.0)],
        };
        let outcome = rounds.outcome("m", "r", Target::RatioAtLeast(0.8), Vec::new());
        assert_eq!(outcome.ratio(), 0.8);
        assert_eq!(outcome.ratio_spread, Some((0.7, 0.9)));
    }
}
