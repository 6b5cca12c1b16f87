//! Frames that come from a checkpoint: the in-flight records of a channel, read before anything new.

use super::batch::BatchShape;
use super::error::{FrameError, FrameFault};
use super::frame::{Frame, WORD_BYTES, Word, bytes_of, bytes_of_mut};

/// A queue of frames that were checked when they were read from a checkpoint's bytes.
#[derive(Clone, Debug, Default)]
pub struct SavedFrames {
    words: Vec<Word>,
    /// Where the first unread frame starts.
    at: usize,
}

impl SavedFrames {
    /// Reads frames that lie one after the other, as [`Outlet::switch`](super::Outlet::switch) and
    /// [`Inlet::take_capture`](super::Inlet::take_capture) give them, and checks every length, offset and alignment. The bytes of records and keys are not
    /// checked: they are trusted after the checkpoint's checksum and layout fingerprint.
    ///
    /// An end is left out. A producer that has ended says so again after a restart, and one that has got more to say does not.
    ///
    /// # Errors
    /// Names the first frame that is not one, or is not of this shape.
    pub fn parse(bytes: &[u8], shape: &BatchShape) -> Result<Self, FrameError> {
        let mut words = vec![Word::ZERO; bytes.len() / WORD_BYTES];
        let whole = words.len() * WORD_BYTES;
        bytes_of_mut(&mut words).copy_from_slice(&bytes[..whole]);
        let (mut at, mut dropped) = (0, 0);
        while at < words.len() {
            let fail = |fault| FrameError { at_byte: ((at + dropped) * WORD_BYTES) as u64, fault };
            let (frame, length) = Frame::parse(&words[at..]).map_err(fail)?;
            match frame {
                Frame::Batch(batch) if batch.shape() != *shape => return Err(fail(FrameFault::Shape)),
                Frame::End => {
                    words.drain(at..at + length);
                    dropped += length;
                }
                _ => at += length,
            }
        }
        if whole != bytes.len() {
            let left = (bytes.len() - whole) as u64;
            return Err(FrameError {
                at_byte: whole as u64,
                fault: FrameFault::Truncated { needed: WORD_BYTES as u64, left },
            });
        }
        Ok(SavedFrames { words, at: 0 })
    }

    /// Adds frames behind those that are here.
    pub fn append(&mut self, more: SavedFrames) {
        self.words.extend_from_slice(more.unread());
    }

    /// Whether all frames were read.
    pub fn is_empty(&self) -> bool {
        self.at == self.words.len()
    }

    /// The first unread frame.
    pub fn front(&self) -> Option<Frame<'_>> {
        self.front_words().map(Frame::parse_trusted)
    }

    /// Marks the first unread frame as read.
    pub fn pop(&mut self) {
        self.at += self.front_words().map_or(0, <[Word]>::len);
        if self.is_empty() {
            *self = SavedFrames::default();
        }
    }

    /// All unread frames, in order.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut rest = self.unread();
        std::iter::from_fn(move || {
            let (frame, behind) = rest.split_at(first_frame_words(rest)?);
            rest = behind;
            Some(Frame::parse_trusted(frame))
        })
    }

    fn unread(&self) -> &[Word] {
        &self.words[self.at..]
    }

    fn front_words(&self) -> Option<&[Word]> {
        let unread = self.unread();
        first_frame_words(unread).map(|length| &unread[..length])
    }

    /// How many words are unread.
    pub(super) fn unread_words(&self) -> usize {
        self.unread().len()
    }

    /// Appends unread frames, from `skip` words behind the first unread one on, until `words` words or more are copied; returns how many were.
    pub(super) fn save_from(&self, skip: usize, words: usize, save: &mut Vec<u8>) -> usize {
        let rest = &self.unread()[skip..];
        let mut copied = 0;
        while copied < words
            && let Some(length) = first_frame_words(&rest[copied..])
        {
            copied += length;
        }
        save.extend_from_slice(bytes_of(&rest[..copied]));
        copied
    }
}

fn first_frame_words(words: &[Word]) -> Option<usize> {
    words.first().map(|first| super::Control::frame_words(*first) as usize)
}

/// Whether there is a batch among saved frames.
pub(crate) fn holds_records(bytes: &[u8]) -> bool {
    let mut words = vec![Word::ZERO; bytes.len() / WORD_BYTES];
    let whole = words.len() * WORD_BYTES;
    bytes_of_mut(&mut words).copy_from_slice(&bytes[..whole]);
    let mut rest = &words[..];
    while let Some(length) = first_frame_words(rest) {
        let (frame, behind) = rest.split_at(length);
        if matches!(Frame::parse_trusted(frame), Frame::Batch(_)) {
            return true;
        }
        rest = behind;
    }
    false
}
