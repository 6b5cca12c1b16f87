//! Timers in memory, sorted: a copy of what lies in the first leaf.

use std::collections::VecDeque;

use crate::element::KeyHash;

/// A front keeps the bytes of timers that left it until they are this many, and more than the bytes of those that stayed.
const WASTE_BYTES_MAX: usize = 64 * 1024;

/// Timers by timestamp and hash, as they lie in a table. It only copies: throwing it away loses nothing.
#[derive(Default)]
pub(super) struct Front {
    timers: VecDeque<Entry>,
    /// The stored sub-keys.
    bytes: Vec<u8>,
    /// How many of these bytes belong to timers that are still here.
    used: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    at: i64,
    hash: KeyHash,
    start: usize,
    len: u32,
}

impl Entry {
    fn order(&self) -> (i64, KeyHash) {
        (self.at, self.hash)
    }
}

/// A timer of a [`Front`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copied<'a> {
    pub(super) at: i64,
    /// The hash of the sub-key.
    pub(super) hash: KeyHash,
    /// The stored sub-key.
    pub(super) key: &'a [u8],
}

impl Front {
    pub(super) fn clear(&mut self) {
        self.timers.clear();
        self.bytes.clear();
        self.used = 0;
    }

    fn entry(&mut self, at: i64, hash: KeyHash, key: &[u8]) -> Entry {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.used += key.len();
        Entry { at, hash, start, len: u32::try_from(key.len()).expect("a key is shorter than 4 GiB") }
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start..entry.start + entry.len as usize]
    }

    fn copied(&self, entry: &Entry) -> Copied<'_> {
        Copied { at: entry.at, hash: entry.hash, key: self.key(entry) }
    }

    /// Appends a timer; [`Front::sort`] puts it into its place.
    pub(super) fn push(&mut self, at: i64, hash: KeyHash, key: &[u8]) {
        let entry = self.entry(at, hash, key);
        self.timers.push_back(entry);
    }

    pub(super) fn sort(&mut self) {
        self.timers.make_contiguous().sort_unstable_by_key(Entry::order);
    }

    /// Puts a timer into its place among sorted ones. Says whether there was room for it.
    #[must_use]
    pub(super) fn insert(&mut self, at: i64, hash: KeyHash, key: &[u8]) -> bool {
        if self.bytes.len() > WASTE_BYTES_MAX + 2 * self.used {
            return false;
        }
        let entry = self.entry(at, hash, key);
        let place = self.timers.partition_point(|other| other.order() < entry.order());
        self.timers.insert(place, entry);
        true
    }

    /// Takes a timer out, if it is here.
    pub(super) fn remove(&mut self, at: i64, hash: KeyHash, key: &[u8]) {
        let first = self.timers.partition_point(|other| other.order() < (at, hash));
        let place = self
            .timers
            .range(first..)
            .take_while(|other| other.order() == (at, hash))
            .position(|other| self.key(other) == key);
        if let Some(place) = place {
            self.timers.remove(first + place);
            self.left(key.len());
        }
    }

    /// When the first timer is due.
    pub(super) fn first(&self) -> Option<i64> {
        self.timers.front().map(|entry| entry.at)
    }

    /// Takes the first timer out. Its bytes stay until the front is changed again.
    pub(super) fn pop(&mut self) -> Option<Copied<'_>> {
        let entry = self.timers.pop_front()?;
        self.used -= entry.len as usize;
        Some(self.copied(&entry))
    }

    fn left(&mut self, bytes: usize) {
        self.used -= bytes;
        if self.timers.is_empty() {
            self.bytes.clear();
        }
    }

    /// All of them, in order if sorted.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Copied<'_>> {
        self.timers.iter().map(|entry| self.copied(entry))
    }

    /// A timestamp that cuts the timers in two, none of the parts empty: those before it, and the others. Sorted timers; as near to the
    /// middle as timestamps allow. None where all are due at the same time.
    pub(super) fn middle(&self) -> Option<i64> {
        let middle = self.timers.get(self.timers.len() / 2)?.at;
        let before = self.timers.partition_point(|other| other.at < middle);
        let after = self.timers.partition_point(|other| other.at <= middle);
        // Either side of the middle's own timestamp will do; the side nearer to the middle is better, unless it is the end.
        let next = self.timers.get(after).map(|other| other.at);
        match next {
            Some(next) if before == 0 || self.timers.len() - before > after => Some(next),
            _ => (before > 0).then_some(middle),
        }
    }

    /// The timestamps of the first and the last of sorted timers.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((self.timers.front()?.at, self.timers.back()?.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(times: &[i64]) -> Front {
        let mut front = Front::default();
        for (n, &at) in times.iter().enumerate() {
            front.push(at, KeyHash(n as u64), &[n as u8]);
        }
        front.sort();
        front
    }

    #[test]
    fn the_middle_leaves_neither_part_empty() {
        for (times, expected) in [
            (&[][..], None),
            (&[5], None),
            (&[5, 5, 5], None),
            (&[1, 2], Some(2)),
            (&[1, 2, 3, 4], Some(3)),
            (&[1, 1, 1, 2], Some(2)),
            (&[1, 2, 2, 2], Some(2)),
            (&[1, 2, 2, 2, 2, 3, 4], Some(3)),
        ] {
            assert_eq!(front(times).middle(), expected, "{times:?}");
        }
    }

    #[test]
    fn timers_with_the_same_hash_are_told_apart() {
        let mut front = Front::default();
        for key in [b"a", b"b", b"c"] {
            assert!(front.insert(7, KeyHash(1), key));
        }
        front.remove(7, KeyHash(1), b"b");
        front.remove(7, KeyHash(1), b"x");
        front.remove(8, KeyHash(1), b"a");
        let mut keys: Vec<_> = std::iter::from_fn(|| front.pop().map(|timer| timer.key.to_vec())).collect();
        keys.sort();
        assert_eq!(keys, [b"a", b"c"]);
    }

    #[test]
    fn bytes_of_timers_that_left_do_not_pile_up() {
        let mut front = front(&[1, 2, 3]);
        let key = [7; 1000];
        for round in 0.. {
            if !front.insert(9, KeyHash(round), &key) {
                break;
            }
            front.remove(9, KeyHash(round), &key);
        }
        assert!(front.bytes.len() < 2 * WASTE_BYTES_MAX);
        assert_eq!(front.iter().len(), 3);
    }
}
