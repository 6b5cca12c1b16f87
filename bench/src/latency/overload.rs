//! `overload`: ten times as much as the operator takes, by each policy: memory, the ledger, and how long admitted records wait.

use std::error::Error;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream::embed::{Ledger, SendError, Sent, Shed};
use millstream::prelude::*;
use serde_json::{Value, json};

use super::figures::{Group, Second, Series, Verdict};
use super::host::beside;
use super::jobs::Unstarted;
use super::probe::Probe;
use super::recorder::Recorders;
use super::report::Report;
use super::schedule::{NANOS_PER_SECOND, Plan};
use super::settings::{Settings, Variant, Wait};
use super::watch::watch;
use crate::clock::monotonic_nanos;
use crate::memory::resident_bytes;

/// How long each policy is under load unless said otherwise.
const SECONDS: u64 = 60;

/// What the operator takes for a record, and how many come.
const WORK: Duration = Duration::from_micros(20);
const RATE: u64 = 10 * NANOS_PER_SECOND / WORK.as_nanos() as u64;

/// For how many records there is room, and what may be spilled beyond.
const CAPACITY: usize = 1024;

/// What a shard takes at a time: where handles share a queue, so many more are with the reader while they are handed to the operator.
const TAKEN_AT_A_TIME: u64 = 512;
const SPILLED_MAX: u64 = 16 << 20;

/// How much more may be resident in the second half than in the first.
const GROWTH_MAX: f64 = 8.0;

/// How long before its first record a job is started, and how long its load comes before what counts.
const START: Duration = Duration::from_millis(500);
const WARM_UP: Duration = Duration::from_secs(1);

/// Who is behind its schedule for longer than this leaves out what was due meanwhile, in nanoseconds.
const HELD_BACK: u64 = 1_000_000;

const MEBIBYTE: f64 = (1 << 20) as f64;

/// Measures all policies.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let seconds = settings.seconds.unwrap_or(SECONDS);
    for (name, policy) in policies(&settings.dir) {
        let mut group = under(settings, host_core, seconds, policy)?;
        group.title =
            format!("overload: {name}; {RATE} records/s to an operator that takes {} a second", RATE / 10);
        report.add(group);
    }
    Ok(())
}

fn policies(dir: &Path) -> [(&'static str, Overload); 6] {
    [
        ("Block", Overload::Block),
        ("Spill", Overload::Spill { dir: dir.to_owned(), max_bytes: SPILLED_MAX }),
        ("DropNewest", Overload::DropNewest),
        ("DropOldest", Overload::DropOldest),
        ("Sample(0.5)", Overload::Sample(0.5)),
        ("Reject", Overload::Reject),
    ]
}

/// How many records can wait at most.
fn queued_max(policy: &Overload) -> u64 {
    match policy {
        // None takes less room in the file than in memory.
        Overload::Spill { max_bytes, .. } => {
            CAPACITY as u64 + TAKEN_AT_A_TIME + max_bytes / size_of::<Probe>() as u64
        }
        Overload::DropOldest => CAPACITY as u64 + TAKEN_AT_A_TIME,
        _ => CAPACITY as u64,
    }
}

fn under(
    settings: &Settings,
    host_core: usize,
    seconds: u64,
    policy: Overload,
) -> Result<Group, Box<dyn Error>> {
    let variant = Variant { wait: Wait::Spin, checkpoints: None };
    let unstarted = Unstarted::new(settings, variant, "overload", 1)?;
    let options = IngressOptions::new().capacity(CAPACITY).overload(policy.clone());
    let ingress = unstarted.job.ingress::<Probe>("in", options);
    // The one that sends is busy, and may wait.
    let watcher = ingress.clone();
    let warm_up = WARM_UP.min(Duration::from_secs(seconds) / 2);
    let plan = Plan { start: monotonic_nanos() + START.as_nanos() as u64, rate: RATE, warm_up, seconds };
    let (recorders, taken) = (Recorders::default(), Arc::new(AtomicU64::new(0)));
    let (of_job, count) = (recorders.clone(), taken.clone());
    let running = unstarted.start(move |flow| {
        let (mut recorder, count) = (of_job.open(&plan), count.clone());
        flow.ingress::<Probe>("in").for_each(move |probe, _| {
            let now = monotonic_nanos();
            recorder.record(probe.due, now);
            count.fetch_add(1, Ordering::Relaxed);
            while monotonic_nanos() < now + WORK.as_nanos() as u64 {}
        });
    })?;
    let (mut checks, mut resident) = (Checks::new(queued_max(&policy)), Vec::new());
    let ran = beside(
        host_core,
        || load(&plan, ingress),
        || {
            watch(&settings.cores, plan.from(), plan.seconds, || {
                checks.look(watcher.ledger());
                resident.push(resident_bytes());
            })
        },
    );
    let before = taken.load(Ordering::Relaxed);
    let ledger = watcher.ledger();
    let after = taken.load(Ordering::Relaxed);
    running.stop()?;
    let (told, disturbed) = ran?;
    checks.close(ledger, &told, before..=after + 1);
    let series = Series {
        label: "from the call of send to the operator".to_owned(),
        seconds: Second::all(recorders.take(), disturbed),
        ..Series::default()
    };
    Ok(Group {
        title: String::new(),
        notes: vec![
            format!(
                "shard 0 on core {}, the thread that sends on core {host_core}; room for {CAPACITY} records; {ledger}; \
                 {} times the thread that sends was held back for so long that it left records of its schedule out",
                settings.cores[0], told.held_back
            ),
            format!("resident each second, in MiB: {}", mebibytes(&resident)),
        ],
        verdicts: checks.verdicts(&resident),
        raw: json!({
            "resident_bytes": resident,
            "ledgers": checks.seen.iter().map(ledger_json).collect::<Vec<_>>(),
            "last_ledger": ledger_json(&ledger),
            "wrong": checks.wrong,
        }),
        series: vec![series],
    })
}

/// What the thread that sends was told of its records.
#[derive(Debug, Default)]
struct Told {
    queued: u64,
    newest: u64,
    sampled: u64,
    rejected: u64,
    held_back: u64,
}

/// Sends on schedule. Where it is made to wait, what was due meanwhile is left out: that is what backpressure is for.
fn load(plan: &Plan, mut ingress: Ingress<Probe>) -> Result<Told, String> {
    let (mut told, mut dues) = (Told::default(), plan.dues());
    while let Some(due) = dues.peek() {
        let now = monotonic_nanos();
        if now < due {
            continue;
        }
        if now - due > HELD_BACK {
            told.held_back += 1;
            while dues.due(now).is_some() {
                dues.advance();
            }
            continue;
        }
        match ingress.send(Probe { key: told.queued, due: now }) {
            Ok(Sent::Queued | Sent::Journaled(_)) => told.queued += 1,
            Ok(Sent::Shed(Shed::Newest | Shed::Oldest)) => told.newest += 1,
            Ok(Sent::Shed(Shed::Sampled)) => told.sampled += 1,
            Ok(Sent::Shed(Shed::Rejected)) | Err(SendError::Full { .. }) => told.rejected += 1,
            Err(error) => return Err(error.to_string()),
        }
        dues.advance();
    }
    Ok(told)
}

/// Looks whether the ledger adds up.
struct Checks {
    queued_max: u64,
    seen: Vec<Ledger>,
    wrong: Vec<String>,
}

impl Checks {
    fn new(queued_max: u64) -> Checks {
        Checks { queued_max, seen: Vec::new(), wrong: Vec::new() }
    }

    fn look(&mut self, ledger: Ledger) {
        if ledger.sent != ledger.processed + ledger.queued + ledger.shed() {
            self.wrong.push(format!("it does not add up: {ledger}"));
        }
        if ledger.queued > self.queued_max {
            self.wrong.push(format!("more waits than there is room for ({}): {ledger}", self.queued_max));
        }
        if let Some(before) = self.seen.last()
            && (ledger.sent < before.sent
                || ledger.processed < before.processed
                || ledger.shed() < before.shed())
        {
            self.wrong.push(format!("it went back, from {before} to {ledger}"));
        }
        self.seen.push(ledger);
    }

    /// Holds it against what the sender was told and what the operator was given, once nothing more is sent.
    fn close(&mut self, ledger: Ledger, told: &Told, taken: RangeInclusive<u64>) {
        self.look(ledger);
        let sent = told.queued + told.newest + told.sampled + told.rejected;
        let shed = (ledger.dropped_newest, ledger.sampled_out, ledger.rejected);
        if (ledger.sent, shed) != (sent, (told.newest, told.sampled, told.rejected)) {
            self.wrong.push(format!("the sender was told {told:?}, and it says {ledger:?}"));
        }
        if !taken.contains(&ledger.processed) {
            self.wrong.push(format!("the operator had {taken:?} records, and it says {}", ledger.processed));
        }
    }

    fn verdicts(&self, resident: &[u64]) -> Vec<Verdict> {
        let most = self.seen.iter().map(|ledger| ledger.queued).max().unwrap_or(0);
        let verdict =
            |what: String, value, unit, below| Verdict { what, value, unit, below, disturbed: false };
        let wrong = match self.wrong.first() {
            None => format!("{} looks at the ledger that found something wrong", self.seen.len()),
            Some(first) => format!("looks at the ledger that found something wrong ({first})"),
        };
        vec![
            verdict(wrong, self.wrong.len() as f64, "looks", 1.0),
            verdict(
                "records that waited at most".to_owned(),
                most as f64,
                "records",
                (self.queued_max + 1) as f64,
            ),
            verdict(
                "growth of what is resident, second half over first".to_owned(),
                growth(resident),
                "MiB",
                GROWTH_MAX,
            ),
        ]
    }
}

/// How much more was resident in the second half than in the first, in MiB.
fn growth(resident: &[u64]) -> f64 {
    let (first, second) = resident.split_at(resident.len().div_ceil(2));
    let most = |half: &[u64]| half.iter().copied().max().unwrap_or(0) as f64 / MEBIBYTE;
    if second.is_empty() { 0.0 } else { most(second) - most(first) }
}

fn mebibytes(resident: &[u64]) -> String {
    resident.iter().map(|bytes| format!("{:.0}", *bytes as f64 / MEBIBYTE)).collect::<Vec<_>>().join(" ")
}

fn ledger_json(ledger: &Ledger) -> Value {
    json!({
        "sent": ledger.sent, "processed": ledger.processed, "queued": ledger.queued,
        "dropped_newest": ledger.dropped_newest, "dropped_oldest": ledger.dropped_oldest,
        "sampled_out": ledger.sampled_out, "rejected": ledger.rejected,
    })
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn the_ledger_adds_up_under_every_policy() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        measure(&brief(dir.path()), &mut report).unwrap();
        for group in report.groups() {
            assert_eq!(group.raw["wrong"], json!([]), "{}", group.title);
            // What is spilled comes to the operator later than a second.
            let is_spilled = group.title.contains("Spill");
            assert!(!group.series[0].total().is_empty() || is_spilled, "{}", group.title);
        }
        assert_eq!(report.groups().len(), 6);
    }

    fn ledger(sent: u64, processed: u64, queued: u64, rejected: u64) -> Ledger {
        Ledger { sent, processed, queued, rejected, ..Ledger::default() }
    }

    #[test]
    fn a_ledger_that_is_wrong_is_told() {
        let mut checks = Checks::new(10);
        checks.look(ledger(20, 10, 10, 0));
        assert_eq!(checks.wrong.len(), 0);
        checks.look(ledger(31, 10, 11, 10));
        assert!(checks.wrong[0].contains("more waits"), "{:?}", checks.wrong);
        checks.look(ledger(40, 25, 5, 11));
        assert!(checks.wrong[1].contains("does not add up"), "{:?}", checks.wrong);
        checks.look(ledger(30, 20, 10, 0));
        assert!(checks.wrong[2].contains("went back"), "{:?}", checks.wrong);
        let told = Told { queued: 30, rejected: 12, ..Told::default() };
        checks.close(ledger(42, 27, 4, 11), &told, 26..=28);
        assert!(checks.wrong[3].contains("the sender was told"), "{:?}", checks.wrong);
        checks.close(ledger(42, 27, 3, 12), &told, 20..=25);
        assert!(checks.wrong[4].contains("the operator had"), "{:?}", checks.wrong);
    }

    #[test]
    fn memory_grows_by_what_the_second_half_has_more() {
        let mib = |values: &[u64]| values.iter().map(|value| value << 20).collect::<Vec<_>>();
        assert_eq!(growth(&mib(&[10, 12, 11, 15])), 3.0);
        assert_eq!(growth(&mib(&[10])), 0.0);
    }
}
