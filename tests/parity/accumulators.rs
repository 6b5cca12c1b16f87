//! What a job counts beside its results. Every way means here, too, that what was counted survives restarts and rescaling.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millstream::accumulator::{
    Accumulator, AccumulatorError, Accumulators, HdrHistogram, Histogram, LongCounter, Maximum,
};
use millstream::checkpoint::codec::{CodecError, Reader, Writer};
use millstream::graph::BuildError;
use millstream::io::sequence;
use millstream::job::NoAnswer;
use millstream::prelude::*;

use crate::ways::{Paused, every_way};

const PAIRS: [(u64, i64); 5] = [(1, 3), (1, 5), (1, 7), (2, 4), (2, 2)];

#[test]
fn ac_01_counters() {
    let mut counted = LongCounter::default();
    counted.add(5);
    every_way(5, |flow, run| {
        let count = flow.counter("count");
        flow.source("pairs", run.source(PAIRS))
            .inspect(move |_| count.add(1))
            .key_by(|pair| pair.0)
            .sum(|pair| &mut pair.1)
            .sink("sums", run.sink());
    })
    .are(&[(1, 3), (1, 8), (1, 15), (2, 4), (2, 6)])
    .accumulated("count", &counted);
}

#[test]
fn ac_02_histograms() {
    let (mut keys, mut amounts) = (Histogram::default(), HdrHistogram::default());
    for (key, amount) in PAIRS {
        keys.add(key as i64);
        amounts.add(amount as u64);
    }
    assert_eq!(keys.to_string(), "{1: 3, 2: 2}");
    every_way(5, |flow, run| {
        let keys = flow.accumulator::<Histogram>("count-his");
        let amounts = flow.accumulator::<HdrHistogram>("amounts");
        flow.source("pairs", run.source(PAIRS))
            .rebalance()
            // Counted behind the exchange: records on their way count once, too.
            .inspect(move |pair| {
                keys.add(pair.0 as i64);
                amounts.add(pair.1 as u64);
            })
            .map(|pair| pair.1)
            .sink("amounts", run.sink());
    })
    .are_in_any_order(&[3, 5, 7, 4, 2])
    .accumulated("count-his", &keys)
    .accumulated("amounts", &amounts);
}

/// The longest word.
#[derive(Clone, Debug, Default, PartialEq)]
struct Longest(String);

impl fmt::Display for Longest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Accumulator for Longest {
    type Value = String;
    const KIND: &'static str = "longest word";

    fn add(&mut self, word: String) {
        if (word.len(), &word) > (self.0.len(), &self.0) {
            self.0 = word;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.add(other.0.clone());
    }

    fn save(&self, out: &mut Writer) {
        out.put_str(&self.0);
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Longest(input.str("word")?.to_owned()))
    }
}

#[test]
fn ac_03_an_accumulator_of_the_programs_own() {
    let mut greatest = Maximum::default();
    greatest.add(7i64);
    every_way(5, |flow, run| {
        let longest = flow.accumulator::<Longest>("longest");
        let greatest = flow.accumulator::<Maximum<i64>>("greatest");
        flow.source("pairs", run.source(PAIRS))
            .rebalance()
            .inspect(move |pair| {
                longest.add("x".repeat(pair.1 as usize));
                greatest.add(pair.1);
            })
            .map(|pair| pair.1)
            .sink("amounts", run.sink());
    })
    .are_in_any_order(&[3, 5, 7, 4, 2])
    .accumulated("longest", &Longest("xxxxxxx".to_owned()))
    .accumulated("greatest", &greatest);
}

/// Counts five records, and fails once, when the third one comes.
fn fails_at_the_third(job: Job, seen_at_the_failure: impl Fn() + Clone + Send + Sync + 'static) -> Summary {
    let failed = Arc::new(AtomicBool::new(false));
    let restart = RestartStrategy::fixed_delay(1, Duration::ZERO);
    job.restart(restart)
        .run(move |flow| {
            let (count, failed, at_failure) =
                (flow.counter("count"), failed.clone(), seen_at_the_failure.clone());
            let records = PAIRS.iter().map(|pair| (*pair, Timestamp::MIN)).collect();
            flow.source("pairs", Paused::of(vec![records]))
                .inspect(move |pair| {
                    if pair.1 == 7 && !failed.swap(true, Ordering::AcqRel) {
                        at_failure();
                        panic!("the third one");
                    }
                    count.add(1);
                })
                .discard();
        })
        .unwrap()
}

#[test]
fn ac_04_a_restart_counts_nothing_twice() {
    // Without checkpoints all is read again, and counting begins anew.
    let summary = fails_at_the_third(Job::new("counts"), || {});
    assert_eq!((summary.metrics.restarts, summary.accumulators.counter("count")), (1, Ok(5)));
    // With checkpoints only what came after the newest one is read again.
    let state = tempfile::tempdir().unwrap();
    let job = Job::new("counts").state_dir(state.path()).checkpoint_interval(Duration::from_millis(1));
    let summary = fails_at_the_third(job, || {});
    assert_eq!((summary.metrics.restarts, summary.accumulators.counter("count")), (1, Ok(5)));
    assert!(summary.to_string().contains("accumulator count: 5"), "{summary}");
}

#[test]
fn ac_01_counters_can_be_read_while_the_job_runs() {
    let records = PAIRS.iter().map(|pair| (*pair, Timestamp::MIN)).collect();
    let source = move || Paused::endless(vec![Vec::clone(&records)]);
    let handle = Job::new("live")
        .shards(2)
        .oversubscribe(true)
        .spawn(move |flow| {
            let count = flow.counter("count");
            flow.source("pairs", source()).inspect(move |_| count.add(1)).discard();
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let counted = |accumulators: &Accumulators| accumulators.counter("count");
    while handle.accumulators().as_ref().map(counted) != Ok(Ok(5)) {
        assert!(Instant::now() < end, "{:?}", handle.accumulators());
        std::thread::sleep(Duration::from_millis(1));
    }
    handle.cancel();
    let summary = handle.wait().unwrap();
    assert_eq!((summary.status, counted(&summary.accumulators)), (JobStatus::Canceled, Ok(5)));
}

#[test]
fn ac_03_mistakes_are_named() {
    let errors = Job::new("kinds").explain(|flow| {
        flow.counter("seen");
        flow.accumulator::<Histogram>("seen");
        flow.source("numbers", sequence(0..=5)).discard();
    });
    let Err(JobError::Build { errors, .. }) = errors else { panic!("{errors:?}") };
    assert!(
        matches!(&errors[..], [BuildError::AccumulatorKinds { name, kind: "long counter", asked: "histogram", .. }]
            if name == "seen"),
        "{errors:?}"
    );
    let summary = Job::new("names").run(|flow| flow.source("numbers", sequence(0..=5)).discard()).unwrap();
    let error = summary.accumulators.counter("seen").unwrap_err();
    assert!(matches!(error, AccumulatorError::NoSuchAccumulator { .. }), "{error}");
}

#[test]
fn ac_04_another_kind_than_in_the_checkpoint_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let job = || Job::new("kinds").state_dir(state.path()).restart(RestartStrategy::None);
    let count = |flow: &Flow| {
        let seen = flow.counter("seen");
        flow.source("numbers", sequence(0..=5)).inspect(move |_| seen.add(1)).discard();
    };
    job().run(count).unwrap();
    let error = job().run(|flow| {
        let seen = flow.accumulator::<Histogram>("seen");
        flow.source("numbers", sequence(0..=5)).inspect(move |n| seen.add(*n)).discard();
    });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("accumulator `seen` was a long counter"), "{error}");
    // Nothing depends on an accumulator that is gone.
    let gone = job().run(|flow| flow.source("numbers", sequence(0..=5)).discard()).unwrap();
    assert_eq!(gone.accumulators.names().count(), 0);
}

#[test]
fn ac_01_a_job_that_has_ended_cannot_be_asked() {
    let handle = Job::new("short").spawn(|flow| flow.source("numbers", sequence(0..=5)).discard()).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while handle.status() != JobStatus::Finished {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(handle.accumulators(), Err(NoAnswer::NotRunning { status: JobStatus::Finished })));
    handle.wait().unwrap();
}
