//! `ask`: a caller on one core asks a job on the other, one call at a time; beside it what else a caller could ask.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use millstream::prelude::*;

use super::chain::LEAD;
use super::figures::{Group, Series, Verdict};
use super::host::call_loop;
use super::jobs::Unstarted;
use super::probe::{KEYS, Probe};
use super::report::Report;
use super::settings::{Length, Settings, Variant, Wait};
use super::turns::{Run, by_turns};
use super::{ping_pong, redis, tokio_call};

/// One call at a time is over before the next, which leaves no room for a million a second.
const RATES: [u64; 2] = [10_000, 100_000];

/// How long a caller waits for a reply at most.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long a caller looks before it sleeps: for longer than any reply takes.
const LOOKS: Duration = Duration::from_millis(100);

/// How many seconds the slower references are measured for at most.
const REFERENCE_SECONDS_MAX: u64 = 5;

/// What is wanted of the job, in microseconds: the median, and how much more than the bare ping-pong the p99 of a second is.
const MEDIAN_MAX: f64 = 5.0;
const P99_EXCESS_MAX: f64 = 20.0;

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let cores = [settings.cores[0], host_core];
    let redis_server = redis::find(std::env::var_os("PATH"));
    for rate in settings.rates(&RATES) {
        let group = at_rate(settings, rate, &cores, redis_server.as_ref())?;
        report.add(group);
    }
    Ok(())
}

fn at_rate(
    settings: &Settings,
    rate: u64,
    cores: &[usize; 2],
    redis_server: Option<&PathBuf>,
) -> Result<Group, Box<dyn Error>> {
    let variants = settings.variants();
    let mut runs: Vec<Run<'_>> = vec![
        Box::new(|length| Ok(ping_pong::measure(settings, cores, length)?)),
        Box::new(|length| Ok(tokio_call::measure(settings, cores, length.at_most(REFERENCE_SECONDS_MAX))?)),
    ];
    if let Some(server) = redis_server {
        runs.push(Box::new(|length| {
            Ok(redis::measure(server, settings, cores, length.at_most(REFERENCE_SECONDS_MAX))?)
        }));
    }
    for variant in &variants {
        runs.push(Box::new(|length| run(settings, *variant, cores[1], length)));
    }
    let title = format!("ask: a call at a time, computed, 1 shard with a keyed step; {rate} calls/s");
    let mut group = by_turns(settings, title, cores, settings.turns(rate), &mut runs)?;
    group.notes.push(format!(
        "shard 0 and whoever answers on core {}, the caller on core {}; it looks for its reply without sleeping",
        cores[0], cores[1]
    ));
    if redis_server.is_none() {
        group.notes.push("redis: no redis-server on PATH, so it was not measured".to_owned());
    }
    judge(&mut group);
    Ok(group)
}

/// Holds the job that never sleeps and makes no checkpoints against what is wanted.
fn judge(group: &mut Group) {
    let label = Variant { wait: Wait::Spin, checkpoints: None }.label();
    let (Some(job), Some(bare)) = (group.find(&label), group.find(ping_pong::LABEL)) else { return };
    let (of_job, of_bare) = (job.median_of_seconds(0.99), bare.median_of_seconds(0.99));
    let verdict = |what, value, below| Verdict {
        what,
        value,
        unit: "us",
        below,
        disturbed: job.all_disturbed() || bare.all_disturbed(),
    };
    let verdicts = [
        verdict("median of a call".to_owned(), job.micros(0.5), MEDIAN_MAX),
        verdict(
            format!(
                "median of the seconds' p99: {of_job:.2} us, of the bare ping-pong {of_bare:.2} us; the difference"
            ),
            of_job - of_bare,
            P99_EXCESS_MAX,
        ),
    ];
    group.verdicts.extend(verdicts);
}

fn run(
    settings: &Settings,
    variant: Variant,
    host_core: usize,
    length: Length,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "ask", 1)?;
    let mut ask = unstarted.job.ask::<u64, u64>("counts", AskOptions::new().spin(LOOKS));
    let running = unstarted.start(counts)?;
    let plan = length.plan(LEAD);
    running.with_host(settings, host_core, &plan, move || {
        let mut number = 0;
        call_loop(&plan, |due| {
            number += 1;
            let key = Probe::new(number, KEYS, due).key;
            ask.call(key, DEADLINE).map(drop).map_err(|error| error.to_string())
        })
    })
}

/// The program: answers with how often the key was asked for.
pub fn counts(flow: &Flow) {
    flow.ask::<u64, u64>("counts")
        .key_by(|asked| asked.request)
        .map_with_state(|asked, count: Option<u64>| {
            let count = count.unwrap_or(0) + 1;
            (asked.reply(count), Some(count))
        })
        .reply("counts");
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{second, series};
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_call_is_answered_and_references_stand_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let settings = brief(dir.path());
        let cores = [settings.cores[0], settings.cores[1]];
        let group = at_rate(&settings, 1000, &cores, None).unwrap();
        let answered = |label: &str| group.find(label).unwrap().seconds[0].histogram.len();
        assert_eq!(answered(ping_pong::LABEL), 1000);
        assert_eq!(answered(tokio_call::LABEL), 1000);
        assert_eq!(answered(&settings.variants()[0].label()), 1000);
        assert!(group.notes.iter().any(|note| note.contains("no redis-server on PATH")));
    }

    #[test]
    fn the_job_is_held_against_the_bare_ping_pong() {
        let job = series("spin, no checkpoints", vec![second([4, 4, 30], None)]);
        let bare = series(ping_pong::LABEL, vec![second([1, 1, 15], None)]);
        let mut group = Group { series: vec![job, bare], ..Group::default() };
        judge(&mut group);
        let met: Vec<bool> = group.verdicts.iter().map(Verdict::met).collect();
        assert_eq!(met, [true, true], "{:?}", group.verdicts);
        group.series[0].seconds[0] = second([6, 6, 60], Some("a compiler"));
        group.verdicts.clear();
        judge(&mut group);
        assert!(group.verdicts.iter().all(|verdict| !verdict.met() && verdict.disturbed));
    }
}
