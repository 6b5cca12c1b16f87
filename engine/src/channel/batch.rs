//! A batch of records as a consumer sees it: columns, in place, whether they lie on a ring, in a checkpoint's bytes or in an open batch.

#![allow(unsafe_code)] // Records are viewed in place.

use std::marker::PhantomData;

use super::error::FrameFault;
use super::frame::stride;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, KeyShape};
use crate::record::Record;

/// What the records and keys of an exchange look like; the same for all its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// The size of every archived record, where it is the same for all.
    pub record_size: Option<usize>,
    /// How keys travel. [`KeyShape::InHash`] where the exchange has none.
    pub key: KeyShape,
    /// Whether key hashes travel: whether the exchange is keyed.
    pub hashed: bool,
}

impl BatchShape {
    /// The shape of a keyed exchange.
    pub const fn keyed<T: Record, K: Key + ?Sized>() -> BatchShape {
        BatchShape { record_size: T::SIZE, key: K::SHAPE, hashed: true }
    }

    /// The shape of an exchange without keys.
    pub const fn unkeyed<T: Record>() -> BatchShape {
        BatchShape { record_size: T::SIZE, key: KeyShape::InHash, hashed: false }
    }
}

/// A borrowed batch.
///
/// Whoever makes one guarantees: `timestamps` has one entry per record, so have `hashes` where the shape is hashed and `key_ends` and
/// `record_ends` where sizes vary; `keys` and `records` hold `len` times the size (records: the stride) where it is fixed; `records` starts at a
/// multiple of 16.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub(super) shape: BatchShape,
    pub(super) timestamps: &'a [Timestamp],
    pub(super) hashes: &'a [KeyHash],
    pub(super) key_ends: &'a [u32],
    pub(super) keys: &'a [u8],
    pub(super) record_ends: &'a [u32],
    pub(super) records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// How many records it holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether it holds none (an open batch can; a frame cannot).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// What its records and keys look like.
    #[inline]
    pub fn shape(&self) -> BatchShape {
        self.shape
    }

    /// The event time of each record.
    #[inline]
    pub fn timestamps(&self) -> &'a [Timestamp] {
        self.timestamps
    }

    /// The key hash of each record; empty where the exchange is not keyed.
    #[inline]
    pub fn hashes(&self) -> &'a [KeyHash] {
        self.hashes
    }

    /// The canonical encoding of the key of record `index`; empty where the hash is the key.
    ///
    /// # Panics
    /// Where there is no such record.
    #[inline]
    pub fn key_bytes(&self, index: usize) -> &'a [u8] {
        match self.shape.key {
            KeyShape::InHash => &[],
            KeyShape::Fixed(size) => &self.keys[index * size..][..size],
            KeyShape::Var => {
                let start = if index == 0 { 0 } else { self.key_ends[index - 1] as usize };
                &self.keys[start..self.key_ends[index] as usize]
            }
        }
    }

    /// The archived bytes of record `index`, at a multiple of 16, in their true length.
    ///
    /// # Panics
    /// Where there is no such record.
    #[inline]
    pub fn record_bytes(&self, index: usize) -> &'a [u8] {
        match self.shape.record_size {
            Some(size) => self.fixed_record(index, size),
            None => self.var_record(index),
        }
    }

    /// `size` is that of the shape.
    #[inline]
    fn fixed_record(&self, index: usize, size: usize) -> &'a [u8] {
        debug_assert_eq!(self.shape.record_size, Some(size));
        assert!(index < self.len(), "no such record in the batch");
        // SAFETY: `records` holds `len` times the stride (see the type), `index` is below `len` and `size` at most the stride.
        unsafe { self.records.get_unchecked(index * stride(size)..index * stride(size) + size) }
    }

    #[inline]
    fn var_record(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { stride(self.record_ends[index - 1] as usize) };
        &self.records[start..self.record_ends[index] as usize]
    }

    /// The view of record `index`.
    ///
    /// # Safety
    /// The batch holds records of this very type and layout: it is a batch of an exchange of `T`, written by this process or restored from a
    /// checkpoint whose checksum and layout fingerprint were compared.
    ///
    /// # Panics
    /// Where there is no such record.
    #[inline]
    pub unsafe fn record_unchecked<T: Record>(&self, index: usize) -> &'a T::View {
        let bytes = match T::SIZE {
            Some(size) => self.fixed_record(index, size),
            None => self.var_record(index),
        };
        // SAFETY: these are the whole bytes of one record of `T` (the caller), aligned (see the type and `stride`).
        unsafe { T::view_unchecked(bytes) }
    }

    /// All records as views.
    ///
    /// # Safety
    /// As for [`Batch::record_unchecked`].
    ///
    /// # Panics
    /// Where the batch's records have another size than those of `T`.
    #[inline]
    pub unsafe fn views<T: Record>(&self) -> Views<'a, T> {
        assert_eq!(self.shape.record_size, T::SIZE, "a batch of other records");
        Views { batch: *self, records: PhantomData }
    }

    /// Whether the ends of keys and records ascend, start each record at a word, and stay within their bytes.
    pub(super) fn check_ends(&self) -> Result<(), FrameFault> {
        check_ends("key", self.key_ends, Some)?;
        // The next record starts at the next word.
        check_ends("record", self.record_ends, |end| end.checked_next_multiple_of(super::WORD_BYTES as u32))
    }
}

/// The last end is the length of the bytes by construction, so ascending ends stay within them.
fn check_ends(
    column: &'static str,
    ends: &[u32],
    next_start: impl Fn(u32) -> Option<u32>,
) -> Result<(), FrameFault> {
    let mut start = Some(0);
    for (index, end) in ends.iter().enumerate() {
        if start.is_none_or(|start| *end < start) {
            return Err(FrameFault::Ends { column, index });
        }
        start = next_start(*end);
    }
    Ok(())
}

/// The records of a batch as views of `T`: as cheap as indexing an array where the size is fixed.
pub struct Views<'a, T> {
    batch: Batch<'a>,
    records: PhantomData<fn() -> T>,
}

impl<'a, T: Record> Views<'a, T> {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// One of them.
    ///
    /// # Panics
    /// Where there is no such record.
    #[inline]
    pub fn get(&self, index: usize) -> &'a T::View {
        // SAFETY: whoever made `self` (`Batch::views`) promised that these are records of `T`.
        unsafe { self.batch.record_unchecked::<T>(index) }
    }

    /// All of them, in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a T::View> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}
