//! State of operators rather than keys, and functions that take part in checkpoints.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use millstream::element::Epoch;
use millstream::operator::{
    CheckpointedProcess, OperatorState, OperatorStates, ProcessContext, Redistribution,
};
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};
use millstream::testing::{Harness, Input, Single};
use proptest::prelude::*;

use crate::ways::{Paused, every_way};

/// Keeps what it is given, in both ways, and tells for a zero what it has.
struct Keeps {
    shard: u16,
    split: OperatorState<u64>,
    union: OperatorState<String>,
}

impl CheckpointedProcess<u64> for Keeps {
    type Out = (u16, Vec<u64>, usize);

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        self.shard = states.shard();
        self.split = states.list("split", Redistribution::Split);
        self.union = states.list("union", Redistribution::Union);
    }

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, Self::Out>) {
        // Every shard is given every number; each keeps its own.
        if *n == 0 {
            ctx.emit((self.shard, self.split.with(|all| all.clone()), self.union.len()));
        } else if *n % 2 == u64::from(self.shard) {
            self.split.add(*n);
            self.union.add(n.to_string());
        }
    }
}

fn keeps() -> Harness {
    Harness::of(Job::new("keeps").shards(2).oversubscribe(true), |flow| {
        let numbers: Input<u64> = flow.input("in");
        let kept = numbers.broadcast().views().process_checkpointed(Keeps {
            shard: 0,
            split: OperatorState::default(),
            union: OperatorState::default(),
        });
        flow.output("out", kept);
    })
    .unwrap()
}

fn told(harness: &mut Harness) -> Vec<(u16, Vec<u64>, usize)> {
    harness.push(0u64, 0);
    let mut told: Vec<_> = harness.outputs().into_iter().map(|(told, _)| told).collect();
    told.sort();
    told
}

#[test]
fn os_01_entries_are_dealt_out_or_given_to_all() {
    let mut keeps = keeps();
    (1u64..=4).for_each(|n| keeps.push(n, 0));
    assert_eq!(told(&mut keeps), [(0, vec![2, 4], 2), (1, vec![1, 3], 2)]);
    let snapshot = keeps.snapshot();
    keeps.restore(&snapshot, 4);
    assert_eq!(told(&mut keeps), [(0, vec![2], 4), (1, vec![4], 4), (2, vec![1], 4), (3, vec![3], 4)]);
    keeps.restore(&snapshot, 1);
    assert_eq!(told(&mut keeps), [(0, vec![2, 4, 1, 3], 4)]);
    // On as many shards each has its own again; what is united is so always.
    keeps.restore(&snapshot, 2);
    assert_eq!(told(&mut keeps), [(0, vec![2, 4], 4), (1, vec![1, 3], 4)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn os_01_no_entry_is_lost_or_doubled(
        numbers in prop::collection::vec(1u64..100, 0..20), shards in prop::collection::vec(1u16..5, 0..5),
    ) {
        let mut keeps = keeps();
        numbers.iter().for_each(|n| keeps.push(*n, 0));
        for shards in shards {
            let snapshot = keeps.snapshot();
            keeps.restore(&snapshot, shards);
        }
        let mut kept: Vec<u64> = told(&mut keeps).into_iter().flat_map(|(_, split, _)| split).collect();
        let mut expected = numbers.clone();
        kept.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(kept, expected);
    }
}

/// Gives records out by tens.
#[derive(Default)]
struct Buffers {
    buffered: OperatorState<u64>,
}

impl CheckpointedProcess<u64> for Buffers {
    type Out = Vec<u64>;

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        self.buffered = states.list("buffered", Redistribution::Split);
    }

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, Vec<u64>>) {
        self.buffered.add(*n);
        if self.buffered.len() == 10 {
            ctx.emit(self.buffered.take());
        }
    }
}

#[test]
fn os_02_a_buffer_survives_a_crash() {
    let mut sink: Single<u64, Vec<u64>> =
        Harness::single(|_, numbers: Input<u64>| numbers.process_checkpointed(Buffers::default()));
    (1..=13).for_each(|n| sink.push(n, 0));
    assert_eq!(sink.values(), [(1..=10).collect::<Vec<_>>()]);
    let snapshot = sink.snapshot();
    (14..=15).for_each(|n| sink.push(n, 0));
    sink.restore(&snapshot, 1);
    (14..=20).for_each(|n| sink.push(n, 0));
    assert_eq!(sink.values(), [(11..=20).collect::<Vec<_>>()]);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Checkpoint(u64),
    Committed(u64),
    Aborted(u64),
}

type Log = Arc<Mutex<Vec<Told>>>;

struct Listens(Log);

impl Listens {
    fn note(&self, told: Told) {
        self.0.lock().unwrap().push(told);
    }
}

impl CheckpointedProcess<u64> for Listens {
    type Out = u64;

    fn open(&mut self, _: &mut OperatorStates<'_>) {}

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, u64>) {
        ctx.emit(*n);
    }

    fn checkpoint(&mut self, epoch: Epoch) {
        self.note(Told::Checkpoint(epoch.0));
    }

    fn committed(&mut self, epoch: Epoch) {
        self.note(Told::Committed(epoch.0));
    }

    fn aborted(&mut self, epoch: Epoch) {
        self.note(Told::Aborted(epoch.0));
    }
}

/// A sink whose second cut cannot be made safe at first.
struct FailsOnce {
    failed: bool,
}

impl Sink<u64> for FailsOnce {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, _: &u64, _: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        if epoch == Epoch(2) && !std::mem::replace(&mut self.failed, true) {
            return Poll::Ready(Err(SinkError::retryable("the disk is full")));
        }
        Poll::Ready(Ok(None))
    }
}

#[test]
fn os_03_a_function_is_told_what_becomes_of_checkpoints() {
    let (state, log) = (tempfile::tempdir().unwrap(), Log::default());
    let listens = log.clone();
    let handle = Job::new("listens")
        .state_dir(state.path())
        .checkpoint_interval(Duration::from_millis(1))
        .tolerable_checkpoint_failures(u32::MAX)
        .spawn(move |flow| {
            flow.source("numbers", Paused::endless(vec![vec![(1u64, Timestamp(0))]]))
                .process_checkpointed(Listens(listens.clone()))
                .sink("out", FailsOnce { failed: false });
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while log.lock().unwrap().iter().filter(|told| matches!(told, Told::Committed(_))).count() < 2 {
        assert!(Instant::now() < end, "{} callbacks", log.lock().unwrap().len());
        std::thread::sleep(Duration::from_millis(1));
    }
    handle.cancel();
    handle.wait().unwrap();
    let log = log.lock().unwrap();
    // The number of the one that failed is not used again.
    assert_eq!(log[..2], [Told::Checkpoint(1), Told::Committed(1)]);
    assert_eq!(log[2..4], [Told::Checkpoint(2), Told::Aborted(2)]);
    assert_eq!(log[4..6], [Told::Checkpoint(3), Told::Committed(3)]);
}

/// Keeps a piece of memory as it is.
#[derive(Default)]
struct Raw {
    bytes: OperatorState<Vec<u8>>,
}

impl CheckpointedProcess<u64> for Raw {
    type Out = Vec<u8>;

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        self.bytes = states.list("bytes", Redistribution::Split);
    }

    fn process(&mut self, n: &u64, ctx: &mut ProcessContext<'_, Vec<u8>>) {
        if *n == 0 {
            self.bytes.take().into_iter().for_each(|bytes| ctx.emit(bytes));
        } else {
            self.bytes.add((0..1024u64).map(|at| (at * n) as u8).collect());
        }
    }
}

#[test]
fn os_06_bytes_come_back_as_they_were() {
    every_way(2, |flow, run| {
        flow.source("numbers", run.source([7u64, 0]))
            .global()
            .process_checkpointed(Raw::default())
            .sink("out", run.sink());
    })
    .are(&[(0..1024u64).map(|at| (at * 7) as u8).collect::<Vec<u8>>()]);
}

/// Declares another type than before.
struct Changed;

impl CheckpointedProcess<u64> for Changed {
    type Out = u64;

    fn open(&mut self, states: &mut OperatorStates<'_>) {
        let _: OperatorState<i32> = states.list("buffered", Redistribution::Split);
    }

    fn process(&mut self, _: &u64, _: &mut ProcessContext<'_, u64>) {}
}

/// Declares nothing.
struct Forgets;

impl CheckpointedProcess<u64> for Forgets {
    type Out = u64;

    fn open(&mut self, _: &mut OperatorStates<'_>) {}

    fn process(&mut self, _: &u64, _: &mut ProcessContext<'_, u64>) {}
}

fn run_on<F: CheckpointedProcess<u64>>(
    state: &tempfile::TempDir,
    function: impl Fn() -> F + Send + Sync + 'static,
) -> Result<Summary, JobError> {
    Job::new("changes").state_dir(state.path()).restart(RestartStrategy::None).run(move |flow| {
        flow.source("numbers", millstream::testing::script(1u64..=3))
            .process_checkpointed(function())
            .name("buffers")
            .discard();
    })
}

#[test]
fn os_01_another_type_and_a_state_that_is_gone_are_refused() {
    let state = tempfile::tempdir().unwrap();
    run_on(&state, Buffers::default).unwrap();
    let error = run_on(&state, || Changed).unwrap_err().to_string();
    assert!(error.contains("entries of state `buffered` of operator `buffers` have changed"), "{error}");
    let error = run_on(&state, || Forgets).unwrap_err().to_string();
    assert!(error.contains("holds a state `buffered` of operator `buffers`"), "{error}");
}
