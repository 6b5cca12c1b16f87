//! What a job promises from its sources to its sinks, and the levels at which a sink shows its output.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::graph::{Guarantee, Path};
use millstream::io::{FileSink, JournalOptions, Print, TcpLines, TextFiles};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, Durable, SinkContext, SinkError};
use millstream::testing::sim::{SimEnd, Simulation};
use millstream::testing::sim_disk::{SimDisk, SimFaults};
use millstream::testing::{Cue, Script, script};

fn paths(job: &Job, program: impl Fn(&Flow)) -> Vec<Path> {
    job.explain(program).unwrap().paths().to_vec()
}

#[test]
fn eo_01_the_guarantee_is_the_least_on_the_path() {
    let with_state = Job::new("guarantees").state_dir("/state");
    let without = Job::new("guarantees");
    let socket =
        |flow: &Flow| flow.source("socket", TcpLines::new("localhost:1")).sink("print", Print::stdout());
    let journaled = |flow: &Flow| {
        let lines = TcpLines::new("localhost:1").journal(JournalOptions::new());
        flow.source("socket", lines).sink("print", Print::stdout());
    };
    let to_files =
        |flow: &Flow| flow.source("numbers", script([1u64])).sink("files", FileSink::lines("/out"));
    let guarantee = |paths: Vec<Path>| {
        assert_eq!(paths.len(), 1);
        (paths[0].guarantee, paths[0].because.len())
    };
    assert_eq!(guarantee(paths(&with_state, socket)), (Guarantee::AtMostOnce, 2));
    assert_eq!(guarantee(paths(&with_state, journaled)), (Guarantee::AtLeastOnce, 1));
    assert_eq!(guarantee(paths(&without, to_files)), (Guarantee::AtLeastOnce, 1));
    assert_eq!(guarantee(paths(&with_state, to_files)), (Guarantee::ExactlyOnce, 0));
    let at_least_once = with_state.clone().checkpoint_mode(CheckpointMode::AtLeastOnce);
    assert_eq!(guarantee(paths(&at_least_once, to_files)), (Guarantee::AtLeastOnce, 1));
    let said = paths(&with_state, socket).remove(0).to_string();
    assert!(said.starts_with("`socket` to `print`: at most once, because source `socket`: "), "{said}");
}

#[test]
fn eo_01_each_path_has_its_own() {
    let job = Job::new("guarantees").state_dir("/state");
    let paths = paths(&job, |flow| {
        let (files, printed) = flow.source("text", TextFiles::new(["README.md"])).fork();
        let socket = flow.source("socket", TcpLines::new("localhost:1"));
        files.sink("files", FileSink::lines("/out"));
        printed.owned().union(socket).sink("print", Print::stdout());
    });
    let said: Vec<_> = paths.iter().map(|of| (of.source.as_str(), of.sink.as_str(), of.guarantee)).collect();
    assert_eq!(
        said,
        [
            ("text", "files", Guarantee::ExactlyOnce),
            ("text", "print", Guarantee::AtLeastOnce),
            ("socket", "print", Guarantee::AtMostOnce),
        ]
    );
}

#[test]
fn eo_07_offsets_are_in_checkpoints_and_nobody_commits_them() {
    let job = Job::new("offsets").state_dir("/state");
    let plan = job.explain(|flow| {
        flow.source("text", TextFiles::new(["README.md"])).sink("files", FileSink::lines("/out"));
    });
    let plan = plan.unwrap();
    let of_source = plan.lines().filter(|line| line.contains("offset")).collect::<Vec<_>>();
    assert!(of_source.iter().any(|line| line.contains("text")), "{plan}");
    assert_eq!(plan.paths()[0].guarantee, Guarantee::ExactlyOnce);
}

/// A plain sink: what it shows is seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, u64)>>>);

impl Sink<(u64, u64)> for Seen {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, record: &(u64, u64), _: Timestamp) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(*record);
        Ok(())
    }
}

/// What is seen of a job that handles a number every 10 ms, makes a checkpoint every 100 ms, and fails after 550 ms: each number with the attempt that
/// showed it.
fn seen(durable: bool) -> Vec<(u64, u64)> {
    let numbers = (0..100u64).flat_map(|n| {
        let fails = (n == 55).then(Cue::abort);
        fails.into_iter().chain([Cue::record(n), Cue::wait(Duration::from_millis(10))])
    });
    let (numbers, attempts, seen) = (Script::of(numbers), Arc::new(AtomicU64::new(0)), Seen::default());
    let sink = seen.clone();
    let job = Job::new("levels")
        .state_dir("/state")
        .checkpoint_interval(Duration::from_millis(100))
        .restart(RestartStrategy::fixed_delay(1, Duration::ZERO));
    let simulation = Simulation::new(4, job, &SimDisk::new(4, SimFaults::default()), move |flow| {
        // The program is built to be checked, and then once per attempt.
        let attempt = attempts.fetch_add(1, Ordering::Relaxed);
        let shown = flow.source("numbers", numbers.clone()).map(move |n| (n, attempt));
        match durable {
            true => shown.sink("seen", Durable::of(sink.clone())),
            false => shown.sink("seen", sink.clone()),
        }
    });
    let mut simulation = simulation.unwrap();
    let end = simulation.run(10_000_000);
    assert!(matches!(end, Some(SimEnd::Finished)), "{end:?}\n{}", simulation.describe());
    assert_eq!(simulation.metrics().restarts, 1);
    seen.0.lock().unwrap().clone()
}

/// Numbers that were seen with results of two attempts: the first of them was undone after it had been seen.
fn undone(seen: &[(u64, u64)]) -> Vec<u64> {
    let of = |n: u64| seen.iter().filter(move |of| of.0 == n).map(|of| of.1).collect::<BTreeSet<_>>();
    (0..100).filter(|n| of(*n).len() > 1).collect()
}

#[test]
fn eo_04_what_is_durable_is_never_undone() {
    let speculative = seen(false);
    assert_eq!(undone(&speculative), [50, 51, 52, 53, 54], "since the last checkpoint before the failure");
    let durable = seen(true);
    assert_eq!(undone(&durable), [0; 0]);
    // In order, and those of the checkpoint that the job went on from once more.
    let numbers: Vec<u64> = durable.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (0..50).chain(40..100).collect::<Vec<_>>());
}
