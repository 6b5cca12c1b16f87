//! The batch that a producer fills: columns that are written where they will be copied from.

#![allow(unsafe_code)] // A plain record is copied as its own bytes; columns are written without a second bounds check.

use std::ops::Range;

use super::batch::{Batch, BatchShape};
use super::frame::{FrameWriter, HEADER_WORDS, WORD_BYTES, Word, bytes_of, stride, words_for};
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, KeyShape};
use crate::limits::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use crate::record::{Record, RecordBuf};

/// A batch being filled. It is full at [`BATCH_RECORDS_MAX`] records or [`BATCH_BYTES_MAX`] bytes of records and keys; where records and keys have a
/// fixed size, all memory is there from the start.
pub struct OpenBatch {
    shape: BatchShape,
    /// The size of every record, or [`VARIABLE`]: the shape's, in a form that one comparison tells.
    record_size: usize,
    /// How many records make it full: [`BATCH_RECORDS_MAX`], or fewer where large fixed-size records reach the limit of bytes sooner.
    limit: usize,
    len: usize,
    timestamps: Box<[Timestamp; BATCH_RECORDS_MAX]>,
    hashes: Box<[KeyHash; BATCH_RECORDS_MAX]>,
    key_ends: Vec<u32>,
    keys: Vec<u8>,
    record_ends: Vec<u32>,
    records: RecordBuf,
}

/// Stands for no fixed size.
const VARIABLE: usize = usize::MAX;

/// Records of no more bytes are copied word by word.
const COPIED_BY_WORDS_MAX: usize = 64;

/// Copies a record, whose `size` the compiler knows. What a source has just made was stored field by field if it is in memory at all: one
/// load of several fields would have to wait until all stores are through, and one copy of the whole keeps the compiler from leaving the
/// fields in registers.
///
/// # Safety
/// As for [`std::ptr::copy_nonoverlapping`]; the bytes are initialised.
#[inline(always)]
unsafe fn copy_by_words(from: *const u8, to: *mut u8, size: usize) {
    const WORD: usize = size_of::<u64>();
    let words = if size <= COPIED_BY_WORDS_MAX { size / WORD } else { 0 };
    // Not a loop, which would become one copy again.
    macro_rules! copy_words {
        ($($word:literal)*) => {$(
            if $word < words {
                // SAFETY: the word lies within the first `size` bytes of both.
                unsafe {
                    let word = from.add($word * WORD).cast::<u64>().read_unaligned();
                    to.add($word * WORD).cast::<u64>().write_unaligned(word);
                }
            }
        )*};
    }
    copy_words!(0 1 2 3 4 5 6 7);
    const { assert!(COPIED_BY_WORDS_MAX == 8 * WORD) };
    // SAFETY: what is left of the bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(from.add(words * WORD), to.add(words * WORD), size - words * WORD)
    };
}

impl OpenBatch {
    /// An empty batch.
    pub fn new(shape: BatchShape) -> Self {
        let key_size = if let KeyShape::Fixed(size) = shape.key { size } else { 0 };
        let (limit, record_bytes) = match shape.record_size {
            Some(size) => {
                let each = stride(size) + key_size;
                let limit =
                    BATCH_BYTES_MAX.checked_div(each).unwrap_or(usize::MAX).clamp(1, BATCH_RECORDS_MAX);
                (limit, limit * stride(size))
            }
            None => (BATCH_RECORDS_MAX, BATCH_BYTES_MAX),
        };
        let ends = |needed: bool| Vec::with_capacity(if needed { limit } else { 0 });
        OpenBatch {
            shape,
            record_size: shape.record_size.unwrap_or(VARIABLE),
            limit,
            len: 0,
            timestamps: Box::new([Timestamp(0); BATCH_RECORDS_MAX]),
            hashes: Box::new([KeyHash(0); BATCH_RECORDS_MAX]),
            key_ends: ends(shape.key == KeyShape::Var),
            keys: Vec::with_capacity(limit * key_size),
            record_ends: ends(shape.record_size.is_none()),
            // Never without memory: even empty records lie at a multiple of 16.
            records: RecordBuf::with_capacity(record_bytes.max(WORD_BYTES)),
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn bytes_held(&self) -> u64 {
        let ends = self.key_ends.capacity() + self.record_ends.capacity();
        let columns = size_of_val(&*self.timestamps) + size_of_val(&*self.hashes) + ends * size_of::<u32>();
        (columns + self.keys.capacity() + self.records.capacity()) as u64
    }

    /// Adds a record of a keyed exchange. Says whether the batch is full with it.
    ///
    /// # Panics
    /// Where the batch [is full](OpenBatch::is_full), or its shape is not that of `T` and `K`.
    #[inline]
    pub fn push<T: Record, K: Key + ?Sized>(
        &mut self,
        at: Timestamp,
        hash: KeyHash,
        key: &K,
        record: &T,
    ) -> bool {
        let index = self.next_index(at, hash);
        self.push_key(key);
        self.push_record(index, record);
        self.len = index + 1;
        match (T::SIZE, K::SHAPE) {
            // The limit of records keeps that of bytes.
            (Some(_), KeyShape::InHash | KeyShape::Fixed(_)) => self.len >= self.limit,
            _ => self.is_full(),
        }
    }

    /// Adds a record of an exchange without keys.
    ///
    /// # Panics
    /// As [`OpenBatch::push`].
    #[inline]
    pub fn push_unkeyed<T: Record>(&mut self, at: Timestamp, record: &T) {
        debug_assert!(!self.shape.hashed, "a record without a key on a keyed exchange");
        let index = self.next_index(at, KeyHash(0));
        self.push_record(index, record);
        self.len = index + 1;
    }

    /// Adds a record that is archived already. `key` is empty where the shape has no key bytes.
    ///
    /// # Panics
    /// Where the batch is full or the lengths are not those of its shape.
    pub fn push_bytes(&mut self, at: Timestamp, hash: KeyHash, key: &[u8], record: &[u8]) {
        let index = self.next_index(at, hash);
        match self.shape.key {
            KeyShape::InHash => assert!(key.is_empty(), "the hash is the key"),
            KeyShape::Fixed(size) => assert_eq!(key.len(), size, "a key of another size"),
            KeyShape::Var => {}
        }
        self.keys.extend_from_slice(key);
        self.end_key();
        self.push_archived_record(index, record);
    }

    /// Adds a record that is archived already, of a keyed exchange.
    ///
    /// # Panics
    /// As [`OpenBatch::push`].
    #[inline]
    pub fn push_archived<K: Key + ?Sized>(&mut self, at: Timestamp, hash: KeyHash, key: &K, record: &[u8]) {
        let index = self.next_index(at, hash);
        self.push_key(key);
        self.push_archived_record(index, record);
    }

    /// Adds a record that is archived already, of an exchange without keys.
    ///
    /// # Panics
    /// As [`OpenBatch::push`].
    #[inline]
    pub fn push_archived_unkeyed(&mut self, at: Timestamp, record: &[u8]) {
        debug_assert!(!self.shape.hashed, "a record without a key on a keyed exchange");
        let index = self.next_index(at, KeyHash(0));
        self.push_archived_record(index, record);
    }

    #[inline]
    fn push_archived_record(&mut self, index: usize, record: &[u8]) {
        if let Some(size) = self.shape.record_size {
            assert_eq!(record.len(), size, "a record of another size");
        }
        self.records.extend_from_slice(record);
        self.end_record();
        self.len = index + 1;
    }

    /// The index of the next record, whose time and hash are set.
    #[inline]
    fn next_index(&mut self, at: Timestamp, hash: KeyHash) -> usize {
        let index = self.len;
        assert!(index < self.limit, "the batch is full");
        // SAFETY: the limit is at most the columns' length (`new`).
        unsafe {
            *self.timestamps.get_unchecked_mut(index) = at;
            *self.hashes.get_unchecked_mut(index) = hash;
        }
        index
    }

    #[inline]
    fn push_key<K: Key + ?Sized>(&mut self, key: &K) {
        debug_assert!(self.shape.hashed && self.shape.key == K::SHAPE, "a key of another shape");
        if K::SHAPE != KeyShape::InHash {
            key.encode(&mut self.keys);
            if K::SHAPE == KeyShape::Var {
                self.end_key();
            }
        }
    }

    #[inline]
    fn end_key(&mut self) {
        if self.shape.key == KeyShape::Var {
            self.key_ends.push(end_of(self.keys.len()));
        }
    }

    #[inline]
    fn push_record<T: Record>(&mut self, index: usize, record: &T) {
        assert!(self.record_size == T::SIZE.unwrap_or(VARIABLE), "a record of another shape");
        match T::SIZE {
            Some(size) if T::PLAIN => {
                let start = index * stride(size);
                debug_assert_eq!(self.records.len(), start);
                // SAFETY: `new` made room for `limit` strides of this size (asserted above) and the buffer never shrinks below that; `index`
                // is below `limit` (`next_index`). `PLAIN` promises that the value is `size` bytes without padding. All `stride` bytes
                // are written before the length covers them.
                unsafe {
                    let place = self.records.as_mut_ptr().add(start);
                    copy_by_words(std::ptr::from_ref(record).cast(), place, size);
                    place.add(size).write_bytes(0, stride(size) - size);
                    self.records.set_len(start + stride(size));
                }
            }
            _ => {
                record.encode(&mut self.records);
                self.end_record();
            }
        }
    }

    /// Notes where the record at the end of the buffer ends, and pads it.
    #[inline]
    fn end_record(&mut self) {
        let end = self.records.len();
        if self.shape.record_size.is_none() {
            self.record_ends.push(end_of(end));
        }
        self.records.resize(stride(end), 0);
    }

    /// How many records it holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it has to become a frame before it takes another record.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= self.limit || self.records.len() + self.keys.len() >= BATCH_BYTES_MAX
    }

    /// What its records and keys look like.
    #[inline]
    pub fn shape(&self) -> BatchShape {
        self.shape
    }

    /// Its records, in place.
    pub fn as_batch(&self) -> Batch<'_> {
        Batch {
            shape: self.shape,
            timestamps: &self.timestamps[..self.len],
            hashes: if self.shape.hashed { &self.hashes[..self.len] } else { &[] },
            key_ends: &self.key_ends,
            keys: &self.keys,
            record_ends: &self.record_ends,
            records: self.records.as_slice(),
        }
    }

    /// The length of its frame.
    pub fn frame_words(&self) -> usize {
        self.frame_words_of(0..self.len)
    }

    /// The length of the frame of some of its records.
    pub(super) fn frame_words_of(&self, part: Range<usize>) -> usize {
        let count = part.len();
        let (_, keys) = self.key_part(&part);
        let (_, records) = self.record_part(&part);
        frame_words(&self.shape, count, keys.len(), records.len())
    }

    /// Writes its frame.
    ///
    /// # Panics
    /// Where `out` is not exactly [`OpenBatch::frame_words`] long.
    pub fn write_frame(&self, out: &mut [Word]) {
        self.write_frame_of(0..self.len, out);
    }

    /// Writes the frame of some of its records.
    #[inline]
    pub(super) fn write_frame_of(&self, part: Range<usize>, out: &mut [Word]) {
        let mut frame = FrameWriter::new(out, &self.shape, part.len());
        frame.timestamps(&self.timestamps[part.clone()]);
        if self.shape.hashed {
            frame.hashes(&self.hashes[part.clone()]);
        }
        let (key_base, keys) = self.key_part(&part);
        if self.shape.key == KeyShape::Var {
            frame.ends(&self.key_ends[part.clone()], key_base);
        }
        frame.bytes(keys);
        let (record_base, records) = self.record_part(&part);
        if self.shape.record_size.is_none() {
            frame.ends(&self.record_ends[part], record_base);
        }
        frame.bytes(records);
        frame.finish();
    }

    /// The key bytes of some records, and where they start.
    fn key_part(&self, part: &Range<usize>) -> (u32, &[u8]) {
        let place = |index: usize| match self.shape.key {
            KeyShape::InHash => 0,
            KeyShape::Fixed(size) => index * size,
            KeyShape::Var if index == 0 => 0,
            KeyShape::Var => self.key_ends[index - 1] as usize,
        };
        let (start, end) = (place(part.start), place(part.end));
        (start as u32, &self.keys[start..end])
    }

    /// The bytes of some records, and where they start. Where sizes vary, the last one is not padded.
    fn record_part(&self, part: &Range<usize>) -> (u32, &[u8]) {
        let (start, end) = match self.shape.record_size {
            Some(size) => (part.start * stride(size), part.end * stride(size)),
            None => {
                let start =
                    if part.start == 0 { 0 } else { stride(self.record_ends[part.start - 1] as usize) };
                (start, if part.is_empty() { start } else { self.record_ends[part.end - 1] as usize })
            }
        };
        (start as u32, &self.records[start..end])
    }

    /// Appends its frame to the bytes of a checkpoint. Nothing where it is empty.
    pub(crate) fn save(&self, save: &mut Vec<u8>) {
        if !self.is_empty() {
            let mut words = vec![Word::ZERO; self.frame_words()];
            self.write_frame(&mut words);
            save.extend_from_slice(bytes_of(&words));
        }
    }

    /// Forgets all records and keeps the memory, except what a single large record took.
    pub fn clear(&mut self) {
        self.len = 0;
        self.key_ends.clear();
        self.keys.clear();
        self.record_ends.clear();
        self.records.clear();
        let variable = self.shape.record_size.is_none();
        if variable && self.records.capacity() > 4 * BATCH_BYTES_MAX {
            self.records = RecordBuf::with_capacity(BATCH_BYTES_MAX);
        }
        if self.keys.capacity() > 4 * BATCH_BYTES_MAX {
            self.keys.shrink_to(BATCH_BYTES_MAX);
        }
    }

    /// The longest frame of a batch of this shape, not counting what a last record adds that passes the limit of bytes.
    pub(super) fn full_frame_words(&self) -> usize {
        let keys = match self.shape.key {
            KeyShape::InHash => 0,
            KeyShape::Fixed(size) => self.limit * size,
            KeyShape::Var => BATCH_BYTES_MAX,
        };
        let records = self.shape.record_size.map_or(BATCH_BYTES_MAX, |size| self.limit * stride(size));
        frame_words(&self.shape, self.limit, keys, records)
    }

    /// The frame of one record with the shortest record and key that the shape allows.
    pub(super) fn least_frame_words(&self) -> usize {
        let keys = if let KeyShape::Fixed(size) = self.shape.key { size } else { 0 };
        frame_words(&self.shape, 1, keys, self.shape.record_size.map_or(0, stride))
    }
}

fn frame_words(shape: &BatchShape, count: usize, key_bytes: usize, record_bytes: usize) -> usize {
    let numbers = words_for(count * size_of::<u64>());
    let ends = words_for(count * size_of::<u32>());
    HEADER_WORDS
        + numbers
        + if shape.hashed { numbers } else { 0 }
        + if shape.key == KeyShape::Var { ends } else { 0 }
        + words_for(key_bytes)
        + if shape.record_size.is_none() { ends } else { 0 }
        + words_for(record_bytes)
}

/// An end as it travels. Past 4 GiB it is wrong, and stands for more than half of the largest ring: such a record is refused when the batch is
/// sealed.
#[inline]
fn end_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
