//! The ring between two shards: `rtrb` with whole, contiguous frames and positions that never wrap. The only file that names `rtrb`.
//!
//! A frame that would straddle the end of the ring starts at the ring's beginning instead; a pad fills the gap. A frame is at most half
//! the ring: then pad and frame together always fit an empty ring, wherever its position stands.

#![allow(unsafe_code)] // Slots are lent out as plain slices of words.

use super::frame::{Control, Word};

/// A new ring of `words` words, all zeroed (and so paged in).
pub fn ring(words: usize) -> (RingWriter, RingReader) {
    assert!(words >= 2 * super::HEADER_WORDS, "a ring holds at least one control frame in its half");
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Word>::new(words);
    // Every slot is written once: from here on all of the ring's memory is initialised, and may be lent out as `&mut [Word]`.
    let chunk = producer.write_chunk_uninit(words).expect("a new ring is empty");
    chunk.fill_from_iter(std::iter::repeat_n(Word::ZERO, words));
    consumer.read_chunk(words).expect("the ring was just filled").commit_all();
    let writer =
        RingWriter { producer, words: words as u64, position: 0, offset: 0, known_room: words as u64 };
    let reader = RingReader { consumer, words: words as u64, position: 0, known_end: 0 };
    (writer, reader)
}

/// The producer's end of a ring.
pub struct RingWriter {
    producer: rtrb::Producer<Word>,
    words: u64,
    /// Words ever written, pads included.
    position: u64,
    /// `position % words`.
    offset: u64,
    /// Free words when the ring was last asked, less what was written since.
    known_room: u64,
}

impl RingWriter {
    /// The longest frame, in words.
    pub fn frame_words_max(&self) -> usize {
        (self.words / 2) as usize
    }

    /// How many words were ever written, pads included.
    #[inline]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether a frame of this many words can be written now.
    #[inline]
    pub fn room_for(&mut self, words: usize) -> bool {
        let needed = self.pad_before(words as u64) + words as u64;
        if self.known_room < needed {
            self.known_room = self.producer.slots() as u64;
        }
        needed <= self.known_room
    }

    /// The gap that has to be left so that the frame does not straddle the end.
    #[inline]
    fn pad_before(&self, words: u64) -> u64 {
        let to_end = self.words - self.offset;
        if words <= to_end { 0 } else { to_end }
    }

    /// Writes one frame of `words` words; `fill` must set every one of them (it is given old contents). The consumer sees it at once.
    ///
    /// # Panics
    /// Where there is no [room](RingWriter::room_for), or the frame is empty or longer than half the ring.
    #[inline]
    pub fn write(&mut self, words: usize, fill: impl FnOnce(&mut [Word])) {
        assert!(0 < words && words <= self.frame_words_max(), "a frame is at most half its ring");
        let pad = self.pad_before(words as u64);
        let total = pad + words as u64;
        let mut chunk = self
            .producer
            .write_chunk_uninit(total as usize)
            .expect("the caller made sure that there is room");
        let (first, second) = chunk.as_mut_slices();
        let frame = if pad == 0 {
            first
        } else {
            first[0].write(Control::pad(pad as u32));
            second
        };
        debug_assert_eq!(frame.len(), words);
        // SAFETY: `ring` initialised every slot, and a `Word` that was written stays initialised: it is `Copy` and reading does not move
        // it out.
        fill(unsafe { &mut *(std::ptr::from_mut(frame) as *mut [Word]) });
        // SAFETY: as above, all slots of the chunk are initialised.
        unsafe { chunk.commit_all() };
        self.position += total;
        self.offset = if pad == 0 { self.offset + total } else { words as u64 };
        if self.offset == self.words {
            self.offset = 0;
        }
        // A stale figure may be lower than what the chunk's own look at the ring found.
        self.known_room = self.known_room.saturating_sub(total);
    }

    /// How many bytes the consumer has not consumed yet.
    pub fn fill_bytes(&self) -> u64 {
        (self.words - self.producer.slots() as u64) * super::WORD_BYTES as u64
    }

    /// How many bytes the ring holds.
    pub fn ring_bytes(&self) -> u64 {
        self.words * super::WORD_BYTES as u64
    }
}

/// The consumer's end of a ring.
pub struct RingReader {
    consumer: rtrb::Consumer<Word>,
    words: u64,
    /// Words ever consumed, pads included.
    position: u64,
    /// Words ever written, when the ring was last asked.
    known_end: u64,
}

impl RingReader {
    /// How many words were ever written (asks the ring).
    #[inline]
    pub fn available(&mut self) -> u64 {
        self.known_end = self.position + self.consumer.slots() as u64;
        self.known_end
    }

    /// How many words were ever written, when the ring was last [asked](RingReader::available).
    #[inline]
    pub fn known_end(&self) -> u64 {
        self.known_end
    }

    /// How many words were ever consumed.
    #[inline]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The frame at a position between [`RingReader::position`] and [`RingReader::known_end`] (exclusive), and the position after it. Where a
    /// pad lies there, the frame behind it. Nothing is consumed.
    ///
    /// # Panics
    /// Where the position is outside these bounds.
    #[inline]
    pub fn frame_at(&mut self, at: u64) -> (&[Word], u64) {
        let words = self.words_at(at);
        let length = Control::frame_words(words[0]) as usize;
        if Control::is_pad(words[0]) {
            return self.frame_behind_pad(at + length as u64);
        }
        (&self.words_at(at)[..length], at + length as u64)
    }

    #[cold]
    fn frame_behind_pad(&mut self, at: u64) -> (&[Word], u64) {
        let words = self.words_at(at);
        let length = Control::frame_words(words[0]) as usize;
        (&words[..length], at + length as u64)
    }

    /// The visible words from a position up to the end of the ring's memory.
    #[inline]
    fn words_at(&mut self, at: u64) -> &[Word] {
        assert!(self.position <= at && at < self.known_end, "a position outside of what lies on the ring");
        let unread = (self.known_end - self.position) as usize;
        let chunk = self.consumer.read_chunk(unread).expect("the ring said that this much is there");
        let (first, second) = chunk.as_slices();
        let skip = (at - self.position) as usize;
        let words = match skip.checked_sub(first.len()) {
            None => &first[skip..],
            Some(skip) => &second[skip..],
        };
        // SAFETY: the slots between head and tail belong to the consumer until it moves the head, which takes `&mut self` (`consume_to`),
        // and stay in place as long as the ring, which `self` keeps alive. The lifetime is that of the borrow of `self`.
        unsafe { std::slice::from_raw_parts(words.as_ptr(), words.len()) }
    }

    /// Gives everything before `position` back to the producer.
    ///
    /// # Panics
    /// Where the position was consumed already or lies past [`RingReader::known_end`].
    #[inline]
    pub fn consume_to(&mut self, position: u64) {
        assert!(
            self.position <= position && position <= self.known_end,
            "only what lies on the ring is consumed"
        );
        let words = (position - self.position) as usize;
        self.consumer.read_chunk(words).expect("the ring said that this much is there").commit_all();
        self.position = position;
    }

    /// How many bytes lie unread (asks the ring).
    pub fn fill_bytes(&self) -> u64 {
        self.consumer.slots() as u64 * super::WORD_BYTES as u64
    }

    /// How many bytes the ring holds.
    pub fn ring_bytes(&self) -> u64 {
        self.words * super::WORD_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use proptest::prelude::*;

    /// A frame of `words` words that is recognised again: a watermark whose header says how long it is.
    fn write(writer: &mut RingWriter, words: usize, tag: u64) {
        writer.write(words, |place| {
            place.fill(Word([tag; 2]));
            place[0] = Word([Control::Idle.words()[0].0[0] & 0xffff_ffff | (words as u64) << 32, tag]);
        });
    }

    fn model_frame(words: usize, tag: u64) -> Vec<Word> {
        let mut frame = vec![Word([tag; 2]); words];
        frame[0] = Word([Control::Idle.words()[0].0[0] & 0xffff_ffff | (words as u64) << 32, tag]);
        frame
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            ring_words in 4usize..70,
            steps in prop::collection::vec((any::<bool>(), 1usize..40), 0..400),
        ) {
            let (mut writer, mut reader) = ring(ring_words);
            let mut model = VecDeque::new();
            for (tag, (is_write, size)) in steps.into_iter().enumerate() {
                if is_write {
                    let words = 1 + size % writer.frame_words_max();
                    if writer.room_for(words) {
                        write(&mut writer, words, tag as u64);
                        model.push_back(model_frame(words, tag as u64));
                    } else {
                        prop_assert!(!model.is_empty(), "an empty ring has room for any frame");
                    }
                    prop_assert_eq!(reader.available(), writer.position());
                } else {
                    // Peek at everything, then consume some of it.
                    reader.available();
                    let (mut at, mut ends) = (reader.position(), vec![]);
                    for frame in &model {
                        let (words, next) = reader.frame_at(at);
                        prop_assert_eq!(words, frame.as_slice());
                        at = next;
                        ends.push(next);
                    }
                    prop_assert_eq!(at, reader.known_end());
                    let count = size.min(ends.len());
                    if count > 0 {
                        reader.consume_to(ends[count - 1]);
                        model.drain(..count);
                    }
                    prop_assert_eq!(reader.fill_bytes(), writer.fill_bytes());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a frame is at most half its ring")]
    fn a_frame_of_more_than_half_the_ring_is_refused() {
        let (mut writer, _reader) = ring(16);
        writer.write(9, |_| ());
    }
}
