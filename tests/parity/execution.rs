//! How jobs are built, run, watched and ended.

mod simulated;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use millstream::io::sequence;
use millstream::job::{Change, JobEvent, TaskState};
use millstream::operator::{CheckpointedProcess, OperatorStates, ProcessContext};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};

use crate::ways::{Once, Paused, every_way};

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor there is.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn ex_02_a_job_is_started_watched_and_awaited() {
    let handle = Job::new("ten").spawn(|flow| flow.source("numbers", sequence(1..=10)).discard()).unwrap();
    let id = handle.id();
    let summary = block_on(handle.result()).unwrap();
    assert_eq!((summary.id, summary.status), (id, JobStatus::Finished));
    assert_eq!((summary.metrics.records_in(), summary.metrics.records_out()), (10, 10));
    let statuses: Vec<_> = handle.events().into_iter().filter_map(status).collect();
    assert_eq!(
        statuses,
        [(JobStatus::Created, JobStatus::Running), (JobStatus::Running, JobStatus::Finished)]
    );
    assert_eq!(id.to_string().len(), 32);
    // The result is given once.
    assert!(handle.wait().unwrap_err().to_string().contains("somebody else already"));
}

fn status(event: JobEvent) -> Option<(JobStatus, JobStatus)> {
    match event.change {
        Change::Job { from, to } => Some((from, to)),
        Change::Task { .. } => None,
    }
}

#[test]
fn ex_02_each_run_has_an_id_of_its_own() {
    let run = || Job::new("ids").run(|flow| flow.source("numbers", sequence(0..=1)).discard()).unwrap().id;
    assert_ne!(run(), run());
}

#[test]
fn ex_02_stopping_makes_a_checkpoint_and_commits_up_to_it() {
    let state = tempfile::tempdir().unwrap();
    let out = crate::ways::Once::new();
    let job = || Job::new("stops").state_dir(state.path()).checkpoint_interval(Duration::from_secs(3600));
    let numbers: Vec<_> = (0u64..5).map(|n| (n, Timestamp(0))).collect();
    let (endless, sink) = (numbers.clone(), out.clone());
    let handle = job()
        .spawn(move |flow| {
            let numbers = Paused::endless(vec![endless.clone()]);
            flow.source("numbers", numbers).key_by(|n| n % 2).count().sink("out", sink.clone());
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while handle.metrics().records_out() < 5 {
        assert!(Instant::now() < end, "{:?}", handle.metrics());
        thread::sleep(Duration::from_millis(1));
    }
    handle.stop();
    let summary = handle.wait().unwrap();
    assert_eq!((summary.status, summary.metrics.checkpoints.completed), (JobStatus::Stopped, 1));
    assert_eq!(out.results(), [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]);
    // It goes on from there.
    let (six, sink) = (numbers.into_iter().chain([(5, Timestamp(0))]).collect::<Vec<_>>(), out.clone());
    job()
        .run(move |flow| {
            let numbers = Paused::of(vec![six.clone()]);
            flow.source("numbers", numbers).key_by(|n| n % 2).count().sink("out", sink.clone());
        })
        .unwrap();
    assert_eq!(out.results()[5..], [(1, 3)]);
}

#[test]
fn ex_04_the_plan_has_operators_chains_and_shards() {
    let plan = Job::new("seed 004").shards(2).explain(|flow| {
        flow.source("MySourceFunction", sequence(0..=5))
            .map(|n| (0u64, n))
            .name("MyFlatMapFunction")
            .key_by(|pair| pair.0)
            .sum(|pair| &mut pair.1)
            .name("MySumFunction")
            .map(|pair| pair.1)
            .sink("MyPrintFunction", millstream::io::Print::stdout());
    });
    let plan = plan.unwrap();
    assert_eq!(
        plan.to_string(),
        "job seed 004: 2 shards, a tick is 1 ms\n\
         mode: streaming, by default\n\
         exactly once end to end: no, because checkpoints are off (no state directory); sink `MyPrintFunction` makes output visible at once \
         and repeats it after a failure\n  \
         MySourceFunction -> MyPrintFunction: at least once\n\
         \noperators\n   \
         0  MySourceFunction   source, gives its records again after a failure\n   \
         1  MyFlatMapFunction\n   \
         2  MySumFunction      keeps state\n   \
         3  map-2\n   \
         4  MyPrintFunction    sink, shows its output at once\n\
         \nchains\n  \
         shards: 2, from Job::shards\n  \
         chain 0: MySourceFunction -> MyFlatMapFunction --HASH--> MySumFunction\n  \
         chain 1: MySumFunction -> map-2 -> MyPrintFunction\n    \
         MySumFunction: a key takes 25 bytes\n\
         \nshards\n  \
         shard 0: chains 0, 1\n  \
         shard 1: chains 0, 1\n  \
         2 rings of 1024 KiB between them\n\
         \nmemory\n  \
         state     as much as it needs; Job::memory_limit sets a limit\n  \
         rings     2.0 MiB from the start\n  \
         overflow  256.0 MiB at most, then the job fails\n"
    );
    for name in ["MySourceFunction", "MyFlatMapFunction", "HASH", "MySumFunction", "MyPrintFunction"] {
        assert!(plan.drawing().contains(&format!(">{name}</text>")), "{}", plan.drawing());
    }
}

/// The changes of one task, by the beginning of its chain's name.
fn of_task(events: &[JobEvent], name: &str) -> Vec<(u32, TaskState, TaskState)> {
    let of_task = |event: &JobEvent| match &event.change {
        Change::Task { chain, from, to, .. } if chain.starts_with(name) => Some((event.attempt, *from, *to)),
        _ => None,
    };
    events.iter().filter_map(of_task).collect()
}

#[test]
fn ex_11_every_change_is_an_event_with_its_cause() {
    let failures = Arc::new(AtomicU32::new(0));
    let handle = Job::new("seed 004")
        .restart(RestartStrategy::fixed_delay(3, Duration::from_millis(10)))
        .spawn(move |flow| {
            let failures = failures.clone();
            flow.source("MySourceFunction", sequence(0..=5))
                .try_map(move |n| match n == 3 && failures.fetch_add(1, Ordering::Relaxed) == 0 {
                    true => Err("ERROR"),
                    false => Ok((0u64, n)),
                })
                .name("MyFlatMapFunction")
                .key_by(|pair| pair.0)
                .sum(|pair| &mut pair.1)
                .name("MySumFunction")
                .map(|pair| pair.1)
                .sink("MyPrintFunction", millstream::io::Print::stdout());
        })
        .unwrap();
    block_on(handle.result()).unwrap();
    let events = handle.events();
    use TaskState::*;
    let (first, second) = (of_task(&events, "MySourceFunction"), of_task(&events, "MySumFunction"));
    let runs = |attempt| [(attempt, Created, Deploying), (attempt, Deploying, Running)];
    let ends = |of: &[_], attempt: u32, end: &[(TaskState, TaskState)]| {
        let end: Vec<_> = end.iter().map(|(from, to)| (attempt, *from, *to)).collect();
        assert_eq!(of, [&runs(attempt)[..], &end].concat());
    };
    // The failed chain fails, the other one is canceled; then both begin anew.
    ends(&first[..3], 1, &[(Running, Failed)]);
    ends(&second[..4], 1, &[(Running, Canceling), (Canceling, Canceled)]);
    ends(&first[3..], 2, &[(Running, Finished)]);
    ends(&second[4..], 2, &[(Running, Finished)]);
    let failed = events.iter().find(|event| matches!(event.change, Change::Task { to: Failed, .. })).unwrap();
    assert_eq!(
        failed.to_string(),
        "MySourceFunction -> MyFlatMapFunction (1/1), attempt 1, switched from RUNNING to FAILED: ERROR"
    );
    let statuses: Vec<_> = events.into_iter().filter_map(status).map(|(_, to)| to).collect();
    let (created, running) = (JobStatus::Created, JobStatus::Running);
    assert_eq!(statuses, [running, JobStatus::Restarting, created, running, JobStatus::Finished]);
}

#[derive(Record, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inner {
    name: String,
    ids: Vec<u32>,
}

#[derive(Record, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outer {
    inner: Inner,
    maybe: Option<i64>,
    pair: (u8, bool),
}

#[test]
fn ex_13_structs_cross_exchanges_and_checkpoints() {
    let outers: Vec<Outer> = (0..6u32)
        .map(|n| Outer {
            inner: Inner { name: "x".repeat(n as usize), ids: (0..n).collect() },
            maybe: (n % 2 == 0).then_some(i64::from(n)),
            pair: (n as u8, n > 3),
        })
        .collect();
    let records = outers.clone();
    every_way(6, move |flow, run| {
        flow.source("outers", run.source(records.clone())).rebalance().owned().sink("out", run.sink());
    })
    .are_in_any_order(&outers);
}

/// What functions say of their lives.
type Log = Arc<Mutex<Vec<(u16, &'static str)>>>;

/// Tells when it is opened, used, and dropped.
struct Lives {
    shard: u16,
    shards: u16,
    log: Log,
}

impl Lives {
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push((self.shard, what));
    }
}

impl CheckpointedProcess<i64> for Lives {
    type Out = i64;

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        (self.shard, self.shards) = (states.shard(), states.shards());
        self.note("open");
    }

    fn process(&mut self, n: &i64, ctx: &mut ProcessContext<'_, i64>) {
        self.note("process");
        ctx.emit(*n);
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        // One that was never opened only served to look at the graph.
        if self.shards > 0 {
            self.note("close");
        }
    }
}

#[test]
fn ex_14_functions_are_opened_once_per_shard_and_closed_at_the_end() {
    let log = Log::default();
    let lives = log.clone();
    Job::new("lives")
        .shards(3)
        .oversubscribe(true)
        .run(move |flow| {
            let function = Lives { shard: 0, shards: 0, log: lives.clone() };
            flow.source("numbers", sequence(0..=8)).rebalance().process_checkpointed(function).discard();
        })
        .unwrap();
    let log = log.lock().unwrap();
    for shard in 0..3 {
        let of_shard: Vec<_> = log.iter().filter(|(of, _)| *of == shard).map(|(_, what)| *what).collect();
        assert_eq!(of_shard, ["open", "process", "process", "process", "close"], "shard {shard}");
    }
}

fn doubled(n: i64) -> i64 {
    n * 2
}

struct Doubles;

impl millstream::operator::Process<i64> for Doubles {
    type Out = i64;

    fn process(&mut self, n: &i64, ctx: &mut ProcessContext<'_, i64>) {
        ctx.emit(doubled(*n));
    }
}

#[test]
fn ex_15_closures_functions_and_types_are_all_functions() {
    let expected: Vec<i64> = (0..5).map(doubled).collect();
    every_way(5, |flow, run| {
        flow.source("numbers", run.source(0i64..5)).map(|n| n * 2).sink("out", run.sink());
    })
    .are(&expected);
    every_way(5, |flow, run| {
        flow.source("numbers", run.source(0i64..5)).map(doubled).sink("out", run.sink());
    })
    .are(&expected);
    every_way(5, |flow, run| {
        flow.source("numbers", run.source(0i64..5)).process(Doubles).sink("out", run.sink());
    })
    .are(&expected);
}

/// A sink that cannot be opened.
struct Broken;

impl Sink<i64> for Broken {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Err(SinkError::fatal("no such place"))
    }

    fn write(&mut self, _: &i64, _: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn ex_11_a_task_that_cannot_be_opened_fails_while_it_is_deployed() {
    let handle = Job::new("broken")
        .spawn(|flow| flow.source("numbers", sequence(0..=1)).sink("broken", Broken))
        .unwrap();
    assert!(block_on(handle.result()).is_err());
    let events = handle.events();
    let changes = of_task(&events, "numbers");
    use TaskState::*;
    assert_eq!(changes, [(1, Created, Deploying), (1, Deploying, Failed)]);
    let failed =
        events.iter().find(|event| matches!(event.change, Change::Job { to: JobStatus::Failed, .. }));
    assert!(failed.unwrap().cause.as_ref().unwrap().contains("no such place"));
}

/// The program of the next test, whatever runs it.
fn counts_of_words(flow: &Flow, out: &Once<(String, u64)>) {
    let words = ["to", "be", "or", "not", "to", "be"].map(str::to_owned);
    flow.source("words", millstream::testing::script(words))
        .key_by(|word| word.clone())
        .count()
        .sink("counts", out.clone());
}

#[test]
fn ex_03_one_program_runs_wherever_it_is_put() {
    use millstream::testing::sim::{SimEnd, Simulation};
    use millstream::testing::sim_disk::{SimDisk, SimFaults};

    let run = |start: &dyn Fn(Once<(String, u64)>)| {
        let out = Once::new();
        start(out.clone());
        out.results()
    };
    // Inside of a program, with its thread or beside it, on either driver; and in a simulation.
    let on_driver = |driver| {
        move |out| _ = Job::new("words").driver(driver).run(move |flow| counts_of_words(flow, &out)).unwrap()
    };
    let beside = |out| {
        let handle = Job::new("words").spawn(move |flow| counts_of_words(flow, &out)).unwrap();
        handle.wait().unwrap();
    };
    let simulated = |out| {
        let disk = SimDisk::new(1, SimFaults::default());
        let mut simulation =
            Simulation::new(1, Job::new("words"), &disk, move |flow| counts_of_words(flow, &out)).unwrap();
        assert!(matches!(simulation.run(1_000_000), Some(SimEnd::Finished)));
    };
    let expected = [("to", 1), ("be", 1), ("or", 1), ("not", 1), ("to", 2), ("be", 2)];
    let expected = expected.map(|(word, count)| (word.to_owned(), count));
    assert_eq!(run(&on_driver(DriverKind::Auto)), expected);
    assert_eq!(run(&on_driver(DriverKind::Thread)), expected);
    assert_eq!(run(&beside), expected);
    assert_eq!(run(&simulated), expected);
}
