//! Making channels: a ring between two shards, or a shard's lane to itself.

use std::rc::Rc;

use super::batch::BatchShape;
use super::error::ChannelError;
use super::frame::WORD_BYTES;
use super::inlet::Inlet;
use super::outlet::{Outlet, Way};
use super::overflow::OverflowBudget;
use super::own_lane::{OwnInlet, OwnOutlet, OwnQueue};
use super::ring::{RingReader, RingWriter, ring};
use super::ring_inlet::RingInlet;
use super::ring_outlet::RingOutlet;
use super::switch::{SwitchObserver, SwitchPublisher, switch_point};
use crate::limits::RING_BYTES_MIN;
use crate::runtime::Waker;

/// The setting that sizes rings, as messages name it.
pub(super) const RING_SETTING: &str = "ring_bytes";

/// The largest ring: half of it is still addressed by the 32-bit offsets of a frame, with room to spare.
const RING_BYTES_MAX: usize = 1 << 32;

/// The producer's end of a ring on its way to its shard.
pub struct OutletEnd {
    writer: RingWriter,
    switch: SwitchPublisher,
    consumer: Waker,
}

/// The consumer's end of a ring on its way to its shard.
pub struct InletEnd {
    reader: RingReader,
    switch: SwitchObserver,
    producer: Waker,
}

/// A ring of `ring_bytes` bytes between two shards, given as two ends that each go to their shard's thread and are opened there.
///
/// # Errors
/// [`ChannelError::RingSize`].
pub fn ring_lane(
    ring_bytes: usize,
    producer: Waker,
    consumer: Waker,
) -> Result<(OutletEnd, InletEnd), ChannelError> {
    check_ring_bytes(ring_bytes)?;
    Ok(ring_lane_of(ring_bytes / WORD_BYTES, producer, consumer))
}

/// The same without limits, for tests.
pub(super) fn ring_lane_of(words: usize, producer: Waker, consumer: Waker) -> (OutletEnd, InletEnd) {
    let (writer, reader) = ring(words);
    let (publisher, observer) = switch_point();
    (OutletEnd { writer, switch: publisher, consumer }, InletEnd { reader, switch: observer, producer })
}

impl OutletEnd {
    /// Opens the end on its shard.
    ///
    /// # Errors
    /// [`ChannelError::RecordTooLarge`] where no record of this shape fits a frame.
    pub fn open(self, shape: BatchShape, budget: OverflowBudget) -> Result<Outlet, ChannelError> {
        let frame_words_max = self.writer.frame_words_max();
        let way = Way::Ring(RingOutlet::new(self.writer, self.switch, self.consumer, budget));
        Outlet::new(shape, frame_words_max, way)
    }
}

impl InletEnd {
    /// Opens the end on its shard.
    pub fn open(self, shape: BatchShape) -> Inlet {
        Inlet::Ring(Box::new(RingInlet::new(shape, self.reader, self.switch, self.producer)))
    }
}

/// A shard's lane to itself: whole batches are handed over, nothing is copied. `ring_bytes` limits single records as a ring of this size would.
///
/// # Errors
/// [`ChannelError::RingSize`], and [`ChannelError::RecordTooLarge`] where no record of this shape fits a frame.
pub fn own_lane(
    shape: BatchShape,
    ring_bytes: usize,
    budget: OverflowBudget,
) -> Result<(Outlet, Inlet), ChannelError> {
    check_ring_bytes(ring_bytes)?;
    own_lane_of(shape, ring_bytes / WORD_BYTES, budget)
}

/// The same without limits, for tests.
pub(super) fn own_lane_of(
    shape: BatchShape,
    ring_words: usize,
    budget: OverflowBudget,
) -> Result<(Outlet, Inlet), ChannelError> {
    let queue = Rc::new(OwnQueue::new(shape, budget));
    let outlet = Outlet::new(shape, ring_words / 2, Way::Own(OwnOutlet::new(queue.clone())))?;
    Ok((outlet, Inlet::Own(Box::new(OwnInlet::new(queue)))))
}

fn check_ring_bytes(bytes: usize) -> Result<(), ChannelError> {
    if (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(ChannelError::RingSize {
        bytes: bytes as u64,
        min: RING_BYTES_MIN as u64,
        max: RING_BYTES_MAX as u64,
        setting: RING_SETTING,
    })
}
