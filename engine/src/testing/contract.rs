//! The contract that every operator keeps: what comes out does not depend on when the job was stopped and gone on with, on how many
//! shards it runs, and on how little fits into what lies downstream.
//!
//! [`check`] runs a trace straight through on one shard, which gives what is expected of each step, and then in other ways:
//!
//! ```text
//!   straight                   s1 ------> s2 ------> s3 ------> end
//!   on two shards              s1 ======> s2 ======> s3 ======> end
//!   restored after every step  s1 --# #-> s2 --# #-> s3 --# #-> end      #: snapshot, a new job, restore
//!   on other shards each time  s1 --# #=> s2 ==# #≡> s3 ≡≡# #-> end
//!   one record at a time       s1 -#-#-#> s2 -#-#-#> s3 -#-#-#> end      each output takes one record, then the job is restored
//! ```
//!
//! The last way stops the job in the middle of a step: with windows that have fired for some keys and not for others, and with records on their
//! way. Its rings are the smallest there are.
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::testing::{Input, Step, contract, single};
//! use millstream_engine::time::Ticks;
//!
//! let counts = single(|_, keys: Input<u64>| {
//!     keys.key_by(|key| *key).window(Tumbling::of(Ticks(10))).count().map(|count| (count.key, count.value))
//! });
//! let trace = [Step::push(1u64, 3), Step::push(2u64, 8), Step::watermark(8), Step::push(1u64, 9), Step::watermark(9)];
//! contract::hold(counts, &trace);
//! ```
//!
//! Where several shards are at work, the order of what comes out of one step does not count.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::harness::{Harness, HarnessError, Shown, Step, TestFlow, Width};
use crate::element::Timestamp;
use crate::job::Job;
use crate::limits::RING_BYTES_MIN;

/// The numbers of shards that a job goes on with, one after the other.
const SHARDS: [u16; 4] = [2, 3, 1, 2];

/// What came of one step: the records of each output, and how far event time came there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    records: BTreeMap<String, Vec<Shown>>,
    event_time: BTreeMap<String, Timestamp>,
}

/// A way of running a trace that does not keep the contract.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The program could not be run so.
    #[error("{way}, at step {number} ({step}): {error}")]
    Failed {
        /// How it was run.
        way: &'static str,
        /// The number of the step, from 1 on.
        number: usize,
        /// The step.
        step: String,
        /// Why not.
        error: HarnessError,
    },
    /// Something else came out than in a straight run.
    #[error(transparent)]
    Diverged(Box<Divergence>),
}

impl Broken {
    /// The number of the step, from 1 on.
    pub fn number(&self) -> usize {
        match self {
            Broken::Failed { number, .. } => *number,
            Broken::Diverged(divergence) => divergence.number,
        }
    }
}

/// The first step of which something else came than in a straight run.
#[derive(Debug)]
pub struct Divergence {
    /// How the program was run.
    pub way: &'static str,
    /// The number of the step, from 1 on.
    pub number: usize,
    /// The step.
    pub step: String,
    /// The output.
    pub output: String,
    /// What came out of a straight run, as `Debug` shows it, with its event time.
    pub expected: Vec<(String, Timestamp)>,
    /// What came out now.
    pub got: Vec<(String, Timestamp)>,
    /// How far event time came in a straight run, and how far now.
    pub event_time: (Timestamp, Timestamp),
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { way, number, step, output, expected, got, event_time } = self;
        writeln!(f, "step {number} ({step}), {way}: output `{output}` is not what it is in a straight run")?;
        writeln!(f, "  expected {}", Records(expected))?;
        writeln!(f, "       got {}", Records(got))?;
        if event_time.0 != event_time.1 {
            writeln!(f, "  expected event time {}, got {}", event_time.0, event_time.1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Divergence {}

/// Records as `15 at 4999; 22 at 4999`.
struct Records<'a>(&'a [Shown]);

impl fmt::Display for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (number, (record, at)) in self.0.iter().enumerate() {
            write!(f, "{}{record} at {at}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Runs a trace in all ways, on a job with the settings of the harness. The inputs are ended after it if it does not end them itself.
///
/// # Errors
/// The first step of which something else came than in a straight run.
pub fn check(program: impl Fn(&TestFlow) + Send + Sync + 'static, trace: &[Step]) -> Result<(), Broken> {
    check_job(&Job::new("contract"), program, trace)
}

/// The same for a job with settings of its own.
///
/// # Errors
/// As [`check`].
pub fn check_job(
    job: &Job,
    program: impl Fn(&TestFlow) + Send + Sync + 'static,
    trace: &[Step],
) -> Result<(), Broken> {
    let program: Program = Arc::new(program);
    let mut trace = trace.to_vec();
    if !trace.last().is_some_and(Step::ends_all) {
        trace.push(Step::end());
    }
    let straight =
        Way { name: "straight", shards: 1, width: Width::WIDE, in_order: true, between: |_, _| Ok(()) };
    let expected = straight.run(job, &program, &trace, None)?;
    for way in WAYS {
        way.run(job, &program, &trace, Some(&expected))?;
    }
    Ok(())
}

/// The same, for a test.
///
/// # Panics
/// The program does not keep the contract: says at which step, what was expected and what came.
#[track_caller]
pub fn hold(program: impl Fn(&TestFlow) + Send + Sync + 'static, trace: &[Step]) {
    if let Err(broken) = check(program, trace) {
        panic!("{broken}");
    }
}

type Program = Arc<dyn Fn(&TestFlow) + Send + Sync>;

/// A way of running a trace.
struct Way {
    name: &'static str,
    shards: u16,
    width: Width,
    /// Whether the order of records counts.
    in_order: bool,
    /// What is done between two steps, and wherever the job has to be let go on within one. The number says how often it was done before.
    between: fn(&mut Harness, usize) -> Result<(), HarnessError>,
}

const WAYS: [Way; 4] = [
    Way { name: "on two shards", shards: 2, width: Width::WIDE, in_order: false, between: |_, _| Ok(()) },
    Way {
        name: "restored after every step",
        shards: 1,
        width: Width::WIDE,
        in_order: true,
        between: |harness, _| restore(harness, 1),
    },
    Way {
        name: "restored on another number of shards after every step",
        shards: 1,
        width: Width::WIDE,
        in_order: false,
        between: |harness, number| restore(harness, SHARDS[number % SHARDS.len()]),
    },
    Way {
        name: "one record at a time, restored after each",
        shards: 1,
        width: Width::ONE,
        in_order: true,
        between: |harness, _| restore(harness, 1),
    },
];

/// Goes on from a snapshot of what is now.
fn restore(harness: &mut Harness, shards: u16) -> Result<(), HarnessError> {
    if harness.is_over() {
        return Ok(());
    }
    let snapshot = harness.try_snapshot()?;
    harness.begin_again(&snapshot, shards)
}

impl Way {
    /// Gives back what came of each step. Where it is not what is expected, the run ends.
    fn run(
        &self,
        job: &Job,
        program: &Program,
        trace: &[Step],
        expected: Option<&[Outcome]>,
    ) -> Result<Vec<Outcome>, Broken> {
        let failed = |number: usize, error| Broken::Failed {
            way: self.name,
            number: number + 1,
            step: trace[number].to_string(),
            error,
        };
        let mut job = job.clone().shards(self.shards);
        if self.width == Width::ONE {
            job = job.ring_bytes(RING_BYTES_MIN);
        }
        let mut harness =
            Harness::start(job, program.clone(), self.width).map_err(|error| failed(0, error))?;
        let mut outcomes = Vec::with_capacity(trace.len());
        let mut restored = 0;
        for (number, step) in trace.iter().enumerate() {
            let outcome =
                self.step(&mut harness, step, &mut restored).map_err(|error| failed(number, error))?;
            if let Some(expected) = expected {
                self.compare(number, step, &expected[number], &outcome)?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Takes a step, with everything that is to be done within it and after it.
    fn step(&self, harness: &mut Harness, step: &Step, count: &mut usize) -> Result<Outcome, HarnessError> {
        let mut outcome = Outcome::default();
        harness.feed(step)?;
        loop {
            harness.settle()?;
            harness.take_into(&mut outcome.records);
            // Not before a snapshot has been made of the moment at which an output was full.
            let full = harness.is_full();
            (self.between)(harness, *count)?;
            *count += 1;
            if full {
                harness.open_outboxes();
                continue;
            }
            // What was restored comes to rest without a further output.
            harness.rest()?;
            harness.take_into(&mut outcome.records);
            outcome.event_time = harness.event_times();
            return Ok(outcome);
        }
    }

    fn compare(&self, number: usize, step: &Step, expected: &Outcome, got: &Outcome) -> Result<(), Broken> {
        for (output, records) in &expected.records {
            let mut expected_records = records.clone();
            let mut got_records = got.records.get(output).cloned().unwrap_or_default();
            if !self.in_order {
                expected_records.sort();
                got_records.sort();
            }
            let event_time = (expected.event_time[output], got.event_time[output]);
            if expected_records != got_records || event_time.0 != event_time.1 {
                return Err(Broken::Diverged(Box::new(Divergence {
                    way: self.name,
                    number: number + 1,
                    step: step.to_string(),
                    output: output.clone(),
                    expected: expected_records,
                    got: got_records,
                    event_time,
                })));
            }
        }
        Ok(())
    }
}
