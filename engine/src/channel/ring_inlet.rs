//! The consumer's end of a channel from another shard: ring, switch point, capture of what is in flight.

use super::batch::BatchShape;
use super::error::{ChannelError, FrameError};
use super::frame::{Frame, bytes_of};
use super::inlet::Peek;
use super::ring::RingReader;
use super::saved::SavedFrames;
use super::switch::{SwitchObserver, Switched};
use crate::element::Epoch;
use crate::runtime::Waker;

/// The consumer's end of a ring; see [`Inlet`](super::Inlet) for what its methods promise.
pub struct RingInlet {
    shape: BatchShape,
    /// Frames from a checkpoint, read before anything on the ring.
    restored: SavedFrames,
    reader: RingReader,
    switch: SwitchObserver,
    producer: Waker,
    /// The epoch this end is in.
    epoch: Epoch,
    /// Whether the producer's position for `epoch` is still unknown.
    position_due: bool,
    /// Up to here the ring may be read: it was asked before the switch point was looked at, and no switch lies before this that this
    /// end has not made.
    readable: u64,
    capture: Option<Capture>,
    peeked: Peeked,
    /// Whether the producer has not been told yet of what was consumed.
    wake_due: bool,
    /// Whether switches of the producer do not stop it.
    passes: bool,
    #[cfg(any(test, feature = "planted-faults"))]
    read_past_switch: bool,
}

#[derive(Clone, Copy)]
enum Peeked {
    Nothing,
    Restored,
    /// The frame up to this position of the ring.
    Ring(u64),
}

/// The in-flight frames of one checkpoint, being copied.
struct Capture {
    frames: Vec<u8>,
    /// How many words of the restored frames, counted from the first unread one, were copied.
    restored_copied: usize,
    /// Up to which position of the ring everything unread was copied. Never behind what was consumed.
    ring_copied: u64,
    /// The producer's position, once known: nothing at or past it belongs to the capture.
    end: Option<u64>,
}

impl Capture {
    fn wants(&self, at: u64) -> bool {
        self.ring_copied == at && self.end.is_none_or(|end| at < end)
    }
}

impl RingInlet {
    pub(super) fn new(
        shape: BatchShape,
        reader: RingReader,
        switch: SwitchObserver,
        producer: Waker,
    ) -> Self {
        RingInlet {
            shape,
            restored: SavedFrames::default(),
            readable: reader.position(),
            reader,
            switch,
            producer,
            epoch: Epoch(0),
            position_due: false,
            capture: None,
            peeked: Peeked::Nothing,
            wake_due: false,
            passes: false,
            #[cfg(any(test, feature = "planted-faults"))]
            read_past_switch: false,
        }
    }

    /// Asks the ring, then looks at the switch point, and decides how far the ring may be read.
    #[inline]
    fn refresh(&mut self) {
        let (end, switched) = self.switch.observe(|| self.reader.available());
        let stops = !self.passes && !self.reads_past_switch();
        self.readable = if switched.epoch > self.epoch && stops { end.min(switched.position) } else { end };
        self.note_position(switched);
    }

    #[cfg(any(test, feature = "planted-faults"))]
    fn reads_past_switch(&self) -> bool {
        self.read_past_switch
    }

    #[cfg(not(any(test, feature = "planted-faults")))]
    #[inline]
    fn reads_past_switch(&self) -> bool {
        false
    }

    #[cfg(any(test, feature = "planted-faults"))]
    pub(super) fn plant_read_past_switch(&mut self) {
        self.read_past_switch = true;
    }

    /// Keeps the position of the epoch this end is in. From then on the producer may publish the next one.
    #[inline]
    fn note_position(&mut self, switched: Switched) {
        if self.position_due && switched.epoch == self.epoch {
            self.position_due = false;
            self.switch.acknowledge();
            if let Some(capture) = &mut self.capture {
                capture.end = Some(switched.position);
            }
        }
    }

    #[inline]
    pub(super) fn peek(&mut self) -> Peek<'_> {
        if !self.restored.is_empty() {
            return self.peek_restored();
        }
        let position = self.reader.position();
        if position >= self.readable {
            self.refresh();
        }
        if position < self.readable {
            let (words, next) = self.reader.frame_at(position);
            self.peeked = Peeked::Ring(next);
            return Peek::Frame(Frame::parse_trusted(words));
        }
        if self.passes {
            return Peek::Empty;
        }
        let switched = self.switch.last();
        // A position past what the ring showed when it was asked is still to be read up to.
        if switched.epoch > self.epoch && switched.position <= position {
            Peek::Switch(switched.epoch)
        } else {
            Peek::Empty
        }
    }

    #[cold]
    fn peek_restored(&mut self) -> Peek<'_> {
        self.peeked = Peeked::Restored;
        self.restored.front().map_or(Peek::Empty, Peek::Frame)
    }

    #[inline]
    pub(super) fn consume(&mut self) {
        match std::mem::replace(&mut self.peeked, Peeked::Nothing) {
            Peeked::Nothing => panic!("only a frame that was peeked at is consumed"),
            Peeked::Restored => self.consume_restored(),
            Peeked::Ring(next) => {
                let position = self.reader.position();
                if let Some(capture) = &mut self.capture
                    && capture.wants(position)
                {
                    capture.frames.extend_from_slice(bytes_of(self.reader.frame_at(position).0));
                    capture.ring_copied = next;
                }
                self.reader.consume_to(next);
                self.wake_due = true;
            }
        }
    }

    #[cold]
    fn consume_restored(&mut self) {
        let before = self.restored.unread_words();
        if let Some(capture) = &mut self.capture
            && capture.restored_copied == 0
        {
            capture.restored_copied = self.restored.save_from(0, 1, &mut capture.frames);
        }
        self.restored.pop();
        if let Some(capture) = &mut self.capture {
            capture.restored_copied -= before - self.restored.unread_words();
        }
    }

    pub(super) fn wake_producer(&mut self) {
        if std::mem::take(&mut self.wake_due) {
            self.producer.wake();
        }
    }

    pub(super) fn producer_epoch(&mut self) -> Epoch {
        let switched = self.switch.look();
        self.note_position(switched);
        switched.epoch.max(self.epoch)
    }

    pub(super) fn has_come_to(&mut self, epoch: Epoch) -> bool {
        let switched = self.switch.look();
        self.restored.is_empty() && switched.epoch >= epoch && self.reader.position() >= switched.position
    }

    pub(super) fn pass_switches(&mut self, passes: bool) {
        self.passes = passes;
        // How far it may be read follows from that.
        self.refresh();
    }

    pub(super) fn switch(&mut self, epoch: Epoch) -> Result<(), ChannelError> {
        let current = self.producer_epoch();
        if epoch <= self.epoch || epoch < current {
            return Err(ChannelError::SwitchBackwards { epoch, current });
        }
        if self.capture.is_some() {
            return Err(ChannelError::CaptureUnfinished { epoch, current: self.epoch });
        }
        if self.position_due {
            return Err(ChannelError::SwitchTooEarly { epoch, pending: self.epoch });
        }
        self.epoch = epoch;
        self.position_due = true;
        self.peeked = Peeked::Nothing;
        self.capture = Some(Capture {
            frames: Vec::new(),
            restored_copied: 0,
            ring_copied: self.reader.position(),
            end: None,
        });
        self.refresh();
        Ok(())
    }

    pub(super) fn has_position(&mut self) -> bool {
        if self.position_due {
            self.producer_epoch();
        }
        !self.position_due
    }

    pub(super) fn capture_some(&mut self, words_max: usize) -> bool {
        if self.position_due {
            self.refresh();
        }
        let Some(capture) = &mut self.capture else { return true };
        let restored_left = self.restored.unread_words() - capture.restored_copied;
        let mut copied = 0;
        if restored_left > 0 {
            copied = self.restored.save_from(capture.restored_copied, words_max, &mut capture.frames);
            capture.restored_copied += copied;
        }
        // Where the position is unknown, what was visible before the last look lies before it.
        let goal = capture.end.unwrap_or(self.readable).min(self.reader.known_end());
        while copied < words_max && capture.ring_copied < goal {
            let (words, next) = self.reader.frame_at(capture.ring_copied);
            capture.frames.extend_from_slice(bytes_of(words));
            copied += words.len();
            capture.ring_copied = next;
        }
        self.capture_complete()
    }

    fn capture_complete(&self) -> bool {
        self.capture.as_ref().is_none_or(|capture| {
            capture.restored_copied == self.restored.unread_words()
                && capture.end.is_some_and(|end| capture.ring_copied >= end)
        })
    }

    pub(super) fn take_capture(&mut self) -> Option<Vec<u8>> {
        if !self.capture_complete() {
            return None;
        }
        self.capture.take().map(|capture| capture.frames)
    }

    pub(super) fn abort_capture(&mut self) {
        self.capture = None;
    }

    pub(super) fn restore(&mut self, frames: &[u8]) -> Result<(), FrameError> {
        self.restored.append(SavedFrames::parse(frames, &self.shape)?);
        Ok(())
    }

    pub(super) fn has_input(&self) -> bool {
        !self.restored.is_empty() || self.reader.fill_bytes() > 0
    }

    pub(super) fn fill_bytes(&self) -> u64 {
        self.reader.fill_bytes()
    }

    pub(super) fn fill(&self) -> f32 {
        self.reader.fill_bytes() as f32 / self.reader.ring_bytes() as f32
    }
}
