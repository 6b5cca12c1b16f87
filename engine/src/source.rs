//! Where records come from. A source has named partitions; each is read by one reader on one shard, and gives an
//! offset that a checkpoint remembers and a restart seeks to.
//!
//! The design follows Flink's unified source (FLIP-27): splits with a position each, dealt to the shards.

pub mod offset;
mod records;

pub use records::Records;

use crate::element::{Nanos, Timestamp};
use crate::record::Record;
use crate::runtime::Waker;

/// The stable name of a partition of a source: the same on every shard, at every start, whatever the shard count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub String);

/// Whether what a source gave out can be asked for again after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Every record after a remembered offset comes again.
    Yes,
    /// It does not, for this reason (shown at the start of the job, with the guarantee that results).
    No {
        /// Why not, and what would make it so: `a plain socket cannot be asked again; switch the journal on`.
        because: String,
    },
}

/// What a source says went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// What went wrong, where, and the remedy; one sentence.
    pub what: String,
    /// Whether starting again can help (a closed peer) or not (a missing file, a malformed setting).
    pub retryable: bool,
    /// The cause, where there is one.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// An error that the restart strategy may answer with a restart.
    pub fn retryable(what: impl Into<String>) -> Self {
        SourceError { what: what.into(), retryable: true, cause: None }
    }
    /// An error that no restart can mend.
    pub fn fatal(what: impl Into<String>) -> Self {
        SourceError { what: what.into(), retryable: false, cause: None }
    }
    /// The same error with its cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

/// What a reader says after it was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourcePoll {
    /// There may be more at hand: poll again in the next step.
    More,
    /// Nothing at hand. Poll again at the given time, or when the [`Waker`] was called, whichever is sooner.
    Idle {
        /// When the next record is due, where the reader knows.
        until: Option<Nanos>,
    },
    /// There will be no more records, ever (those just handed out are the last).
    End,
}

/// What a reader is given when it is opened.
#[derive(Clone)]
pub struct ReaderContext {
    /// Wakes the shard that reads; a reader with a thread of its own calls it after it made records available.
    pub waker: Waker,
    /// The job's name.
    pub job: String,
    /// The operator's name.
    pub operator: String,
    /// The job's state directory, where it has one: a journal may live below it.
    pub state_dir: Option<std::path::PathBuf>,
}

/// A source: a description that every shard makes for itself, and that opens readers.
pub trait Source: 'static {
    /// What it gives.
    type Item: Record;
    /// Reads one partition.
    type Reader: Reader<Item = Self::Item>;

    /// The partitions, by stable names. Called on every shard; all must agree.
    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError>;

    /// Opens one partition, from its beginning or from an offset that an earlier reader of it gave.
    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<Self::Reader, SourceError>;

    /// Whether it can be replayed.
    fn replay(&self) -> Replay;

    /// Whether it ends by itself.
    fn bounded(&self) -> bool;

    /// Whether it is over where all its partitions are, so that a shard that reads none of them is done with it: every source that is bounded,
    /// and an endless one that can be ended from outside.
    fn ends_with_partitions(&self) -> bool {
        self.bounded()
    }
}

/// Reads one partition on one shard. Never blocks: slow input is read by a thread of the reader's own.
pub trait Reader: 'static {
    /// What it gives.
    type Item: Record;

    /// Hands out what is at hand, at most [`Records::room`] records.
    fn poll(&mut self, now: Nanos, out: &mut Records<Self::Item>) -> Result<SourcePoll, SourceError>;

    /// What the shard calls: hands out what is at hand one by one, at most as many records as `batch` has room for. A record whose event
    /// time the source does not know comes with [`Timestamp::MIN`].
    ///
    /// By default the records of [`Reader::poll`]. A reader that makes its records on the spot can hand them straight on, and so into
    /// the chain's loop, without their ever lying in a batch.
    #[inline(always)]
    fn poll_each(
        &mut self,
        now: Nanos,
        batch: &mut Records<Self::Item>,
        each: impl FnMut(Self::Item, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        let answer = self.poll(now, batch)?;
        batch.take_each(each);
        Ok(answer)
    }

    /// Whether something came since the last poll. Cheap, and asked between two steps by a shard that looks for work; a reader that calls
    /// the [`Waker`] need not say so, but is polled sooner where it does.
    #[inline]
    fn has_input(&self) -> bool {
        false
    }

    /// Writes the offset after everything handed out so far.
    fn offset(&self, out: &mut Vec<u8>);

    /// A checkpoint that holds this offset is durable and the oldest one retained: what lies before it is needed no more.
    fn trim(&mut self, offset: &[u8]) -> Result<(), SourceError> {
        let _ = offset;
        Ok(())
    }

    /// Names the place of a record of the last poll in words of the user: `words.txt, byte 1234`. Asked after the record made the job
    /// fail, perhaps in the middle of [`Reader::poll_each`].
    fn place(&self, index: usize) -> String;

    /// The record at this place of the last poll made the job fail. A journal marks it, so that a restart can pass over it.
    fn mark_failed(&mut self, index: usize) -> Result<(), SourceError> {
        let _ = index;
        Ok(())
    }
}
