//! The consumer's end of a channel: what a shard reads, one per producer shard of an exchange.

use super::error::{ChannelError, FrameError};
use super::frame::Frame;
use super::own_lane::OwnInlet;
use super::ring_inlet::RingInlet;
use crate::element::Epoch;

/// Gives the frames of one producer shard of an exchange, another one or the own.
///
/// A shard peeks at a frame, hands it to its operator, and consumes it:
///
/// ```ignore
/// match inlet.peek() {
///     Peek::Frame(frame) => operator.apply(frame)?,
///     Peek::Switch(epoch) => return self.switch(epoch),
///     Peek::Empty => return Ok(()),
/// }
/// inlet.consume();
/// ```
pub enum Inlet {
    /// From another shard.
    Ring(Box<RingInlet>),
    /// From the own shard.
    Own(Box<OwnInlet>),
}

/// What lies ahead on an [`Inlet`].
#[derive(Clone, Copy, Debug)]
pub enum Peek<'a> {
    /// Nothing now.
    Empty,
    /// A frame, in place until it is consumed.
    Frame(Frame<'a>),
    /// The producer has switched to this epoch, and all it sent before that is consumed: nothing more is given out until this end
    /// has switched too.
    Switch(Epoch),
}

impl Inlet {
    /// The next frame: restored frames first, then what lies on the ring, never past a switch of the producer that this end has
    /// not made.
    #[inline]
    pub fn peek(&mut self) -> Peek<'_> {
        match self {
            Inlet::Ring(inlet) => inlet.peek(),
            Inlet::Own(inlet) => inlet.peek(),
        }
    }

    /// Consumes the frame that was peeked at last. Where a running capture still needs it, it is copied first.
    ///
    /// # Panics
    /// Where none was peeked at since the last call or switch.
    #[inline]
    pub fn consume(&mut self) {
        match self {
            Inlet::Ring(inlet) => inlet.consume(),
            Inlet::Own(inlet) => inlet.consume(),
        }
    }

    /// Wakes the producer where anything was consumed since the last call: a producer that waits for room on the ring may be
    /// parked. To be called once at the end of a step.
    #[inline]
    pub fn wake_producer(&mut self) {
        if let Inlet::Ring(inlet) = self {
            inlet.wake_producer();
        }
    }

    /// The epoch the producer is known to be in (at least that of this end): where it is later than the shard's, the shard should switch.
    #[inline]
    pub fn producer_epoch(&mut self) -> Epoch {
        match self {
            Inlet::Ring(inlet) => inlet.producer_epoch(),
            Inlet::Own(inlet) => inlet.epoch(),
        }
    }

    /// Switches to an epoch and begins the capture of what is in flight: what lies unread now, up to the position at which the
    /// producer switches. A frame that was peeked at and not consumed counts as unread.
    ///
    /// On the own lane the producer's end is to be switched before.
    ///
    /// # Errors
    /// [`ChannelError::SwitchBackwards`], [`ChannelError::SwitchTooEarly`], [`ChannelError::CaptureUnfinished`]: faults of the coordinator.
    pub fn switch(&mut self, epoch: Epoch) -> Result<(), ChannelError> {
        match self {
            Inlet::Ring(inlet) => inlet.switch(epoch),
            Inlet::Own(inlet) => inlet.switch(epoch),
        }
    }

    /// Whether all that the producer sent before it switched to `epoch` is consumed. Not before the producer has switched.
    pub fn has_come_to(&mut self, epoch: Epoch) -> bool {
        match self {
            Inlet::Ring(inlet) => inlet.has_come_to(epoch),
            Inlet::Own(inlet) => inlet.has_come_to(epoch),
        }
    }

    /// Whether this end reads past switches of the producer that it has not made, as checkpoints do that may count records twice.
    /// Nothing is captured of what it has read past.
    pub fn pass_switches(&mut self, passes: bool) {
        match self {
            Inlet::Ring(inlet) => inlet.pass_switches(passes),
            Inlet::Own(inlet) => inlet.pass_switches(passes),
        }
    }

    /// Whether it is known where the producer switched to this end's epoch. The coordinator publishes the next epoch only after all inlets of
    /// all shards say so (also those that have ended, and those whose capture was given up).
    pub fn has_position(&mut self) -> bool {
        match self {
            Inlet::Ring(inlet) => inlet.has_position(),
            Inlet::Own(_) => true,
        }
    }

    /// Copies about `words_max` words (whole frames) of what is to be captured, and says whether the capture is complete.
    pub fn capture_some(&mut self, words_max: usize) -> bool {
        match self {
            Inlet::Ring(inlet) => inlet.capture_some(words_max),
            Inlet::Own(_) => true,
        }
    }

    /// The captured frames, one after the other without pads; `None` where no capture runs or it is not complete.
    pub fn take_capture(&mut self) -> Option<Vec<u8>> {
        match self {
            Inlet::Ring(inlet) => inlet.take_capture(),
            Inlet::Own(inlet) => inlet.take_capture(),
        }
    }

    /// Gives up the running capture: its checkpoint failed. The epoch stays switched.
    pub fn abort_capture(&mut self) {
        match self {
            Inlet::Ring(inlet) => inlet.abort_capture(),
            Inlet::Own(inlet) => drop(inlet.take_capture()),
        }
    }

    /// Puts frames from a checkpoint before anything on the ring, behind frames put there earlier. To be called before the first peek: first
    /// what the consumer captured, then what the producer saved.
    ///
    /// # Errors
    /// Names the first frame that is damaged or of another shape; nothing was put back then.
    pub fn restore(&mut self, frames: &[u8]) -> Result<(), FrameError> {
        match self {
            Inlet::Ring(inlet) => inlet.restore(frames),
            Inlet::Own(inlet) => inlet.restore(frames),
        }
    }

    /// Whether anything waits to be consumed or to be switched for. Cheap; does not look at the producer's switch.
    #[inline]
    pub fn has_input(&self) -> bool {
        match self {
            Inlet::Ring(inlet) => inlet.has_input(),
            Inlet::Own(inlet) => inlet.has_input(),
        }
    }

    /// How many bytes were sent and not consumed yet, restored frames not counted.
    pub fn fill_bytes(&self) -> u64 {
        match self {
            Inlet::Ring(inlet) => inlet.fill_bytes(),
            Inlet::Own(inlet) => inlet.fill_bytes(),
        }
    }

    /// How full the ring is, from 0 to 1; on the own lane, how much of its headroom is taken.
    pub fn fill(&self) -> f32 {
        match self {
            Inlet::Ring(inlet) => inlet.fill(),
            Inlet::Own(inlet) => inlet.fill(),
        }
    }

    /// Plants a fault for the simulator to find: this end reads past switches it has not made.
    #[cfg(any(test, feature = "planted-faults"))]
    #[doc(hidden)]
    pub fn plant_read_past_switch(&mut self) {
        if let Inlet::Ring(inlet) = self {
            inlet.plant_read_past_switch();
        }
    }
}
