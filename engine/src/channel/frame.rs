//! Frames: what lies on a ring and in the saved in-flight part of a checkpoint. `docs/formats/frame.md` draws every byte.
//!
//! A frame is a whole number of 16-byte words: a header of two words, then, for a batch, one column after the other, each padded to a whole
//! word. The bytes are used in place, so their order is the machine's; only little-endian machines are supported.

#![allow(unsafe_code)] // Columns are views of words as the plain numbers they hold.

use super::batch::{Batch, BatchShape};
use super::error::FrameFault;
use crate::element::{KeyHash, Timestamp};
use crate::key::KeyShape;
use crate::record::RECORD_ALIGN;

#[cfg(not(target_endian = "little"))]
compile_error!("frames are saved as they lie in memory, little endian");

/// The unit of rings and frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Word(pub [u64; 2]);

impl Word {
    /// Sixteen zero bytes.
    pub const ZERO: Word = Word([0; 2]);
}

/// The size of a [`Word`], and what every column and record is aligned to.
pub const WORD_BYTES: usize = 16;

/// The length of a frame's header, and of a whole control frame.
pub const HEADER_WORDS: usize = 2;

const _: () = assert!(size_of::<Word>() == WORD_BYTES && WORD_BYTES == RECORD_ALIGN);

const KIND_BATCH: u8 = 1;
const KIND_WATERMARK: u8 = 2;
const KIND_IDLE: u8 = 3;
const KIND_END: u8 = 4;
const KIND_PAD: u8 = 5;

const FLAG_HASHED: u8 = 1;
const FLAG_KEY_FIXED: u8 = 2;
const FLAG_KEY_VAR: u8 = 4;
const FLAG_RECORD_FIXED: u8 = 8;
const FLAGS: u8 = FLAG_HASHED | FLAG_KEY_FIXED | FLAG_KEY_VAR | FLAG_RECORD_FIXED;

/// How many words hold this many bytes.
#[inline]
pub(super) const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}

/// The distance between two fixed-size records of this size.
#[inline]
pub(super) const fn stride(record_size: usize) -> usize {
    record_size.next_multiple_of(WORD_BYTES)
}

/// What a frame says, in place.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'a> {
    /// Records.
    Batch(Batch<'a>),
    /// No record at or before this time will follow (except late ones).
    Watermark(Timestamp),
    /// The producer has nothing to say for a while: event time is not to wait for it. The next batch or watermark ends this.
    Idle,
    /// Nothing follows, ever.
    End,
}

impl<'a> Frame<'a> {
    /// Reads a frame that this process wrote: `words` is exactly the frame.
    ///
    /// # Panics
    /// Where it is not a frame. What a batch holds is not checked (a fault there cannot leave the frame's memory).
    #[inline]
    pub fn parse_trusted(words: &'a [Word]) -> Frame<'a> {
        match Frame::read(words) {
            Ok(frame) => frame,
            Err(fault) => panic!("a ring of this process holds a broken frame: {fault}"),
        }
    }

    /// Reads the first frame of bytes from anywhere, checking every length, offset and alignment, and returns how many words it takes.
    /// The bytes of records and keys themselves are not checked.
    pub fn parse(words: &'a [Word]) -> Result<(Frame<'a>, usize), FrameFault> {
        let left = (words.len() * WORD_BYTES) as u64;
        if words.len() < HEADER_WORDS {
            return Err(FrameFault::Truncated { needed: (HEADER_WORDS * WORD_BYTES) as u64, left });
        }
        let header = Header::read(words[0], words[1]);
        header.check()?;
        let length = header.words as usize;
        if length > words.len() {
            return Err(FrameFault::Truncated { needed: u64::from(header.words) * WORD_BYTES as u64, left });
        }
        let frame = Frame::read(&words[..length])?;
        if let Frame::Batch(batch) = &frame {
            batch.check_ends()?;
        }
        Ok((frame, length))
    }

    #[inline]
    fn read(words: &'a [Word]) -> Result<Frame<'a>, FrameFault> {
        let header = Header::read(words[0], words[1]);
        Ok(match header.kind {
            KIND_BATCH => Frame::Batch(read_batch(&header, &words[HEADER_WORDS..])?),
            KIND_WATERMARK => Frame::Watermark(Timestamp(header.value)),
            KIND_IDLE => Frame::Idle,
            KIND_END => Frame::End,
            kind => return Err(FrameFault::Kind(kind)),
        })
    }
}

/// A frame without records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// See [`Frame::Watermark`].
    Watermark(Timestamp),
    /// See [`Frame::Idle`].
    Idle,
    /// See [`Frame::End`].
    End,
}

impl Control {
    /// The frame.
    pub fn words(self) -> [Word; HEADER_WORDS] {
        let (kind, value) = match self {
            Control::Watermark(at) => (KIND_WATERMARK, at.0),
            Control::Idle => (KIND_IDLE, 0),
            Control::End => (KIND_END, 0),
        };
        Header { kind, words: HEADER_WORDS as u32, value, ..Header::default() }.words()
    }

    /// What the frame says, as a [`Frame`].
    pub fn frame(self) -> Frame<'static> {
        match self {
            Control::Watermark(at) => Frame::Watermark(at),
            Control::Idle => Frame::Idle,
            Control::End => Frame::End,
        }
    }

    /// The first word of a gap of `words` words at the end of a ring. A gap can be a single word, so this is all of a pad that is written.
    #[inline]
    pub(super) fn pad(words: u32) -> Word {
        Header { kind: KIND_PAD, words, ..Header::default() }.words()[0]
    }

    /// Whether a frame with this first word is a pad.
    #[inline]
    pub(super) fn is_pad(first: Word) -> bool {
        Header::read(first, Word::ZERO).kind == KIND_PAD
    }

    /// The length of a frame with this first word.
    #[inline]
    pub(super) fn frame_words(first: Word) -> u32 {
        Header::read(first, Word::ZERO).words
    }
}

/// The header of a frame, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    kind: u8,
    flags: u8,
    reserved: u16,
    words: u32,
    count: u32,
    record_size: u32,
    value: i64,
    key_size: u32,
    reserved_end: u32,
}

impl Header {
    #[inline]
    fn read(first: Word, second: Word) -> Header {
        let [a, b] = first.0;
        let [value, c] = second.0;
        Header {
            kind: a as u8,
            flags: (a >> 8) as u8,
            reserved: (a >> 16) as u16,
            words: (a >> 32) as u32,
            count: b as u32,
            record_size: (b >> 32) as u32,
            value: value as i64,
            key_size: c as u32,
            reserved_end: (c >> 32) as u32,
        }
    }

    #[inline]
    fn words(&self) -> [Word; HEADER_WORDS] {
        let a = u64::from(self.kind)
            | u64::from(self.flags) << 8
            | u64::from(self.reserved) << 16
            | u64::from(self.words) << 32;
        let b = u64::from(self.count) | u64::from(self.record_size) << 32;
        let c = u64::from(self.key_size) | u64::from(self.reserved_end) << 32;
        [Word([a, b]), Word([self.value as u64, c])]
    }

    fn of_batch(shape: &BatchShape, count: usize, words: usize) -> Header {
        let (key_flag, key_size) = match shape.key {
            KeyShape::InHash => (0, 0),
            KeyShape::Fixed(size) => (FLAG_KEY_FIXED, size),
            KeyShape::Var => (FLAG_KEY_VAR, 0),
        };
        Header {
            kind: KIND_BATCH,
            flags: key_flag
                | if shape.hashed { FLAG_HASHED } else { 0 }
                | if shape.record_size.is_some() { FLAG_RECORD_FIXED } else { 0 },
            words: u32::try_from(words).expect("a frame is at most half a ring, and that less than 4 GiB"),
            count: count as u32,
            record_size: shape.record_size.unwrap_or(0) as u32,
            key_size: key_size as u32,
            ..Header::default()
        }
    }

    #[inline]
    fn shape(&self) -> BatchShape {
        BatchShape {
            record_size: (self.flags & FLAG_RECORD_FIXED != 0).then_some(self.record_size as usize),
            key: if self.flags & FLAG_KEY_FIXED != 0 {
                KeyShape::Fixed(self.key_size as usize)
            } else if self.flags & FLAG_KEY_VAR != 0 {
                KeyShape::Var
            } else {
                KeyShape::InHash
            },
            hashed: self.flags & FLAG_HASHED != 0,
        }
    }

    /// Whether a writer can have made this header: what it does not use is zero.
    fn check(&self) -> Result<(), FrameFault> {
        let zeroed = match self.kind {
            KIND_BATCH => Header {
                record_size: if self.flags & FLAG_RECORD_FIXED != 0 { self.record_size } else { 0 },
                key_size: if self.flags & FLAG_KEY_FIXED != 0 { self.key_size } else { 0 },
                value: 0,
                reserved: 0,
                reserved_end: 0,
                ..*self
            },
            KIND_WATERMARK => {
                Header { kind: self.kind, words: self.words, value: self.value, ..Header::default() }
            }
            KIND_IDLE | KIND_END => Header { kind: self.kind, words: self.words, ..Header::default() },
            kind => return Err(FrameFault::Kind(kind)),
        };
        if zeroed != *self {
            return Err(FrameFault::Header("value in a field that is not used"));
        }
        let key_flags = self.flags & (FLAG_KEY_FIXED | FLAG_KEY_VAR);
        if self.flags & !FLAGS != 0 || key_flags == FLAG_KEY_FIXED | FLAG_KEY_VAR {
            return Err(FrameFault::Header("combination of flags"));
        }
        let length_possible = if self.kind == KIND_BATCH {
            self.words > HEADER_WORDS as u32
        } else {
            self.words == HEADER_WORDS as u32
        };
        if !length_possible {
            return Err(FrameFault::Header("length"));
        }
        if self.kind == KIND_BATCH && self.count == 0 {
            return Err(FrameFault::Header("count: a batch of no records"));
        }
        Ok(())
    }
}

/// Cuts the columns out of a batch frame. Every length is checked here; the ends of single keys and records are not.
#[inline]
fn read_batch<'a>(header: &Header, columns: &'a [Word]) -> Result<Batch<'a>, FrameFault> {
    let shape = header.shape();
    let count = header.count as usize;
    let mut rest = Columns(columns);
    let timestamps = rest.numbers::<Timestamp>(count)?;
    let hashes = if shape.hashed { rest.numbers::<KeyHash>(count)? } else { &[] };
    let (key_ends, keys) = match shape.key {
        KeyShape::InHash => (&[][..], &[][..]),
        KeyShape::Fixed(size) => (&[][..], rest.bytes(count.checked_mul(size).ok_or(FrameFault::Columns)?)?),
        KeyShape::Var => rest.ends_and_bytes(count)?,
    };
    let (record_ends, records) = match shape.record_size {
        Some(size) => (&[][..], rest.bytes(count.checked_mul(stride(size)).ok_or(FrameFault::Columns)?)?),
        None => rest.ends_and_bytes(count)?,
    };
    if !rest.0.is_empty() {
        return Err(FrameFault::Columns);
    }
    Ok(Batch { shape, timestamps, hashes, key_ends, keys, record_ends, records })
}

/// The columns of a frame that were not read yet.
struct Columns<'a>(&'a [Word]);

impl<'a> Columns<'a> {
    #[inline]
    fn take(&mut self, words: usize) -> Result<&'a [Word], FrameFault> {
        let (column, rest) = self.0.split_at_checked(words).ok_or(FrameFault::Columns)?;
        self.0 = rest;
        Ok(column)
    }

    #[inline]
    fn numbers<T: Number>(&mut self, count: usize) -> Result<&'a [T], FrameFault> {
        let column = self.take(words_for(count.checked_mul(size_of::<T>()).ok_or(FrameFault::Columns)?))?;
        // SAFETY: the column holds at least `count` numbers, is aligned to 16 and outlives 'a unchanged; `Number` promises that all
        // bytes are valid values.
        Ok(unsafe { std::slice::from_raw_parts(column.as_ptr().cast::<T>(), count) })
    }

    #[inline]
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], FrameFault> {
        Ok(&bytes_of(self.take(words_for(count))?)[..count])
    }

    #[inline]
    fn ends_and_bytes(&mut self, count: usize) -> Result<(&'a [u32], &'a [u8]), FrameFault> {
        let ends = self.numbers::<u32>(count)?;
        let bytes = self.bytes(ends.last().map_or(0, |end| *end as usize))?;
        Ok((ends, bytes))
    }
}

/// A plain number that a column holds.
///
/// # Safety
/// Its alignment divides 16, it has no padding, and all bit patterns are values.
unsafe trait Number: Copy {}
// SAFETY: transparent over `i64`.
unsafe impl Number for Timestamp {}
// SAFETY: transparent over `u64`.
unsafe impl Number for KeyHash {}
// SAFETY: plain.
unsafe impl Number for u32 {}

/// The bytes of words.
#[inline]
pub(crate) fn bytes_of(words: &[Word]) -> &[u8] {
    // SAFETY: a `Word` is sixteen plain bytes without padding.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), size_of_val(words)) }
}

/// The bytes of words, to be changed.
#[inline]
pub(crate) fn bytes_of_mut(words: &mut [Word]) -> &mut [u8] {
    // SAFETY: as in `bytes_of`; all bytes are valid in a `Word`, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), size_of_val(words)) }
}

/// Writes a batch frame, column after column. Padding is zeroed, so that no old byte of the ring reaches a checkpoint.
pub(super) struct FrameWriter<'a> {
    rest: &'a mut [Word],
}

impl<'a> FrameWriter<'a> {
    /// Starts the frame that fills `words`.
    #[inline]
    pub(super) fn new(words: &'a mut [Word], shape: &BatchShape, count: usize) -> Self {
        let header = Header::of_batch(shape, count, words.len()).words();
        let (place, rest) = words.split_at_mut(HEADER_WORDS);
        place.copy_from_slice(&header);
        FrameWriter { rest }
    }

    /// The next column, `bytes` long, to be set in full.
    #[inline]
    fn column(&mut self, bytes: usize) -> &mut [u8] {
        let (column, rest) = std::mem::take(&mut self.rest).split_at_mut(words_for(bytes));
        self.rest = rest;
        if let Some(last) = column.last_mut() {
            *last = Word::ZERO;
        }
        &mut bytes_of_mut(column)[..bytes]
    }

    /// A column of event times.
    #[inline]
    pub(super) fn timestamps(&mut self, numbers: &[Timestamp]) {
        self.numbers(numbers);
    }

    /// A column of key hashes.
    #[inline]
    pub(super) fn hashes(&mut self, numbers: &[KeyHash]) {
        self.numbers(numbers);
    }

    #[inline]
    fn numbers<T: Number>(&mut self, numbers: &[T]) {
        // SAFETY: `Number` promises plain bytes without padding.
        let bytes =
            unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers)) };
        self.column(bytes.len()).copy_from_slice(bytes);
    }

    /// A column of bytes.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.column(bytes.len()).copy_from_slice(bytes);
    }

    /// A column of ends, counted from `base` instead of zero.
    #[inline]
    pub(super) fn ends(&mut self, ends: &[u32], base: u32) {
        let column = self.column(size_of_val(ends));
        for (place, end) in column.chunks_exact_mut(4).zip(ends) {
            place.copy_from_slice(&(end - base).to_le_bytes());
        }
    }

    /// Says that the frame is complete.
    #[inline]
    pub(super) fn finish(self) {
        assert!(self.rest.is_empty(), "the columns fill the frame");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_frames_come_back() {
        for control in [Control::Watermark(Timestamp(-7)), Control::Idle, Control::End] {
            let words = control.words();
            let (frame, length) = Frame::parse(&words).unwrap();
            assert_eq!(length, HEADER_WORDS);
            let same = match (frame, control) {
                (Frame::Watermark(a), Control::Watermark(b)) => a == b,
                (Frame::Idle, Control::Idle) | (Frame::End, Control::End) => true,
                _ => false,
            };
            assert!(same, "{control:?} became {frame:?}");
        }
    }

    #[test]
    fn a_pad_is_never_part_of_saved_bytes() {
        let words = [Control::pad(2), Word::ZERO];
        assert!(matches!(Frame::parse(&words), Err(FrameFault::Kind(KIND_PAD))));
    }

    #[test]
    fn headers_keep_their_fields_at_the_documented_bytes() {
        let shape = BatchShape { record_size: Some(24), key: KeyShape::Fixed(5), hashed: true };
        let words = Header::of_batch(&shape, 3, 0x0102).words();
        let bytes = bytes_of(&words);
        assert_eq!(bytes[0], 1, "kind");
        assert_eq!(bytes[1], 0b1011, "flags");
        assert_eq!(bytes[4..8], [2, 1, 0, 0], "words");
        assert_eq!(bytes[8..12], [3, 0, 0, 0], "count");
        assert_eq!(bytes[12..16], [24, 0, 0, 0], "record size");
        assert_eq!(bytes[24..28], [5, 0, 0, 0], "key size");
        assert_eq!(Header::read(words[0], words[1]).shape(), shape);
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(words in prop::collection::vec(any::<[u64; 2]>().prop_map(Word), 0..40)) {
            let _ = Frame::parse(&words);
        }
    }
}
