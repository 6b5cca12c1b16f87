//! Runs of real jobs: on threads, with files, by the clock on the wall.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::paused::Pauses;
use super::scratch::ScratchDir;
use super::{Once, Ran, Run, job};
use crate::graph::Flow;
use crate::job::{Job, JobHandle, Summary};

/// How long a job may take to come to its pause, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a job is run.
#[derive(Clone, Copy, Debug)]
struct Way {
    shards: u16,
    /// The number of shards that it goes on with after it was stopped in the middle.
    restored: Option<u16>,
}

const WAYS: [Way; 6] = [
    Way { shards: 1, restored: None },
    Way { shards: 2, restored: None },
    Way { shards: 1, restored: Some(1) },
    Way { shards: 2, restored: Some(2) },
    Way { shards: 1, restored: Some(3) },
    Way { shards: 2, restored: Some(1) },
];

/// All runs on threads; the first one is straight through.
pub(super) fn all<O, P>(records: usize, program: &P) -> Vec<Ran<O>>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let mut runs = vec![straight(program)];
    runs.extend(WAYS.into_iter().map(|way| run(way, records / 2, program)));
    runs
}

/// With neither checkpoints nor a second shard.
fn straight<O, P>(program: &P) -> Ran<O>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let sink = Once::new();
    let (running, _) = start(job(1), usize::MAX, &sink, program);
    finish("straight".to_owned(), 1, running, &sink)
}

/// Lets the job end, and looks at what came of it.
fn finish<O: Clone>(way: String, shards: u16, running: JobHandle, sink: &Once<O>) -> Ran<O> {
    match running.wait() {
        Ok(Summary { metrics, accumulators, .. }) => {
            Ran { way, shards, results: sink.results(), late: metrics.late_records(), accumulators }
        }
        Err(error) => panic!("{way}: {error}"),
    }
}

fn run<O, P>(way: Way, half: usize, program: &P) -> Ran<O>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let state = ScratchDir::new();
    let sink = Once::new();
    let mut shards = way.shards;
    if let Some(then) = way.restored {
        stop_at(half, checkpointed(shards, state.path()), &sink, program);
        shards = then;
    }
    let (running, _) = start(checkpointed(shards, state.path()), usize::MAX, &sink, program);
    finish(format!("{way:?}"), shards.max(way.shards), running, &sink)
}

fn checkpointed(shards: u16, state: &Path) -> Job {
    job(shards).state_dir(state).checkpoint_interval(Duration::from_millis(1))
}

fn start<O, P>(job: Job, pause_after: usize, sink: &Once<O>, program: &P) -> (JobHandle, Arc<Pauses>)
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let pauses = Arc::new(Pauses::after(pause_after));
    let (program, sink, readers) = (program.clone(), sink.clone(), pauses.clone());
    let running = job.spawn(move |flow| {
        program(flow, &Run { pauses: readers.clone(), sink: sink.clone() });
    });
    match running {
        Ok(running) => (running, pauses),
        Err(error) => panic!("{error}"),
    }
}

/// Runs a job up to its pause, until a checkpoint holds that, and stops it.
fn stop_at<O, P>(records: usize, job: Job, sink: &Once<O>, program: &P)
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let (running, pauses) = start(job, records, sink, program);
    let end = Instant::now() + PATIENCE;
    let completed = || running.metrics().checkpoints.completed;
    let wait_until = |reached: &dyn Fn() -> bool| {
        while !reached() {
            assert!(Instant::now() < end, "it does not come to its pause: {:?}", running.metrics());
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // No checkpoint is made before all readers are open.
    wait_until(&|| completed() > 0 && pauses.all_reached());
    let before = completed();
    // The second from now began after the pause.
    wait_until(&|| completed() >= before + 2);
    running.cancel();
    if let Err(error) = running.wait() {
        panic!("stopped after {records} records: {error}");
    }
}
