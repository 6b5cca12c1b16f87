//! `window`: counts per key in windows of 1 s that slide by 10 ms, as Hazelcast Jet's benchmark has it: events occur at times that were fixed before,
//! which are their event times, and a result is late by the time from its window's end to its emission.
//!
//! Jet keeps one key in a thousand of what leaves the windows for its measurement (`jet-gc-benchmark`, rounds 2 and 3), and takes 24,000 results or
//! more after 20 s of warm-up. So it is done here; and once more with all results.

use std::error::Error;
use std::time::Duration;

use millstream::prelude::*;

use super::chain::{LEAD, exchange};
use super::figures::{Group, Series, Verdict};
use super::jobs::Unstarted;
use super::meter;
use super::probe::{KEYS, Probe};
use super::report::Report;
use super::settings::{Length, Settings, Variant, Wait};
use super::turns::{Run, by_turns};

const RATES: [u64; 1] = [100_000];

const SIZE: Duration = Duration::from_secs(1);
const SLIDE: Duration = Duration::from_millis(10);

/// How long a stretch counts unless said otherwise, and how long it is warmed up for.
const SECONDS: u64 = 60;
const WARM_UP: Duration = Duration::from_secs(20);

/// How many windows Jet's rule wants.
const WINDOWS_MIN: u64 = 24_000;

/// Percentiles are the medians of slices of so many seconds.
const SLICE_SECONDS: usize = 10;

/// What the slices' p99.99 is to be below, in microseconds, or below that many times what the bare loop on the shard's core shows.
const TAIL_MAX: f64 = 1000.0;
const OF_BARE_MAX: f64 = 2.0;

const NANOS_PER_MS: u64 = 1_000_000;

/// Room for the results of a few windows.
const ROOM: usize = 1 << 16;

/// Which keys' results leave the job.
#[derive(Clone, Copy)]
enum Leave {
    OneOf(u64),
    All,
}

impl Leave {
    fn words(self) -> String {
        match self {
            Leave::OneOf(keys) => {
                format!("results of one key in {keys} leave the job, as in Jet's benchmark")
            }
            Leave::All => "all results leave the job".to_owned(),
        }
    }

    fn takes(self, key: u64) -> bool {
        match self {
            Leave::OneOf(keys) => key.is_multiple_of(keys),
            Leave::All => true,
        }
    }
}

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for rate in settings.rates(&RATES) {
        for leave in [Leave::OneOf(1000), Leave::All] {
            report.add(at_rate(settings, rate, leave)?);
        }
    }
    Ok(())
}

fn at_rate(settings: &Settings, rate: u64, leave: Leave) -> Result<Group, Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let cores = [settings.cores[0], host_core];
    let seconds = settings.seconds.unwrap_or(SECONDS);
    // A window is full after its size; a stretch that is to show only that all works need not wait for Jet's warm-up.
    let warm_up = WARM_UP.min(Duration::from_secs(seconds)).max(SIZE);
    let length = Length { rate, warm_up, seconds };
    let variants = settings.variants();
    let mut runs: Vec<Run<'_>> = variants
        .iter()
        .map(|variant| -> Run<'_> {
            Box::new(move |length| run(settings, *variant, host_core, length, leave))
        })
        .collect();
    let title = format!(
        "window: counts of {KEYS} keys in windows of {SIZE:?} by {SLIDE:?}, {rate} events/s; {}",
        leave.words()
    );
    let mut group = by_turns(settings, title, &cores, (length, 1), &mut runs)?;
    let windows = seconds * (Duration::from_secs(1).as_millis() / SLIDE.as_millis()) as u64;
    group.notes.push(format!(
        "shard 0 on core {}, the host's thread on core {host_core}; {windows} windows after {} s of warm-up{}",
        cores[0],
        warm_up.as_secs(),
        if windows < WINDOWS_MIN { "; Jet's rule wants 24000 after 20 s: --seconds 240" } else { "" }
    ));
    judge(&mut group, cores[0]);
    Ok(group)
}

/// Holds the job that never sleeps and makes no checkpoints against what is wanted.
fn judge(group: &mut Group, shard_core: usize) {
    let label = Variant { wait: Wait::Spin, checkpoints: None }.label();
    let (Some(job), Some(bare)) = (group.find(&label), group.find(&meter::label(shard_core))) else { return };
    let tail = |series: &Series| series.median_of_slices(SLICE_SECONDS, 0.9999);
    let (of_job, of_bare) = (tail(job), tail(bare));
    let verdict = Verdict {
        what: format!(
            "median of the 10 s slices' p99.99, of the bare loop {of_bare:.0} us; wanted below 1 ms or twice the bare loop's"
        ),
        value: of_job,
        unit: "us",
        below: TAIL_MAX.max(OF_BARE_MAX * of_bare),
        disturbed: job.all_disturbed(),
    };
    group.verdicts.push(verdict);
}

fn run(
    settings: &Settings,
    variant: Variant,
    host_core: usize,
    length: Length,
    leave: Leave,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "window", 1)?;
    let mut ingress = unstarted.job.ingress::<Probe>("in", IngressOptions::new().capacity(ROOM));
    let mut egress =
        unstarted.job.egress::<WindowResult<u64, u64>>("out", EgressOptions::new().capacity(ROOM));
    let running = unstarted.start(move |flow| {
        flow.ingress::<Probe>("in")
            .event_time(Watermarks::monotonous(), |probe| (probe.due / NANOS_PER_MS) as i64)
            .key_by(|probe| probe.key)
            .window(Sliding::of(SIZE).every(SLIDE))
            .count()
            .filter(move |result| leave.takes(result.key))
            .egress("out");
    })?;
    let plan = length.plan(LEAD);
    running.with_host(settings, host_core, &plan, move || {
        let end = |result: &WindowResult<u64, u64>| result.window.end.0 as u64 * NANOS_PER_MS;
        exchange(&plan, u64::MAX, &mut ingress, &mut egress, end)
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{second, series};
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_window_of_a_second_gives_its_results() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        let settings = Settings { rates: vec![10_000], ..brief(dir.path()) };
        measure(&settings, &mut report).unwrap();
        let results: Vec<u64> =
            report.groups().iter().map(|group| group.series.last().unwrap().total().len()).collect();
        // Ten keys of ten thousand in some hundred windows, and all of them; fewer where the machine was too busy for the schedule.
        assert!((500..=1000).contains(&results[0]), "{results:?}");
        assert!((500_000..=1_000_000).contains(&results[1]), "{results:?}");
    }

    #[test]
    fn a_tail_is_held_against_a_millisecond_or_the_bare_loop() {
        let of = |job: u64, bare: u64| {
            let seconds = |micros| vec![second([micros], None); 20];
            let series =
                vec![series("spin, no checkpoints", seconds(job)), series(&meter::label(3), seconds(bare))];
            let mut group = Group { series, ..Group::default() };
            judge(&mut group, 3);
            group.verdicts[0].met()
        };
        assert!(of(900, 10));
        assert!(!of(1100, 10));
        assert!(of(1100, 700));
    }
}
