//! The producer's end of a channel: what an exchange pushes into, one per target shard.

use super::batch::BatchShape;
use super::error::ChannelError;
use super::frame::{Control, WORD_BYTES};
use super::lane::RING_SETTING;
use super::open_batch::OpenBatch;
use super::own_lane::OwnOutlet;
use super::ring_outlet::RingOutlet;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::Key;
use crate::record::Record;

/// Takes records for one target shard of an exchange, another one or the own.
///
/// Pushing touches the open batch only; where the batch goes is asked once per batch. After an error the job fails: the outlet is not
/// to be used further.
pub struct Outlet {
    batch: OpenBatch,
    /// The longest frame: half a ring. Also on the own lane, so that what a job accepts does not depend on its parallelism.
    frame_words_max: usize,
    /// The room that makes it ready.
    full_frame_words: usize,
    way: Way,
}

pub(super) enum Way {
    Ring(RingOutlet),
    Own(OwnOutlet),
}

impl Outlet {
    pub(super) fn new(shape: BatchShape, frame_words_max: usize, way: Way) -> Result<Self, ChannelError> {
        let batch = OpenBatch::new(shape);
        let least = batch.least_frame_words();
        if least > frame_words_max {
            return Err(record_too_large(least, frame_words_max));
        }
        let full_frame_words = batch.full_frame_words().min(frame_words_max);
        Ok(Outlet { batch, frame_words_max, full_frame_words, way })
    }

    /// Adds a record of a keyed exchange; a batch that is full with it is [sealed](Outlet::seal).
    ///
    /// # Errors
    /// As [`Outlet::seal`].
    ///
    /// # Panics
    /// Where `T` and `K` are not those of the channel's shape.
    #[inline]
    pub fn push<T: Record, K: Key + ?Sized>(
        &mut self,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        record: &T,
    ) -> Result<(), ChannelError> {
        if self.batch.push(at, hash, key, record) { self.seal() } else { Ok(()) }
    }

    /// Adds a record of an exchange without keys; otherwise as [`Outlet::push`].
    #[inline]
    pub fn push_unkeyed<T: Record>(&mut self, at: Timestamp, record: &T) -> Result<(), ChannelError> {
        self.batch.push_unkeyed(at, record);
        self.seal_if_full()
    }

    /// Adds a record that is archived already; otherwise as [`Outlet::push`].
    pub fn push_bytes(
        &mut self,
        at: Timestamp,
        hash: KeyHash,
        key: &[u8],
        record: &[u8],
    ) -> Result<(), ChannelError> {
        self.batch.push_bytes(at, hash, key, record);
        self.seal_if_full()
    }

    /// Adds a view that goes on as it is, of a keyed exchange; otherwise as [`Outlet::push`].
    #[inline]
    pub fn push_archived<K: Key + ?Sized>(
        &mut self,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        record: &[u8],
    ) -> Result<(), ChannelError> {
        self.batch.push_archived(at, hash, key, record);
        self.seal_if_full()
    }

    /// Adds a view that goes on as it is, of an exchange without keys; otherwise as [`Outlet::push`].
    #[inline]
    pub fn push_archived_unkeyed(&mut self, at: Timestamp, record: &[u8]) -> Result<(), ChannelError> {
        self.batch.push_archived_unkeyed(at, record);
        self.seal_if_full()
    }

    #[inline]
    fn seal_if_full(&mut self) -> Result<(), ChannelError> {
        if self.batch.is_full() { self.seal() } else { Ok(()) }
    }

    /// Sends the open batch off, where it holds anything: onto the ring, or to wait where the ring is full.
    ///
    /// # Errors
    /// [`ChannelError::RecordTooLarge`], [`ChannelError::OverflowBudget`].
    #[inline(never)]
    pub fn seal(&mut self) -> Result<(), ChannelError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let as_one = self.batch.frame_words() <= self.frame_words_max || self.check_each_record()?;
        match &mut self.way {
            Way::Ring(ring) => {
                ring.send_batch(&self.batch, as_one)?;
                self.batch.clear();
                Ok(())
            }
            Way::Own(own) => own.send_batch(&mut self.batch),
        }
    }

    /// The open batch is too long for a frame: whether each of its records fits one of its own. Never says that they fit together.
    #[cold]
    fn check_each_record(&self) -> Result<bool, ChannelError> {
        let longest = (0..self.batch.len()).map(|index| self.batch.frame_words_of(index..index + 1)).max();
        match longest {
            Some(words) if words > self.frame_words_max => Err(record_too_large(words, self.frame_words_max)),
            _ => Ok(false),
        }
    }

    /// Seals the open batch, moves what waits onto the ring as far as it fits, and wakes the consumer where anything was written since the
    /// last flush. To be called when the shard has no more input at hand, and at the end of every step.
    ///
    /// # Errors
    /// As [`Outlet::seal`].
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        self.seal()?;
        if let Way::Ring(ring) = &mut self.way {
            ring.flush();
        }
        Ok(())
    }

    /// Whether there is headroom for a full batch: nothing waits, and the ring has room. While it says no, no input may be pulled for
    /// the exchange.
    #[inline]
    pub fn ready(&mut self) -> bool {
        match &mut self.way {
            Way::Ring(ring) => ring.has_room_for(self.full_frame_words),
            Way::Own(own) => own.ready(),
        }
    }

    /// Sends a watermark, behind all records pushed so far.
    ///
    /// # Errors
    /// As [`Outlet::seal`].
    pub fn watermark(&mut self, at: Timestamp) -> Result<(), ChannelError> {
        self.control(Control::Watermark(at))
    }

    /// Says that event time is not to wait for this producer until it sends again, behind all records pushed so far.
    ///
    /// # Errors
    /// As [`Outlet::seal`].
    pub fn idle(&mut self) -> Result<(), ChannelError> {
        self.control(Control::Idle)
    }

    /// Says that nothing follows, behind all records pushed so far. (Epochs are still switched.)
    ///
    /// # Errors
    /// As [`Outlet::seal`].
    pub fn end(&mut self) -> Result<(), ChannelError> {
        self.control(Control::End)
    }

    fn control(&mut self, control: Control) -> Result<(), ChannelError> {
        self.seal()?;
        match &mut self.way {
            Way::Ring(ring) => ring.send_control(control),
            Way::Own(own) => own.send_control(control),
        }
    }

    /// Switches to an epoch: publishes where the ring stands, and appends to `save` what was pushed but lies past that position (what waits and
    /// the open batch; they are sent later as if nothing had happened). Behind the consumer's capture of the same channel, `save`
    /// completes the in-flight records, in order.
    ///
    /// # Errors
    /// [`ChannelError::SwitchTooEarly`] and [`ChannelError::SwitchBackwards`], faults of the coordinator; `save` is as it was.
    pub fn switch(&mut self, epoch: Epoch, save: &mut Vec<u8>) -> Result<(), ChannelError> {
        match &mut self.way {
            Way::Ring(ring) => ring.switch(epoch, save)?,
            Way::Own(own) => own.switch(epoch)?,
        }
        self.batch.save(save);
        Ok(())
    }

    /// Whether it holds anything that would lie behind its switch position.
    pub fn holds_back(&self) -> bool {
        let waits = match &self.way {
            Way::Ring(ring) => ring.overflow_bytes() > 0,
            Way::Own(_) => false,
        };
        waits || !self.batch.is_empty()
    }

    /// The batch being filled.
    pub fn open_batch(&self) -> &OpenBatch {
        &self.batch
    }

    /// How many bytes were sent and not consumed yet, those that wait not counted.
    pub fn fill_bytes(&self) -> u64 {
        match &self.way {
            Way::Ring(ring) => ring.fill_bytes(),
            Way::Own(own) => own.queued_bytes(),
        }
    }

    /// How many bytes of memory its ring takes; none on the own lane.
    pub fn ring_bytes(&self) -> u64 {
        match &self.way {
            Way::Ring(ring) => ring.ring_bytes(),
            Way::Own(_) => 0,
        }
    }

    /// How many bytes of memory its batches take: the one being filled, and on the own lane those that are queued or kept for the next use. What
    /// waits for room is not among them.
    pub fn batch_bytes(&self) -> u64 {
        let queued = match &self.way {
            Way::Ring(_) => 0,
            Way::Own(own) => own.bytes_held(),
        };
        self.batch.bytes_held() + queued
    }

    /// How many bytes wait for room.
    pub fn overflow_bytes(&self) -> u64 {
        match &self.way {
            Way::Ring(ring) => ring.overflow_bytes(),
            Way::Own(own) => own.overflow_bytes(),
        }
    }

    /// How full the ring is, from 0 to 1; on the own lane, how much of its headroom is taken.
    pub fn fill(&self) -> f32 {
        match &self.way {
            Way::Ring(ring) => ring.fill_bytes() as f32 / ring.ring_bytes() as f32,
            Way::Own(own) => own.fill(),
        }
    }
}

fn record_too_large(words: usize, words_max: usize) -> ChannelError {
    ChannelError::RecordTooLarge {
        bytes: (words * WORD_BYTES) as u64,
        limit: (words_max * WORD_BYTES) as u64,
        setting: RING_SETTING,
    }
}
