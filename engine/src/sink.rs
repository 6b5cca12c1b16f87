//! Where results go. One trait for all guarantees, after Flink's unified sink (FLIP-143): a plain sink writes; a
//! transactional one also cuts its output at each epoch and makes it visible when the epoch's checkpoint is durable.

mod durable;

pub use durable::Durable;

use std::task::Poll;

use crate::element::{Epoch, ShardId, Timestamp};
use crate::runtime::Waker;

/// What a sink promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Written output is visible at once, and comes again after a crash.
    Plain,
    /// Output becomes visible when its checkpoint is durable; where the process dies in the middle of that, that checkpoint's comes again.
    Durable,
    /// Writing the same again changes nothing.
    Idempotent,
    /// Output becomes visible exactly once, when its checkpoint is durable.
    Transactional,
}

/// What a sink says went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    /// What went wrong, where, and the remedy; one sentence.
    pub what: String,
    /// Whether starting again can help.
    pub retryable: bool,
    /// The cause, where there is one.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SinkError {
    /// An error that the restart strategy may answer with a restart.
    pub fn retryable(what: impl Into<String>) -> Self {
        SinkError { what: what.into(), retryable: true, cause: None }
    }
    /// An error that no restart can mend.
    pub fn fatal(what: impl Into<String>) -> Self {
        SinkError { what: what.into(), retryable: false, cause: None }
    }
    /// The same error with its cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

/// What a sink needs to remember of a cut so that it, or a successor after a crash, can commit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committable {
    /// The epoch at whose beginning the cut was made.
    pub epoch: Epoch,
    /// The shard that made it.
    pub shard: ShardId,
    /// The sink's own words.
    pub bytes: Vec<u8>,
}

/// What a sink is given when it is opened.
#[derive(Clone)]
pub struct SinkContext {
    /// The number of this instance: of its shard among those that the sink runs on.
    pub shard: ShardId,
    /// How many shards the sink runs on now.
    pub shards: u16,
    /// The epoch that the job goes on from: 0 for a fresh start. Output of later epochs than this that a dead process left
    /// behind must not become visible.
    pub restored: Epoch,
    /// The job's name.
    pub job: String,
    /// The operator's name.
    pub operator: String,
    /// Wakes the shard; a sink with a thread of its own calls it when a [`Poll::Pending`] answer would change.
    pub waker: Waker,
}

/// A sink for records seen as `R`. One instance per shard. No method blocks for long: slow output is written by a thread of
/// the sink's own.
///
/// The life of a transactional sink's output, per epoch `n`:
///
/// ```text
/// write* , prepare(n)  ->  poll_prepared(n) = Ready(committable)  ->  [manifest durable]  ->  commit(n)
///                                                                 \-> [process dies]      ->  open(.., [committable])
/// ```
///
/// When checkpoint `n` fails, its committables stay pending and go along with checkpoint `n + 1`. `commit(n)` commits everything
/// prepared up to `n`. Both commits (`commit` and the one in `open`) may be repeated after a crash and must be idempotent.
pub trait Sink<R: ?Sized>: 'static {
    /// What this sink promises.
    fn delivery(&self) -> Delivery;

    /// Called once, before any record. `recovered` are the cuts of the restored checkpoint that belong to this shard now: they are to
    /// be committed here. Everything else that an earlier run of the shards dealt to this one left uncommitted (old shard
    /// number modulo the new shard count is this shard) is to be removed.
    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError>;

    /// Whether the sink can take a batch of records now. The shard pulls no input for the chain while it says no.
    fn ready(&mut self) -> bool {
        true
    }

    /// Takes one record.
    fn write(&mut self, record: &R, at: Timestamp) -> Result<(), SinkError>;

    /// The shard has no more input at hand: plain output should become visible soon.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// The shard switched to `epoch`: everything written so far belongs to the cut, nothing written later does.
    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let _ = epoch;
        Ok(())
    }

    /// Whether the cut of `epoch` is safe on disk, and what it takes to commit it (`None`: nothing to commit).
    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let _ = epoch;
        Poll::Ready(Ok(None))
    }

    /// The checkpoint of `epoch` is durable: make its cuts visible (and those of earlier epochs that are still pending).
    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let _ = epoch;
        Ok(())
    }

    /// Whether the commit of `epoch` has been carried out.
    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        let _ = epoch;
        Poll::Ready(Ok(()))
    }

    /// No more records come and the last epoch is committed: let go of threads and files.
    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
