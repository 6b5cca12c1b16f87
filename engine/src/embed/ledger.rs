//! What became of everything that was sent.

use std::fmt;

/// What became of the records that were sent into an [`Ingress`](super::Ingress). At any moment
/// `sent = processed + shed() + queued`: nothing is lost without being counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Records that were accepted or lost. One that a call gave back because its time was over or the job is, is neither.
    pub sent: u64,
    /// Records that the job took. After a failure it may take some a second time, from a journal; those are not counted again.
    pub processed: u64,
    /// Records that wait to be taken, in memory or in the file that they were spilled to. Where handles share a queue, the records of the batch
    /// that is being handed to the job are among them, up to 512 beyond the capacity.
    pub queued: u64,
    /// Records that came while there was no room: [`Overload::DropNewest`](super::Overload::DropNewest).
    pub dropped_newest: u64,
    /// Records that gave way to newer ones: [`Overload::DropOldest`](super::Overload::DropOldest).
    pub dropped_oldest: u64,
    /// Records that were not picked: [`Overload::Sample`](super::Overload::Sample).
    pub sampled_out: u64,
    /// Records that were given back: [`Overload::Reject`](super::Overload::Reject).
    pub rejected: u64,
}

impl Ledger {
    /// How many records the job never gets, for whichever reason.
    pub fn shed(&self) -> u64 {
        self.dropped_newest + self.dropped_oldest + self.sampled_out + self.rejected
    }

    /// Adds what the job took, and what waits. The figures of other threads are read one after the other: a record may be known to be
    /// taken or lost before it is known to be sent.
    pub(super) fn balance(&mut self, processed: u64) {
        self.processed = processed;
        self.sent = self.sent.max(processed + self.shed());
        self.queued = self.sent - processed - self.shed();
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { sent, processed, queued, .. } = self;
        write!(f, "{sent} sent = {processed} processed + {queued} queued + {} shed", self.shed())
    }
}

/// What a record was lost to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// It came while there was no room.
    Newest,
    /// It gave way to newer ones.
    Oldest,
    /// It was not picked.
    Sampled,
    /// It was given back.
    Rejected,
}
