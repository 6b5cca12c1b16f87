//! The way to another shard: ring, overflow, switch point, and the consumer's waker.

use super::error::ChannelError;
use super::frame::{Control, HEADER_WORDS, Word};
use super::open_batch::OpenBatch;
use super::overflow::{Overflow, OverflowBudget};
use super::ring::RingWriter;
use super::switch::SwitchPublisher;
use crate::element::Epoch;
use crate::runtime::Waker;

/// The part of an outlet to another shard behind its open batch.
pub(super) struct RingOutlet {
    writer: RingWriter,
    overflow: Overflow,
    switch: SwitchPublisher,
    consumer: Waker,
    /// Whether the consumer has not been told yet of what was written.
    wake_due: bool,
}

impl RingOutlet {
    pub(super) fn new(
        writer: RingWriter,
        switch: SwitchPublisher,
        consumer: Waker,
        budget: OverflowBudget,
    ) -> Self {
        RingOutlet { writer, overflow: Overflow::new(budget), switch, consumer, wake_due: false }
    }

    /// Sends all records of a batch: as one frame, or as a frame each where together they pass half the ring.
    #[inline]
    pub(super) fn send_batch(&mut self, batch: &OpenBatch, as_one: bool) -> Result<(), ChannelError> {
        if as_one {
            return self.send(batch.frame_words(), |place| batch.write_frame(place));
        }
        for index in 0..batch.len() {
            let one = index..index + 1;
            self.send(batch.frame_words_of(one.clone()), |place| batch.write_frame_of(one, place))?;
        }
        Ok(())
    }

    pub(super) fn send_control(&mut self, control: Control) -> Result<(), ChannelError> {
        self.send(HEADER_WORDS, |place| place.copy_from_slice(&control.words()))
    }

    #[inline]
    fn send(&mut self, words: usize, fill: impl FnOnce(&mut [Word])) -> Result<(), ChannelError> {
        if !self.overflow.is_empty() {
            self.drain();
        }
        if self.overflow.is_empty() && self.writer.room_for(words) {
            self.writer.write(words, fill);
            self.wake_due = true;
            Ok(())
        } else {
            self.overflow.push(words, fill)
        }
    }

    #[cold]
    fn drain(&mut self) {
        self.wake_due |= self.overflow.drain_into(&mut self.writer);
    }

    pub(super) fn flush(&mut self) {
        if !self.overflow.is_empty() {
            self.drain();
        }
        if self.wake_due {
            self.wake_due = false;
            self.consumer.wake();
        }
    }

    pub(super) fn has_room_for(&mut self, words: usize) -> bool {
        self.overflow.is_empty() && self.writer.room_for(words)
    }

    pub(super) fn switch(&mut self, epoch: Epoch, save: &mut Vec<u8>) -> Result<(), ChannelError> {
        self.switch.publish(epoch, self.writer.position())?;
        self.overflow.save(save);
        // A parked consumer has to learn the position even where no record follows.
        self.wake_due = false;
        self.consumer.wake();
        Ok(())
    }

    pub(super) fn fill_bytes(&self) -> u64 {
        self.writer.fill_bytes()
    }

    pub(super) fn ring_bytes(&self) -> u64 {
        self.writer.ring_bytes()
    }

    pub(super) fn overflow_bytes(&self) -> u64 {
        self.overflow.bytes()
    }
}
