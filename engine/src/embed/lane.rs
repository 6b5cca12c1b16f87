//! A lane: the way of values from one thread to another one, `rtrb` with what both sides need to know of each other. The ring between
//! shards is made of words and lies in `channel`; this one is made of values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::apart::Apart;
use super::ledger::{Ledger, Shed};
use crate::waiting::Bell;

/// The end that values are put into.
pub(super) struct LaneSender<T> {
    producer: rtrb::Producer<T>,
    pub(super) account: Arc<LaneAccount>,
}

/// The end that values come out of.
pub(super) struct LaneReceiver<T> {
    consumer: rtrb::Consumer<T>,
    account: Arc<LaneAccount>,
}

/// What is known of a lane from outside. Each figure has one writer: the sender.
#[derive(Debug, Default)]
pub(super) struct LaneAccount {
    /// Rung when there is room again, and when there never will be.
    pub(super) room: Bell,
    sent: Apart<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: AtomicU64,
    newest: AtomicU64,
    sampled: AtomicU64,
    rejected: AtomicU64,
}

/// A lane with room for so many values.
pub(super) fn lane<T>(capacity: usize) -> (LaneSender<T>, LaneReceiver<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let account = Arc::new(LaneAccount::default());
    (LaneSender { producer, account: account.clone() }, LaneReceiver { consumer, account })
}

impl<T> LaneSender<T> {
    /// Puts a value in, or gives it back where there is no room.
    #[inline]
    pub(super) fn push(&mut self, value: T) -> Result<(), T> {
        self.producer.push(value).map_err(|rtrb::PushError::Full(value)| value)
    }

    /// How many values fit now.
    pub(super) fn room(&self) -> usize {
        self.producer.slots()
    }
}

impl<T> LaneReceiver<T> {
    /// The next value.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.consumer.pop().ok()
    }

    /// Shows all values, which stay.
    pub(super) fn peek(&mut self, each: impl FnMut(&T)) {
        // A chunk that is not committed stays.
        if let Ok(chunk) = self.consumer.read_chunk(self.consumer.slots()) {
            let (first, second) = chunk.as_slices();
            first.iter().chain(second).for_each(each);
        }
    }

    /// Whether there is a value.
    #[inline]
    pub(super) fn has_any(&self) -> bool {
        !self.consumer.is_empty()
    }

    /// Whether nobody will put values in any more. What was put in before comes still.
    pub(super) fn is_abandoned(&self) -> bool {
        self.consumer.is_abandoned()
    }

    /// Values were taken out: whoever waits for room may look.
    #[inline]
    pub(super) fn made_room(&self) {
        self.account.room.ring();
    }
}

impl LaneAccount {
    /// A record was sent, and lost to this if anything.
    #[inline]
    pub(super) fn count(&self, lost_to: Option<Shed>) {
        let add = |to: &AtomicU64| to.store(to.load(Ordering::Relaxed) + 1, Ordering::Release);
        match lost_to {
            None | Some(Shed::Oldest) => {}
            Some(Shed::Newest) => add(&self.sent.newest),
            Some(Shed::Sampled) => add(&self.sent.sampled),
            Some(Shed::Rejected) => add(&self.sent.rejected),
        }
        add(&self.sent.all);
    }

    /// Adds what was sent through this lane.
    pub(super) fn add_to(&self, ledger: &mut Ledger) {
        ledger.sent += self.sent.all.load(Ordering::Acquire);
        ledger.dropped_newest += self.sent.newest.load(Ordering::Acquire);
        ledger.sampled_out += self.sent.sampled.load(Ordering::Acquire);
        ledger.rejected += self.sent.rejected.load(Ordering::Acquire);
    }
}
