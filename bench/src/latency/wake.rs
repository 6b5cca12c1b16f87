//! `wake`: what an embedded job costs while nothing comes, and how long it takes until it has what comes then.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use millstream::prelude::*;
use serde_json::json;

use super::figures::{Group, Second, Series, Verdict};
use super::jobs::Unstarted;
use super::probe::Probe;
use super::recorder::Recorder;
use super::report::Report;
use super::schedule::{NANOS_PER_SECOND, Plan};
use super::settings::{Settings, Variant, Wait};
use super::watch::{sleep_until, watch};
use crate::clock::{monotonic_nanos, processor_nanos};
use crate::throughput::pin;

/// How long the job is left alone, and how long it is woken for, unless said otherwise.
const SECONDS: u64 = 10;

/// How often it is woken: seldom enough that it sleeps each time.
const RATE: u64 = 500;

/// How much of a core the idle process may use, in percent, and how long the p99 of a wake-up may be, in microseconds.
const IDLE_PERCENT_MAX: f64 = 1.0;
const WAKE_MAX: f64 = 50.0;

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let variant = Variant { wait: Wait::Adaptive, checkpoints: None };
    let seconds = settings.seconds.unwrap_or(SECONDS);
    let unstarted = Unstarted::new(settings, variant, "wake", 1)?;
    let mut ingress = unstarted.job.ingress::<Probe>("in", IngressOptions::new());
    let arrived: Arc<[AtomicU64]> = (0..seconds * RATE).map(|_| AtomicU64::new(0)).collect();
    let seen = arrived.clone();
    let running = unstarted.start(move |flow| {
        let seen = seen.clone();
        flow.ingress::<Probe>("in").for_each(move |probe, _| {
            if let Some(arrived) = seen.get(probe.key as usize) {
                arrived.store(monotonic_nanos(), Ordering::Release);
            }
        });
    })?;
    sleep(Duration::from_millis(200));
    let (processor, begin) = (processor_nanos(), monotonic_nanos());
    sleep(Duration::from_secs(seconds));
    let idle = (processor_nanos() - processor) as f64 / (monotonic_nanos() - begin) as f64 * 100.0;
    let plan = Plan { start: monotonic_nanos(), rate: RATE, warm_up: Duration::ZERO, seconds };
    let (sent, disturbed) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            pin(host_core)?;
            send_all(&plan, |number, now| {
                let probe = Probe { key: number, due: now };
                ingress.send(probe).map(|_| ()).map_err(|error| error.to_string())
            })
        });
        let disturbed = watch(&settings.cores, plan.from(), plan.seconds, || {});
        (sender.join().map_err(|_| "the thread that sends panicked".to_owned()), disturbed)
    });
    sleep(Duration::from_millis(100));
    running.stop()?;
    let mut recorder = Recorder::new(&plan);
    for (sent, arrived) in sent??.into_iter().zip(arrived.iter()) {
        match arrived.load(Ordering::Acquire) {
            0 => return Err("wake: a record that was sent did not arrive in 100 ms".into()),
            arrived => recorder.record(sent, arrived),
        }
    }
    let job = Second::all(recorder.into_seconds(), disturbed);
    let bare = bare(settings, host_core, seconds)?;
    report.add(group(settings, host_core, idle, job, bare));
    Ok(())
}

/// What the machine takes to wake a thread that does nothing but sleep: on the shard's core, by the same schedule.
fn bare(settings: &Settings, host_core: usize, seconds: u64) -> Result<Vec<Second>, Box<dyn Error>> {
    let plan = Plan { start: monotonic_nanos(), rate: RATE, warm_up: Duration::ZERO, seconds };
    let (records, core) = (plan.records(), settings.cores[0]);
    let (plan, posted) = (&plan, &AtomicU64::new(0));
    let (wakes, disturbed) = std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            pin(core)?;
            let arrivals = (0..records).map(|number| {
                while posted.load(Ordering::Acquire) <= number {
                    std::thread::park();
                }
                monotonic_nanos()
            });
            Ok(arrivals.collect::<Vec<u64>>())
        });
        let thread = sleeper.thread().clone();
        let sender = scope.spawn(move || {
            // Whether or not it got its core, the sleeper is to end.
            let pinned = pin(host_core);
            let sent = send_all(plan, |number, _| {
                posted.store(number + 1, Ordering::Release);
                thread.unpark();
                Ok(())
            });
            pinned.and(sent)
        });
        let disturbed = watch(&settings.cores, plan.from(), plan.seconds, || {});
        let panicked = |_| "a thread of the bare wake-ups panicked".to_owned();
        let sent = sender.join().map_err(panicked).and_then(|sent| sent);
        let arrived: Result<Vec<u64>, String> = sleeper.join().map_err(panicked).and_then(|arrived| arrived);
        (sent.and_then(|sent| Ok((sent, arrived?))), disturbed)
    });
    let (sent, arrived) = wakes?;
    let mut recorder = Recorder::new(plan);
    sent.into_iter().zip(arrived).for_each(|(sent, arrived)| recorder.record(sent, arrived));
    Ok(Second::all(recorder.into_seconds(), disturbed))
}

/// Sends by `send`, which is given the number and the time of each, sleeping in between, and says when each was sent.
fn send_all(plan: &Plan, mut send: impl FnMut(u64, u64) -> Result<(), String>) -> Result<Vec<u64>, String> {
    let (mut dues, mut sent) = (plan.dues(), Vec::with_capacity(plan.records() as usize));
    while let Some(due) = dues.peek() {
        sleep_until(due);
        let now = monotonic_nanos();
        send(sent.len() as u64, now)?;
        sent.push(now);
        dues.advance();
    }
    Ok(sent)
}

fn group(settings: &Settings, host_core: usize, idle: f64, seconds: Vec<Second>, bare: Vec<Second>) -> Group {
    let series =
        Series { label: "from send to the operator, adaptive".to_owned(), seconds, ..Series::default() };
    let bare = Series { label: "bare unpark of a thread".to_owned(), seconds: bare, ..Series::default() };
    let disturbed = series.all_disturbed();
    let verdicts = vec![
        Verdict {
            what: "processor time of the idle process".to_owned(),
            value: idle,
            unit: "% of a core",
            below: IDLE_PERCENT_MAX,
            // Others may have made it slower, and not busier.
            disturbed: false,
        },
        Verdict {
            what: "p99 of a wake-up".to_owned(),
            value: series.micros(0.99),
            unit: "us",
            below: WAKE_MAX,
            disturbed,
        },
    ];
    Group {
        title: format!("wake: an idle embedded job, woken {RATE} times a second"),
        notes: vec![format!(
            "shard 0 on core {}, the thread that sends on core {host_core}; both sleep in between, {} ms each time",
            settings.cores[0],
            NANOS_PER_SECOND / RATE / 1_000_000
        )],
        series: vec![series, bare],
        verdicts,
        raw: json!({ "idle_percent_of_a_core": idle }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_record_arrives_and_idleness_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        measure(&brief(dir.path()), &mut report).unwrap();
        let group = &report.groups()[0];
        assert_eq!(group.series[0].seconds[0].histogram.len(), RATE);
        assert_eq!(group.verdicts.len(), 2);
        assert!(group.raw["idle_percent_of_a_core"].as_f64().unwrap() >= 0.0);
    }
}
