//! A batch whose record type is known: the one place where an exchange's bytes become views without a check.
#![allow(unsafe_code)] // views records in place, trusting the types of the exchange

use std::marker::PhantomData;

use crate::channel::Batch;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, KeyShape};
use crate::record::{Record, View};

/// A batch of archived `T`s.
pub struct BatchOf<'a, T> {
    batch: Batch<'a>,
    record: PhantomData<fn() -> T>,
}

/// Takes a batch that came out of an exchange of `T`s for one of `T`s.
///
/// Called by [`Inputs::batch`](super::inputs::Inputs) alone, for inlets that were opened with the shape of that input. Both ends of an
/// exchange are made from one stream, so that what the producer archived is what the consumer views; restored frames are of the same
/// layout, whose fingerprint was compared when the job was restored.
#[inline(always)]
pub(crate) fn trust<T: Record>(batch: Batch<'_>) -> BatchOf<'_, T> {
    BatchOf { batch, record: PhantomData }
}

impl<'a, T: Record> BatchOf<'a, T> {
    /// How many records it holds.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The records' event times.
    #[inline(always)]
    pub fn timestamps(&self) -> &'a [Timestamp] {
        self.batch.timestamps()
    }

    /// The hashes of the records' keys.
    #[inline(always)]
    pub fn hashes(&self) -> &'a [KeyHash] {
        self.batch.hashes()
    }

    /// The canonical bytes of a record's key, which is a `K`; none where the hash is the key.
    #[inline(always)]
    pub fn key_bytes<K: Key + ?Sized>(&self, index: usize) -> &'a [u8] {
        match K::SHAPE {
            KeyShape::InHash => &[],
            _ => self.batch.key_bytes(index),
        }
    }

    /// The archived bytes of a record.
    #[inline(always)]
    pub fn record_bytes(&self, index: usize) -> &'a [u8] {
        self.batch.record_bytes(index)
    }

    /// A record's view.
    #[inline(always)]
    pub fn record(&self, index: usize) -> &'a View<T> {
        // SAFETY: the records are archived `T`s (`trust`).
        unsafe { self.batch.record_unchecked::<T>(index) }
    }
}
