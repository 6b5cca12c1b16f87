//! `ask-durable`: the same, where a reply comes when what was done for it is durable; a checkpoint every millisecond makes a group of them so.

use std::collections::VecDeque;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use millstream::embed::{AskError, Call};
use millstream::prelude::*;

use super::ask::{DEADLINE, counts};
use super::chain::LEAD;
use super::figures::{Series, Verdict};
use super::host::open_loop;
use super::jobs::Unstarted;
use super::probe::{KEYS, Probe};
use super::report::Report;
use super::settings::{Length, Settings, Variant, Wait};
use super::turns::{Run, by_turns};

const RATES: [u64; 2] = [10_000, 100_000];

/// How long a group of calls gathers.
const GROUP: Duration = Duration::from_millis(1);

/// How many calls can be under way: those of some hundredths of a second.
const IN_FLIGHT: usize = 1 << 14;

/// What the p99 is to be below, in microseconds.
const P99_MAX: f64 = 3000.0;

/// Measures it.
pub fn measure(settings: &Settings, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let host_core = settings.host_core_beside_one()?;
    let cores = [settings.cores[0], host_core];
    for rate in settings.rates(&RATES) {
        let variants: Vec<Variant> =
            settings.waits.iter().map(|wait| Variant { wait: *wait, checkpoints: Some(GROUP) }).collect();
        let mut runs: Vec<Run<'_>> = variants
            .iter()
            .map(|variant| -> Run<'_> { Box::new(move |length| run(settings, *variant, host_core, length)) })
            .collect();
        let title = format!(
            "ask-durable: calls under way by one thread, replies durable in groups of 1 ms; {rate} calls/s"
        );
        let mut group = by_turns(settings, title, &cores, settings.turns(rate), &mut runs)?;
        group.notes.push(format!(
            "shard 0 on core {}, the caller on core {host_core}; state in {}",
            cores[0],
            settings.dir.display()
        ));
        let label = Variant { wait: Wait::Spin, checkpoints: Some(GROUP) }.label();
        if let Some(series) = group.find(&label) {
            let verdict = Verdict {
                what: "p99".to_owned(),
                value: series.micros(0.99),
                unit: "us",
                below: P99_MAX,
                disturbed: series.all_disturbed(),
            };
            group.verdicts.push(verdict);
        }
        report.add(group);
    }
    Ok(())
}

fn run(
    settings: &Settings,
    variant: Variant,
    host_core: usize,
    length: Length,
) -> Result<Series, Box<dyn Error>> {
    let unstarted = Unstarted::new(settings, variant, "ask-durable", 1)?;
    let options = AskOptions::new().level(Level::Durable).in_flight(IN_FLIGHT);
    let mut ask = unstarted.job.ask::<u64, u64>("counts", options);
    let running = unstarted.start(counts)?;
    let plan = length.plan(LEAD);
    running.with_host(settings, host_core, &plan, move || {
        let (mut number, under_way) = (0, std::cell::RefCell::new(UnderWay::default()));
        open_loop(
            &plan,
            plan.records(),
            |due| match ask.start(Probe::new(number, KEYS, due).key, DEADLINE) {
                Ok(call) => {
                    number += 1;
                    under_way.borrow_mut().calls.push_back((due, call));
                    Ok(true)
                }
                Err(AskError::Overloaded) => Ok(false),
                Err(error) => Err(error.to_string()),
            },
            || under_way.borrow_mut().next(),
        )
    })
}

/// Calls in the order in which they were made, in which they are answered, too.
struct UnderWay {
    calls: VecDeque<(u64, Call<u64>)>,
    bell: Arc<Rung>,
    waker: Waker,
    /// Whether the oldest call has the waker, so that it need not be asked until that is woken.
    waits: bool,
}

impl Default for UnderWay {
    fn default() -> Self {
        let bell = Arc::new(Rung(AtomicBool::new(false)));
        let waker = Waker::from(bell.clone());
        UnderWay { calls: VecDeque::with_capacity(IN_FLIGHT), bell, waker, waits: false }
    }
}

impl UnderWay {
    /// The time at which the oldest call was due, if it was answered.
    fn next(&mut self) -> Result<Option<u64>, String> {
        if self.waits && !self.bell.0.swap(false, Ordering::Acquire) {
            return Ok(None);
        }
        let Some((due, call)) = self.calls.front_mut() else { return Ok(None) };
        match Pin::new(call).poll(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => {
                self.waits = true;
                Ok(None)
            }
            Poll::Ready(outcome) => {
                let due = *due;
                self.waits = false;
                self.calls.pop_front();
                outcome.map(|_| Some(due)).map_err(|error| error.to_string())
            }
        }
    }
}

/// Says that it was woken.
struct Rung(AtomicBool);

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::brief;
    use super::*;

    #[test]
    fn every_call_is_answered_once_it_is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::quiet();
        measure(&brief(dir.path()), &mut report).unwrap();
        let job = report.groups()[0].series.last().unwrap().clone();
        assert_eq!(job.seconds[0].histogram.len(), 1000);
        assert!(!job.notes[0].contains(" 0 checkpoints"), "{}", job.notes[0]);
    }
}
