//! The words between a job's control thread and its shards: a few atomics one way, events the other way. Nothing of it travels
//! with the data, so nothing of it waits behind data.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Waker;
use super::coordinator::CheckpointFailure;
use super::metrics::ShardCounters;
use super::reads::{Reads, StateRead};
use crate::accumulator::Totals;
use crate::checkpoint::{CheckpointMode, DeltaSummary, PageId};
use crate::element::{Epoch, ShardId};
use crate::operator::keyed::{LateReport, SeenKeys};
use crate::operator::{Failure, OpId};
use crate::time::ClockReport;

/// What the control thread wants of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Go on.
    Run,
    /// Everything is committed: close the sinks and stop.
    Finish,
    /// An operator failed: let what is under way reach the sinks, and stop; nothing is saved.
    RunOut,
    /// Stop at once; nothing is saved.
    Stop,
}

/// What all shards of an attempt share with the control thread.
pub(crate) struct Control {
    published: AtomicU64,
    /// How the published checkpoint is taken: the word of a [`CheckpointMode`].
    mode: AtomicU64,
    /// A bit for each shard that does not see the newest publication yet. Only a simulation sets any: it lets a shard be in the middle of a
    /// step while another one has switched already.
    hidden: AtomicU64,
    committed: AtomicU64,
    aborted: AtomicU64,
    oldest: AtomicU64,
    /// The number of the newest question how things stand.
    question: AtomicU64,
    phase: AtomicU8,
    /// Nothing goes round in the job's loops any more. The operators at their heads look at it.
    pub(crate) loops_over: Arc<AtomicBool>,
    /// Whether the sources are to end, whatever there is still to be read. They look at it.
    pub(crate) draining: Arc<AtomicBool>,
    /// Per shard: pages that lie in nearly empty files, to be saved again with the next checkpoint.
    sparse: Vec<Mutex<Vec<PageId>>>,
    /// Per shard: questions for state that it has not answered.
    reads: Vec<Reads>,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) counters: Vec<ShardCounters>,
}

impl Control {
    /// For shards that go on from the given epoch.
    pub(crate) fn new(shards: u16, from: Epoch) -> Arc<Control> {
        Arc::new(Control {
            published: AtomicU64::new(from.0),
            mode: AtomicU64::new(CheckpointMode::default().to_word()),
            hidden: AtomicU64::new(0),
            committed: AtomicU64::new(from.0),
            aborted: AtomicU64::new(from.0),
            oldest: AtomicU64::new(0),
            question: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Run as u8),
            loops_over: Arc::new(AtomicBool::new(false)),
            draining: Arc::new(AtomicBool::new(false)),
            sparse: (0..shards).map(|_| Mutex::default()).collect(),
            reads: (0..shards).map(|_| Reads::default()).collect(),
            wakers: (0..shards).map(|_| Waker::new()).collect(),
            counters: (0..shards).map(|_| ShardCounters::default()).collect(),
        })
    }

    fn say(&self, word: &AtomicU64, epoch: Epoch) {
        word.store(epoch.0, Ordering::Release);
        self.wake_all();
    }

    fn wake_all(&self) {
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// Asks all shards to switch to an epoch, in this manner.
    pub(crate) fn publish(&self, epoch: Epoch, mode: CheckpointMode) {
        // Whoever sees the epoch, or that somebody has switched to it, sees the mode.
        self.mode.store(mode.to_word(), Ordering::Relaxed);
        self.say(&self.published, epoch);
    }

    /// How shards are to switch to the published epoch.
    pub(crate) fn mode(&self) -> CheckpointMode {
        CheckpointMode::of_word(self.mode.load(Ordering::Relaxed))
    }

    /// The epoch that shards are to switch to.
    #[inline]
    pub(crate) fn published(&self) -> Epoch {
        Epoch(self.published.load(Ordering::Acquire))
    }

    /// The epoch that a shard is to switch to, as far as it sees.
    #[inline]
    pub(crate) fn published_to(&self, shard: ShardId) -> Epoch {
        let hidden = self.hidden.load(Ordering::Relaxed);
        if hidden != 0 && hidden & shard_bit(shard) != 0 { Epoch(0) } else { self.published() }
    }

    /// Hides the newest publication from a shard. Not for shards on threads of their own.
    pub(crate) fn hide_publication(&self, from: ShardId) {
        self.hidden.fetch_or(shard_bit(from), Ordering::Relaxed);
    }

    /// Lets a shard see the newest publication.
    pub(crate) fn show_publication(&self, to: ShardId) {
        if self.hidden.fetch_and(!shard_bit(to), Ordering::Relaxed) & shard_bit(to) != 0 {
            self.wakers[to.index()].wake();
        }
    }

    /// Says that a checkpoint is durable, and which one is the oldest that can still be restored.
    pub(crate) fn commit(&self, epoch: Epoch, oldest: Epoch) {
        self.oldest.store(oldest.0, Ordering::Release);
        self.say(&self.committed, epoch);
    }

    /// The newest durable checkpoint.
    #[inline]
    pub(crate) fn committed(&self) -> Epoch {
        Epoch(self.committed.load(Ordering::Acquire))
    }

    /// The oldest checkpoint that can still be restored.
    pub(crate) fn oldest(&self) -> Epoch {
        Epoch(self.oldest.load(Ordering::Acquire))
    }

    /// Asks a shard to save pages again with the next checkpoint, although they did not change.
    pub(crate) fn ask_to_move(&self, shard: ShardId, pages: Vec<PageId>) {
        *self.sparse[shard.index()].lock().unwrap_or_else(PoisonError::into_inner) = pages;
    }

    /// What a shard was asked to save again.
    pub(crate) fn pages_to_move(&self, shard: ShardId) -> Vec<PageId> {
        std::mem::take(&mut *self.sparse[shard.index()].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that a checkpoint is given up.
    pub(crate) fn abort(&self, epoch: Epoch) {
        self.say(&self.aborted, epoch);
    }

    /// The newest checkpoint that was given up.
    #[inline]
    pub(crate) fn aborted(&self) -> Epoch {
        Epoch(self.aborted.load(Ordering::Acquire))
    }

    /// Asks all shards how things stand. Later questions have larger numbers.
    pub(crate) fn ask(&self, question: u64) {
        self.question.fetch_max(question, Ordering::Release);
        self.wake_all();
    }

    /// Asks a shard what a state holds.
    pub(crate) fn read_state(&self, shard: ShardId, read: StateRead) {
        self.reads[shard.index()].push(read);
        self.wakers[shard.index()].wake();
    }

    /// What a shard was asked of its state.
    #[inline]
    pub(crate) fn reads(&self, shard: ShardId) -> &Reads {
        &self.reads[shard.index()]
    }

    /// The newest question.
    #[inline]
    pub(crate) fn asked(&self) -> u64 {
        self.question.load(Ordering::Acquire)
    }

    /// Says that nothing goes round in the job's loops any more.
    pub(crate) fn end_loops(&self) {
        self.loops_over.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Lets the sources end as if there were nothing more to be read.
    pub(crate) fn drain(&self) {
        if !self.draining.swap(true, Ordering::AcqRel) {
            self.wake_all();
        }
    }

    /// Whether nothing goes round in the job's loops any more.
    #[inline]
    pub(crate) fn loops_are_over(&self) -> bool {
        self.loops_over.load(Ordering::Acquire)
    }

    /// Changes what is wanted.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        self.wake_all();
    }

    /// What is wanted.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Run,
            1 => Phase::Finish,
            2 => Phase::RunOut,
            _ => Phase::Stop,
        }
    }
}

/// No bit beyond the 64th shard: a simulation hides nothing from those.
fn shard_bit(shard: ShardId) -> u64 {
    1u64.checked_shl(u32::from(shard.0)).unwrap_or(0)
}

/// What a shard has written of a checkpoint.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Its part of the manifest record; none where the job keeps no state directory.
    pub(crate) delta: Option<DeltaSummary>,
    /// Bytes of records in flight that it holds.
    pub(crate) in_flight_bytes: u64,
    /// Whether a transactional sink has a cut in it.
    pub(crate) sinks: bool,
    /// How long it took from the first sign of it to the cut of the last chain.
    pub(crate) aligned_in: Duration,
    /// Whether chains were cut before they were aligned, because that took too long.
    pub(crate) gave_up_aligning: bool,
    /// Whether the sources had ended and no record was on its way anywhere.
    pub(crate) quiet: bool,
}

/// What a shard has kept account of, for whoever asks and for the job's summary.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardAccount {
    /// What its parts of the accumulators have come to.
    pub(crate) accumulators: Totals,
    /// The late ledgers of its operators.
    pub(crate) late: Vec<(OpId, LateReport)>,
}

/// How things stand with a shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardAnswer {
    /// Where the event time of its chains stands, by the head of the chain.
    pub(crate) clocks: Vec<(OpId, ClockReport)>,
    pub(crate) account: ShardAccount,
    /// The most frequent keys of its keyed operators.
    pub(crate) keys: Vec<(OpId, SeenKeys)>,
}

/// What a shard tells the control thread.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// It was built and opened; its first step follows.
    Opened(ShardId),
    /// It has given the epoch's checkpoint up, nothing of it is under way any more, and it knows the positions of all its inputs: a
    /// further epoch may be published.
    HasPositions(ShardId, Epoch),
    /// Its part of a checkpoint is safe on disk, or could not be saved.
    Saved(ShardId, Epoch, Result<Saved, CheckpointFailure>),
    /// Nothing of a checkpoint that was given up is under way on it any more.
    GaveUp(ShardId, Epoch),
    /// Its sinks have carried out the commit of an epoch.
    Committed(ShardId, Epoch),
    /// All pages of the checkpoint it went on from have been read and verified.
    Verified(ShardId),
    /// All its sources have ended, in a job with loops.
    SourcesEnded(ShardId),
    /// All its inputs have ended and all its output is passed on.
    Drained(ShardId),
    /// How things stand with it: the answer to a question.
    Answer(ShardId, u64, ShardAnswer),
    /// It takes no further step, and this is its last account.
    Accounted(ShardAccount),
    /// It is closed.
    Closed(ShardId),
    /// It failed; it takes no further step.
    Failed(ShardId, Box<Failure>),
}

/// Where a shard's events go. Waking the control thread is the channel's business.
pub(crate) type Events = Sender<ShardEvent>;
