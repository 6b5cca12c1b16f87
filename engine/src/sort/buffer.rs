//! Records in memory, and their order.
//!
//! Each record lies with its key in one place, so that it costs one look at memory to give it out:
//!
//! ```text
//! words of 16 bytes:  [lengths]  record  [key]        lengths: where they differ; key: where the hash is not all of it
//! ```

use super::Item;
use crate::channel::{Batch, BatchShape, WORD_BYTES, Word, bytes_of, bytes_of_mut};
use crate::element::{KeyGroups, KeyHash, Timestamp};
use crate::key::KeyShape;

/// Into how many buckets the shard's part of all hashes is cut, or nearly so many.
const BUCKETS: u32 = if cfg!(test) { 4 } else { 1024 };

/// How much memory is asked for at a time.
const SLAB_WORDS: usize = if cfg!(test) { 64 } else { 1 << 16 };

/// How many rows are brought near before the first of them is given out.
const TOUCHED_AHEAD: usize = 64;

/// One record: what it is sorted by, and where it lies.
#[derive(Clone, Copy)]
struct Entry {
    hash: KeyHash,
    at: Timestamp,
    slab: u32,
    word: u32,
}

/// What an entry is reckoned as: buckets grow by half of what they hold, on average.
const ENTRY_BYTES: u64 = size_of::<Entry>() as u64 * 3 / 2;

/// See the [module](self).
pub(super) struct Buffer {
    shape: BatchShape,
    first_hash: KeyHash,
    /// How far a hash is shifted to give the number of its bucket.
    shift: u32,
    slabs: Vec<Vec<Word>>,
    spare: Vec<Vec<Word>>,
    buckets: Vec<Vec<Entry>>,
    records: u64,
    slab_bytes: u64,
    /// How far records have been given out.
    given: Given,
}

#[derive(Clone, Copy, Default)]
struct Given {
    bucket: usize,
    is_sorted: bool,
    index: usize,
}

impl Buffer {
    /// For records whose hashes lie in these groups.
    pub(super) fn new(shape: BatchShape, groups: KeyGroups) -> Self {
        let first_hash = groups.first_hash();
        let width = groups.last_hash().map_or(0, |last| last.0 - first_hash.0);
        let bits = u64::BITS - width.leading_zeros();
        let shift = bits.saturating_sub(BUCKETS.trailing_zeros());
        let buckets = (width.checked_shr(shift).unwrap_or(0) + 1) as usize;
        Buffer {
            shape,
            first_hash,
            shift,
            slabs: Vec::new(),
            spare: Vec::new(),
            buckets: vec![Vec::new(); buckets],
            records: 0,
            slab_bytes: 0,
            given: Given::default(),
        }
    }

    /// How much memory the records take.
    pub(super) fn bytes(&self) -> u64 {
        self.slab_bytes + self.records * ENTRY_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds the records of a batch.
    pub(super) fn add(&mut self, batch: &Batch<'_>) {
        let last = self.buckets.len() - 1;
        for (index, (&hash, &at)) in batch.hashes().iter().zip(batch.timestamps()).enumerate() {
            let (slab, word) = self.place(batch.record_bytes(index), batch.key_bytes(index));
            // A hash of another shard's would be a fault elsewhere; it is kept, in the last bucket.
            let bucket = (hash.0.wrapping_sub(self.first_hash.0) >> self.shift) as usize;
            self.buckets[bucket.min(last)].push(Entry { hash, at, slab, word });
        }
        self.records += batch.len() as u64;
    }

    /// Copies a record and its key, and says where they lie.
    fn place(&mut self, record: &[u8], key: &[u8]) -> (u32, u32) {
        let header = usize::from(!self.has_fixed_sizes());
        let (record_words, key_words) = (words_for(record.len()), words_for(key.len()));
        // Even what has no bytes lies somewhere.
        let words = (header + record_words + key_words).max(1);
        let fits = self.slabs.last().is_some_and(|slab| slab.capacity() - slab.len() >= words);
        if !fits {
            let spare = self.spare.pop().filter(|spare| spare.capacity() >= words);
            let slab = spare.unwrap_or_else(|| Vec::with_capacity(words.max(SLAB_WORDS)));
            self.slab_bytes += (slab.capacity() * WORD_BYTES) as u64;
            self.slabs.push(slab);
        }
        let number = self.slabs.len() - 1;
        let slab = &mut self.slabs[number];
        let word = slab.len();
        if header == 1 {
            slab.push(Word([record.len() as u64, key.len() as u64]));
        }
        let at = slab.len();
        slab.resize(word + words, Word::ZERO);
        bytes_of_mut(&mut slab[at..])[..record.len()].copy_from_slice(record);
        bytes_of_mut(&mut slab[at + record_words..])[..key.len()].copy_from_slice(key);
        (number as u32, word as u32)
    }

    fn has_fixed_sizes(&self) -> bool {
        self.shape.record_size.is_some() && self.shape.key != KeyShape::Var
    }

    /// The record of an entry, and its key.
    fn row(&self, entry: &Entry) -> (&[u8], &[u8]) {
        let row = &self.slabs[entry.slab as usize][entry.word as usize..];
        let (record, key, row) = match (self.shape.record_size, self.shape.key) {
            (Some(record), KeyShape::InHash) => (record, 0, row),
            (Some(record), KeyShape::Fixed(key)) => (record, key, row),
            _ => {
                let Word([record, key]) = row[0];
                (record as usize, key as usize, &row[1..])
            }
        };
        (&bytes_of(row)[..record], &bytes_of(&row[words_for(record)..])[..key])
    }

    /// Gives records out in order, at most so many and at most those of one bucket. Returns whether there are more. Ends early where `each`
    /// says that it takes no more.
    pub(super) fn give(&mut self, most: usize, mut each: impl FnMut(Item<'_>) -> bool) -> bool {
        while self.buckets.get(self.given.bucket).is_some_and(Vec::is_empty) {
            self.given = Given { bucket: self.given.bucket + 1, ..Given::default() };
        }
        let Given { bucket, is_sorted, index } = self.given;
        if bucket == self.buckets.len() {
            return false;
        }
        if !is_sorted {
            self.sort(bucket);
            self.given.is_sorted = true;
        }
        let entries = &self.buckets[bucket];
        let (end, len) = (entries.len().min(index + most), entries.len());
        let mut next = index;
        'given: for entries in entries[index..end].chunks(TOUCHED_AHEAD) {
            self.touch(entries);
            for entry in entries {
                let (record, key) = self.row(entry);
                next += 1;
                if !each(Item { at: entry.at, hash: entry.hash, key, record }) {
                    break 'given;
                }
            }
        }
        self.given.index = next;
        if next == len {
            self.given = Given { bucket: bucket + 1, ..Given::default() };
        }
        true
    }

    /// Has the memory of some rows brought near, all at once: they lie anywhere, and to wait for one after the other takes several times as
    /// long.
    fn touch(&self, entries: &[Entry]) {
        let first_words =
            entries.iter().map(|entry| self.slabs[entry.slab as usize][entry.word as usize].0[0]);
        std::hint::black_box(first_words.fold(0, u64::wrapping_add));
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        self.row(entry).1
    }

    /// By hash, key and event time; what is equal stays as it came.
    fn sort(&mut self, bucket: usize) {
        let mut entries = std::mem::take(&mut self.buckets[bucket]);
        entries.sort_by_key(|entry| (entry.hash, entry.at));
        if self.shape.key != KeyShape::InHash {
            // Different keys of one hash are rare: it is enough to look for them.
            for same_hash in entries.chunk_by_mut(|a, b| a.hash == b.hash) {
                let first = self.key(&same_hash[0]);
                if same_hash.iter().any(|entry| self.key(entry) != first) {
                    same_hash.sort_by(|a, b| self.key(a).cmp(self.key(b)).then(a.at.cmp(&b.at)));
                }
            }
        }
        self.buckets[bucket] = entries;
    }

    /// Forgets all records. Memory is kept for the next ones, or given back.
    pub(super) fn clear(&mut self, keep: bool) {
        self.given = Given::default();
        (self.records, self.slab_bytes) = (0, 0);
        if keep {
            self.buckets.iter_mut().for_each(Vec::clear);
            // What a single large record took is not kept.
            let slabs = self.slabs.drain(..).filter(|slab| slab.capacity() == SLAB_WORDS);
            self.spare.extend(slabs.map(|mut slab| {
                slab.clear();
                slab
            }));
        } else {
            self.buckets.iter_mut().for_each(|bucket| *bucket = Vec::new());
            (self.slabs, self.spare) = (Vec::new(), Vec::new());
        }
    }
}

/// How many words hold so many bytes.
fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}
