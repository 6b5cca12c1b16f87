//! A chain as its shard sees it: types erased, one virtual call per step.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use super::OpId;
use super::failure::Failure;
use super::keyed::{LateReport, SeenKeys};
use super::suspects::{Blamed, Suspects};
use crate::arena::{Arena, ArenaConfig, MemoryBudget};
use crate::channel::Inlet;
use crate::disk::{DiskDone, ShardDisk};
use crate::element::{Epoch, Nanos, ShardId, Timestamp};
use crate::graph::{Plan, Port, ShardRange};
use crate::key::HashSeed;
use crate::params::Params;
use crate::runtime::Waker;
use crate::runtime::metrics::Gauges;
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::ShardSnapshot;
use crate::runtime::spill_dir::SpillDir;
use crate::runtime::stages::Stages;
use crate::savepoint::StateTypes;
use crate::sink::{Committable, SinkError};
use crate::time::{ClockReport, JobTime, ProcessingTime, Signal};

/// What a chain is given when its shard starts.
#[derive(Clone)]
pub struct OpenContext {
    pub(crate) shard: ShardId,
    /// The shards that the chain runs on; this is one of them.
    pub(crate) on: ShardRange,
    pub(crate) plan: Arc<Plan>,
    pub(crate) job: String,
    pub(crate) state_dir: Option<std::path::PathBuf>,
    pub(crate) seed: HashSeed,
    pub(crate) budget: MemoryBudget,
    /// Where state lies that memory has no room for.
    pub(crate) spill: Option<Arc<SpillDir>>,
    pub(crate) waker: Waker,
    pub(crate) restored: Option<Arc<Restored>>,
    pub(crate) time: Arc<JobTime>,
    pub(crate) processing: ProcessingTime,
    pub(crate) params: Params,
    /// Nothing goes round in the job's loops any more.
    pub(crate) loops_over: Arc<AtomicBool>,
    /// In batch mode: the stages of the job.
    pub(crate) stages: Option<Arc<Stages>>,
    /// Where operators say what they keep.
    pub(crate) types: Arc<StateTypes>,
    /// Whether the sources are to end, whatever there is still to be read.
    pub(crate) draining: Arc<AtomicBool>,
    /// Records that have made the job fail.
    pub(crate) suspects: Arc<Suspects>,
}

impl OpenContext {
    /// The name of an operator.
    pub(crate) fn name(&self, op: OpId) -> &str {
        self.plan.name(op)
    }

    /// The number of this instance of the chain, and how many there are.
    pub(crate) fn instance(&self) -> (ShardId, u16) {
        (ShardId(self.on.number_of(self.shard)), self.on.count)
    }

    /// How an arena for the state of an operator is set up.
    pub(crate) fn arena_config(&self, operator: &str) -> ArenaConfig {
        let spill = self.spill.as_ref().map(|dir| dir.place());
        ArenaConfig { budget: self.budget.clone(), spill, ..ArenaConfig::new(operator) }
    }

    /// Whether nobody needs what a chain that begins with this operator gives out: an earlier attempt has kept it.
    pub(crate) fn skips(&self, head: OpId) -> bool {
        self.stages.as_ref().is_some_and(|stages| stages.skips(head))
    }

    /// The epoch the job goes on from; 0 for a fresh start.
    pub(crate) fn restored_epoch(&self) -> Epoch {
        self.restored.as_ref().map_or(Epoch(0), |restored| restored.epoch)
    }
}

/// What a chain is told in each step.
#[derive(Clone, Copy)]
pub struct StepContext {
    /// What the job's clock reads: never goes back.
    pub(crate) now: Nanos,
    /// Whether there is room for what the chain gives out beside its main output.
    pub(crate) room: bool,
    /// What dates its readings are.
    pub(crate) processing: ProcessingTime,
}

impl StepContext {
    /// Processing time as operators see it: ticks of the job since the Unix epoch.
    #[inline]
    pub fn processing_time(&self) -> Timestamp {
        self.processing.at(self.now)
    }

    /// When processing time will have come to `at`: for [`Progress::wake_at`].
    pub(crate) fn when(&self, at: Timestamp) -> Nanos {
        self.processing.when(at)
    }
}

/// What a chain did in a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// It handled records or control frames.
    pub(crate) worked: bool,
    /// It had input but no room downstream.
    pub(crate) blocked: bool,
    /// It had input, but its operator has taken as many records as it takes; it will be woken when that is over.
    pub(crate) full: bool,
    /// When it wants to be called again although nothing arrives.
    pub(crate) until: Option<Nanos>,
    /// It met an input whose producer has switched to this epoch: the shard has to switch before it reads on.
    pub(crate) switch: Option<Epoch>,
}

impl Progress {
    pub(crate) fn wake_at(&mut self, at: Option<Nanos>) {
        self.until = match (self.until, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    pub(crate) fn merge(&mut self, other: Progress) {
        self.worked |= other.worked;
        self.blocked |= other.blocked;
        self.full |= other.full;
        self.wake_at(other.until);
        self.switch = self.switch.max(other.switch);
    }
}

/// What a chain has passed on of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub(crate) watermark: Timestamp,
    pub(crate) idle: bool,
    /// How often it has become idle.
    pub(crate) pauses: u32,
    pub(crate) ended: bool,
}

impl Said {
    /// Nothing yet.
    pub(crate) const NOTHING: Said = Said { watermark: Timestamp::MIN, idle: false, pauses: 0, ended: false };

    /// Passes a signal on to a chain's last part, and remembers it.
    pub(crate) fn say(&mut self, signal: Signal, tail: &mut dyn Tail) -> Result<(), Box<Failure>> {
        match signal {
            Signal::Advance(at) => {
                self.watermark = at;
                self.idle = false;
                tail.watermark(at)
            }
            Signal::Active => {
                self.idle = false;
                tail.watermark(self.watermark)
            }
            Signal::Idle => {
                self.idle = true;
                self.pauses += 1;
                tail.idle()
            }
            Signal::End => {
                self.ended = true;
                tail.end()
            }
        }
    }
}

/// A whole chain on one shard.
pub trait Segment {
    /// The operator at its head.
    fn head(&self) -> OpId;

    /// Called once, before the first step: opens readers, restores state.
    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>>;

    /// Opens what is at its head, without reader, sink or input, so that it says what it keeps. It is not used for anything else.
    fn declare(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        let _ = context;
        Ok(())
    }

    /// Does a bounded amount of work.
    fn step(&mut self, context: &StepContext) -> Result<Progress, Box<Failure>>;

    /// Whether input waits that came since the last step.
    fn has_input(&self) -> bool;

    /// Whether everything has been said: all inputs ended, and the end was passed on.
    fn ended(&self) -> bool;

    /// The chain switches to `epoch`: turn epochs, mark what is in flight, note what must be remembered.
    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>>;

    /// The name that records in flight towards this chain are saved under; none for a source.
    fn input_name(&self) -> Option<&str>;

    /// The lanes it reads from: input by input, in the order of their producers; none for a source.
    fn inlets(&mut self) -> &mut [Inlet];

    /// Which input a lane belongs to, and which shard writes it.
    fn lane(&self, inlet: usize) -> (Port, ShardId);

    /// What was passed on of event time.
    fn said(&self) -> Said;

    /// No more input at hand: let go of what was gathered.
    fn flush(&mut self) -> Result<(), Box<Failure>> {
        self.tail().flush()
    }

    /// Whether it has given out anything that is not on its way yet, for lack of room.
    fn holds_back(&mut self) -> bool {
        self.tail().holds_back()
    }

    /// The pages of its state, where it has any.
    fn arena(&mut self) -> Option<&mut Arena>;

    /// The chain's last part.
    fn tail(&mut self) -> &mut dyn Tail;

    /// Goes on with what it keeps on disk, in batch mode. Returns whether there was anything to do.
    fn use_disk(&mut self, disk: &mut dyn ShardDisk) -> Result<bool, Box<Failure>>;

    /// The disk has answered. Gives the answer back where this chain has not asked.
    fn on_disk(&mut self, done: DiskDone) -> Option<DiskDone>;

    /// The checkpoint of `epoch` is the oldest one retained: journals before it are needed no more.
    fn trim(&mut self, epoch: Epoch) -> Result<(), Box<Failure>>;

    /// Whether it will give out no record without being given any: a source has ended, and nothing is under way in an operator.
    fn is_quiet(&self) -> bool;

    /// The checkpoint of an epoch is durable.
    fn committed(&mut self, epoch: Epoch);

    /// The checkpoint of an epoch was given up.
    fn aborted(&mut self, epoch: Epoch);

    /// The record with this number in the batch at hand made the chain fail: says which it is and where it came from, and marks it there.
    fn blame_record(&mut self, index: usize) -> Blamed;

    /// The key of a record of the batch at hand, where the operator at the head works by keys.
    fn key_of_record(&mut self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// Where the event time of its head stands, and why; none where it does not run on this shard.
    fn clock_report(&self, now: Nanos) -> Option<ClockReport>;

    /// The most frequent keys of the operator at the head, where it works by keys.
    fn seen_keys(&self, now: Nanos) -> Option<SeenKeys> {
        let _ = now;
        None
    }

    /// What a state of the operator at the head holds.
    fn read_state(&mut self, read: &StateRead) -> Read {
        let _ = read;
        Read::NoSuchState(Vec::new())
    }

    /// The late ledger of the operator at the head, where it keeps one.
    fn late_records(&self) -> Option<LateReport> {
        None
    }

    /// Adds the chain's figures.
    fn gauge(&mut self, gauges: &mut Gauges);
}

/// The last part of a chain: an exchange or a sink. What is asked of a sink alone, the two steps of a commit and the close, has
/// an answer for all others here.
pub trait Tail {
    /// The operator that it is.
    fn op(&self) -> OpId;

    /// The name of the sink, or of the operator at the other end of the exchange.
    fn name(&self) -> &str;

    /// Called once, before the first record.
    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>>;

    /// Whether a full batch can be taken. Where it cannot, the shard pulls no input for the chain.
    fn ready(&mut self) -> bool;

    /// No more input at hand: let go of what was gathered.
    fn flush(&mut self) -> Result<(), Box<Failure>>;

    /// Event time has advanced.
    fn watermark(&mut self, at: Timestamp) -> Result<(), Box<Failure>>;

    /// The chain's inputs are all idle: it is not to be waited for.
    fn idle(&mut self) -> Result<(), Box<Failure>>;

    /// There will be nothing more.
    fn end(&mut self) -> Result<(), Box<Failure>>;

    /// Whether it holds anything that is not on its way yet, for lack of room.
    fn holds_back(&self) -> bool {
        false
    }

    /// The chain switches to `epoch`.
    fn switch(&mut self, epoch: Epoch, snapshot: &mut ShardSnapshot) -> Result<(), Box<Failure>>;

    /// Whether all cuts that were begun are safe, and what is needed to commit those that are not committed yet: the running
    /// checkpoint's, and those of checkpoints that failed before it.
    fn poll_prepared(&mut self) -> Poll<Result<Vec<Committable>, SinkError>> {
        Poll::Ready(Ok(Vec::new()))
    }

    /// The checkpoint of `epoch` is durable.
    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let _ = epoch;
        Ok(())
    }

    /// Whether the commit of `epoch` has been carried out.
    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        let _ = epoch;
        Poll::Ready(Ok(()))
    }

    /// All is done.
    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Adds its figures.
    fn gauge(&mut self, gauges: &mut Gauges);
}
