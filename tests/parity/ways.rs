//! One golden result, many runs: straight through; with a checkpoint every millisecond; stopped in the middle and gone on with, on as
//! many shards, more, or fewer. A result may depend on nothing of that.

mod once;
mod paused;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::prelude::*;

pub use once::Once;
pub use paused::{Paused, Pauses};

/// How long a job may take to come to its pause, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program is given for one run: its sources and its sink.
pub struct Run<O> {
    /// How many records each partition gives before the pause, where there is one.
    pause_after: Option<usize>,
    pauses: Arc<Pauses>,
    sink: Once<O>,
}

impl<O: Clone + Send + Sync + 'static> Run<O> {
    /// A run without a pause.
    pub fn straight(sink: Once<O>) -> Self {
        Run { pause_after: None, pauses: Arc::default(), sink }
    }

    /// A source of one partition. It gives one record at a time, so that a watermark follows each.
    pub fn source<T: Record + Clone>(&self, records: impl IntoIterator<Item = T>) -> Paused<T> {
        self.timed(vec![records.into_iter().map(|record| (record, Timestamp::MIN)).collect()])
    }

    /// A source with these partitions, whose records have event times.
    pub fn timed<T: Record + Clone>(&self, partitions: Vec<Vec<(T, Timestamp)>>) -> Paused<T> {
        Paused::new(partitions, self.pause_after, self.pauses.clone())
    }

    /// Where the results go, each once.
    pub fn sink(&self) -> Once<O> {
        self.sink.clone()
    }
}

/// How a job is run.
#[derive(Clone, Copy, Debug)]
struct Way {
    shards: u16,
    /// After how many records of each partition it is stopped, and how many shards it goes on with.
    restored: Option<(usize, u16)>,
}

/// What came of one run.
struct Ran<O> {
    way: String,
    /// The most shards that it had.
    shards: u16,
    results: Vec<O>,
    late: u64,
}

/// The results of a program, which must be the same each way.
pub struct Results<O> {
    runs: Vec<Ran<O>>,
}

/// Runs a program every way. `records` is how many its longest partition has.
pub fn every_way<O, P>(records: usize, program: P) -> Results<O>
where
    O: Clone + Send + Sync + Debug + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let mut ways = vec![Way { shards: 1, restored: None }, Way { shards: 2, restored: None }];
    let mut pauses = vec![0, 1, records / 2, records.saturating_sub(1), records];
    pauses.dedup();
    ways.extend(pauses.iter().map(|pause| Way { shards: 1, restored: Some((*pause, 1)) }));
    ways.push(Way { shards: 2, restored: Some((records / 2, 2)) });
    ways.push(Way { shards: 1, restored: Some((records / 2, 3)) });
    ways.push(Way { shards: 2, restored: Some((records / 2, 1)) });
    let mut runs = vec![straight(&program)];
    runs.extend(ways.into_iter().map(|way| run(way, &program)));
    Results { runs }
}

fn job(shards: u16) -> Job {
    Job::new("parity").shards(shards).oversubscribe(true).restart(RestartStrategy::None)
}

/// With neither checkpoints nor a second shard.
fn straight<O, P>(program: &P) -> Ran<O>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let sink = Once::new();
    let (summary, _) = start(job(1), None, &sink, program);
    let summary = summary.wait().unwrap();
    Ran {
        way: "straight".to_owned(),
        shards: 1,
        results: sink.results(),
        late: summary.metrics.late_records(),
    }
}

fn run<O, P>(way: Way, program: &P) -> Ran<O>
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let state = tempfile::tempdir().unwrap();
    let sink = Once::new();
    let mut shards = way.shards;
    if let Some((records, then)) = way.restored {
        stop_at(records, checkpointed(shards, state.path()), &sink, program);
        shards = then;
    }
    let (running, _) = start(checkpointed(shards, state.path()), None, &sink, program);
    let summary = running.wait().unwrap();
    let late = summary.metrics.late_records();
    Ran { way: format!("{way:?}"), shards: shards.max(way.shards), results: sink.results(), late }
}

fn checkpointed(shards: u16, state: &Path) -> Job {
    job(shards).state_dir(state).checkpoint_interval(Duration::from_millis(1))
}

fn start<O, P>(job: Job, pause_after: Option<usize>, sink: &Once<O>, program: &P) -> (JobHandle, Arc<Pauses>)
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let pauses = Arc::new(Pauses::default());
    let (program, sink, readers) = (program.clone(), sink.clone(), pauses.clone());
    let running = job.spawn(move |flow| {
        program(flow, &Run { pause_after, pauses: readers.clone(), sink: sink.clone() });
    });
    (running.unwrap(), pauses)
}

/// Runs a job up to its pause, until a checkpoint holds that, and stops it.
fn stop_at<O, P>(records: usize, job: Job, sink: &Once<O>, program: &P)
where
    O: Clone + Send + Sync + 'static,
    P: Fn(&Flow, &Run<O>) + Clone + Send + Sync + 'static,
{
    let (running, pauses) = start(job, Some(records), sink, program);
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
    running.wait().unwrap();
}

impl<O: Clone + Ord + Debug> Results<O> {
    /// On one shard the results come in this order; on several, all of them come.
    #[track_caller]
    pub fn are(&self, expected: &[O]) -> &Self {
        for run in self.runs.iter().filter(|run| run.shards == 1) {
            assert_eq!(run.results, expected, "{}", run.way);
        }
        self.are_in_any_order(expected)
    }

    /// Only the runs on one shard. On several, a record can overtake the watermark that would make it late, since that is the least of
    /// what all shards say.
    pub fn on_one_shard(self) -> Self {
        Results { runs: self.runs.into_iter().filter(|run| run.shards == 1).collect() }
    }

    /// All of these come, in any order.
    #[track_caller]
    pub fn are_in_any_order(&self, expected: &[O]) -> &Self {
        let sorted = |results: &[O]| {
            let mut sorted = results.to_vec();
            sorted.sort();
            sorted
        };
        for run in &self.runs {
            assert_eq!(sorted(&run.results), sorted(expected), "{}", run.way);
        }
        self
    }

    /// So many records came too late.
    #[track_caller]
    pub fn late(&self, expected: u64) -> &Self {
        for run in &self.runs {
            assert_eq!(run.late, expected, "late records: {}", run.way);
        }
        self
    }
}
