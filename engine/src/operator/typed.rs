//! A batch whose record type is known: the one place where an exchange's bytes become views without a check.
#![allow(unsafe_code)] // views records in place, trusting the types of the exchange

use std::marker::PhantomData;
use std::ops::Range;

use crate::channel::Batch;
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key, KeyShape};
use crate::record::{Record, View};

/// A batch of archived `T`s, or a stretch of one.
pub struct BatchOf<'a, T> {
    batch: Batch<'a>,
    /// Where in the batch it begins.
    first: usize,
    timestamps: &'a [Timestamp],
    hashes: &'a [KeyHash],
    record: PhantomData<fn() -> T>,
}

/// Takes a batch that came out of an exchange of `T`s for one of `T`s.
///
/// Called by [`Inputs::batch`](super::inputs::Inputs) alone, for inlets that were opened with the shape of that input. Both ends of an
/// exchange are made from one stream, so that what the producer archived is what the consumer views; restored frames are of the same
/// layout, whose fingerprint was compared when the job was restored.
#[inline(always)]
pub(crate) fn trust<T: Record>(batch: Batch<'_>, stretch: Range<usize>) -> BatchOf<'_, T> {
    // An exchange without keys has no hashes.
    let hashes = batch.hashes().get(stretch.clone()).unwrap_or_default();
    BatchOf {
        batch,
        first: stretch.start,
        timestamps: &batch.timestamps()[stretch],
        hashes,
        record: PhantomData,
    }
}

/// The key of a record of a batch, which is a `K`, for people to read. None where the exchange has no keys.
pub(crate) fn shown_key<K: Key + ?Sized>(batch: Batch<'_>, index: usize, seed: HashSeed) -> Option<String> {
    let hash = *batch.hashes().get(index)?;
    let bytes = match K::SHAPE {
        KeyShape::InHash => &[],
        _ => batch.key_bytes(index),
    };
    Some(K::show(hash, bytes, seed))
}

impl<'a, T: Record> BatchOf<'a, T> {
    /// How many records it holds.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// The records' event times.
    #[inline(always)]
    pub fn timestamps(&self) -> &'a [Timestamp] {
        self.timestamps
    }

    /// The hashes of the records' keys.
    #[inline(always)]
    pub fn hashes(&self) -> &'a [KeyHash] {
        self.hashes
    }

    /// The canonical bytes of a record's key, which is a `K`; none where the hash is the key.
    #[inline(always)]
    pub fn key_bytes<K: Key + ?Sized>(&self, index: usize) -> &'a [u8] {
        match K::SHAPE {
            KeyShape::InHash => &[],
            _ => self.batch.key_bytes(self.first + index),
        }
    }

    /// The archived bytes of a record.
    #[inline(always)]
    pub fn record_bytes(&self, index: usize) -> &'a [u8] {
        self.batch.record_bytes(self.first + index)
    }

    /// A record's view.
    #[inline(always)]
    pub fn record(&self, index: usize) -> &'a View<T> {
        // SAFETY: the records are archived `T`s (`trust`).
        unsafe { self.batch.record_unchecked::<T>(self.first + index) }
    }
}
