//! Which keys an operator sees most: one record of each batch is looked at, so that it costs nothing per record where records are many.

use std::time::Duration;

use crate::channel::Batch;
use crate::element::{KeyHash, Nanos};

/// How many keys are counted at a time.
const KEYS: usize = 32;

/// After so many looks all counts are halved: what was long ago fades.
const LOOKS_UNTIL_HALVED: u32 = 4096;

/// The keys that an operator has seen most of late, on one shard.
///
/// Counts by Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005): a key
/// that is not counted takes the place of the one with the least count, and begins with that count, which is then its greatest error.
#[derive(Debug, Default)]
pub(super) struct HotKeys {
    hashes: Vec<KeyHash>,
    counts: Vec<Count>,
    /// How many records were looked at.
    looks: u32,
    /// How many there were of late.
    records: u64,
    /// How many there were in all. Shards halve their counts when each has looked often enough: only what fades nowhere tells what part of all
    /// records came to which shard.
    all_records: u64,
    /// How many batches there were: which record of the next one is looked at.
    batches: usize,
    since: Nanos,
}

#[derive(Debug, Default)]
struct Count {
    count: u32,
    error: u32,
    key: Vec<u8>,
}

/// A key, as a shard reports it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The key, for people to read.
    pub(crate) key: String,
    /// How many records of it were looked at, and how many of these may have been of other keys.
    pub(crate) count: u32,
    pub(crate) error: u32,
}

/// What a shard reports of the keys of an operator.
#[derive(Clone, Debug)]
pub struct SeenKeys {
    /// The most frequent ones first.
    pub(crate) keys: Vec<Seen>,
    /// How many records were looked at.
    pub(crate) looks: u32,
    /// How many records there were of late.
    pub(crate) records: u64,
    /// How many there were in all.
    pub(crate) all_records: u64,
    /// In how long a time those of late came.
    pub(crate) over: Duration,
}

impl HotKeys {
    /// Looks at a record of a batch.
    #[inline]
    pub(super) fn look(&mut self, batch: &Batch<'_>, now: Nanos) {
        if self.looks == 0 {
            self.since = now;
        }
        // An odd step comes by every place of batches of all sizes.
        self.batches = self.batches.wrapping_add(61);
        let index = self.batches % batch.len();
        self.records += batch.len() as u64;
        self.all_records += batch.len() as u64;
        self.looks += 1;
        self.count(batch.hashes()[index], batch.key_bytes(index));
        if self.looks == LOOKS_UNTIL_HALVED {
            self.halve(now);
        }
    }

    fn count(&mut self, hash: KeyHash, key: &[u8]) {
        if let Some(place) = self.hashes.iter().position(|known| *known == hash) {
            self.counts[place].count += 1;
            return;
        }
        if self.counts.len() < KEYS {
            self.hashes.push(hash);
            self.counts.push(Count { count: 1, error: 0, key: key.to_vec() });
            return;
        }
        let least = (0..KEYS).min_by_key(|place| self.counts[*place].count).expect("there are some");
        self.hashes[least] = hash;
        let place = &mut self.counts[least];
        place.error = place.count;
        place.count += 1;
        place.key.clear();
        place.key.extend_from_slice(key);
    }

    #[cold]
    fn halve(&mut self, now: Nanos) {
        self.looks /= 2;
        self.records /= 2;
        self.since = Nanos(now.0 - (now.0 - self.since.0) / 2);
        for place in &mut self.counts {
            place.count /= 2;
            place.error /= 2;
        }
    }

    /// What it has come to.
    pub(super) fn report(&self, now: Nanos, show: impl Fn(KeyHash, &[u8]) -> String) -> SeenKeys {
        let all = self.hashes.iter().zip(&self.counts);
        let mut keys: Vec<Seen> = all
            .map(|(hash, place)| Seen {
                key: show(*hash, &place.key),
                count: place.count,
                error: place.error,
            })
            .collect();
        keys.sort_by_key(|seen| std::cmp::Reverse(seen.count));
        SeenKeys {
            keys,
            looks: self.looks,
            records: self.records,
            all_records: self.all_records,
            over: now.since(self.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(keys: impl IntoIterator<Item = u64>) -> HotKeys {
        let mut hot = HotKeys::default();
        for key in keys {
            hot.looks += 1;
            hot.records += 10;
            hot.all_records += 10;
            hot.count(KeyHash(key), &[]);
            if hot.looks == LOOKS_UNTIL_HALVED {
                hot.halve(Nanos(u64::from(hot.looks)));
            }
        }
        hot
    }

    fn report(hot: &HotKeys) -> SeenKeys {
        hot.report(Nanos(1_000_000), |hash, _| hash.0.to_string())
    }

    #[test]
    fn few_keys_are_counted_exactly() {
        let seen = report(&counted([1, 2, 1, 3, 1, 2]));
        let counts: Vec<(&str, u32, u32)> =
            seen.keys.iter().map(|seen| (seen.key.as_str(), seen.count, seen.error)).collect();
        assert_eq!(counts, [("1", 3, 0), ("2", 2, 0), ("3", 1, 0)]);
        assert_eq!((seen.looks, seen.records), (6, 60));
    }

    #[test]
    fn of_many_keys_the_frequent_ones_are_found_within_their_error() {
        // Every third record is of key 7, every fifth of key 8.
        let keys = |n: u64| match n {
            n if n.is_multiple_of(3) => 7,
            n if n.is_multiple_of(5) => 8,
            n => 1_000 + n,
        };
        let seen = report(&counted((0..3_000).map(keys)));
        assert_eq!((seen.keys[0].key.as_str(), seen.keys[1].key.as_str()), ("7", "8"));
        assert!(seen.keys[0].count - seen.keys[0].error <= 1_000 && seen.keys[0].count >= 1_000);
        assert_eq!(seen.keys.iter().map(|seen| seen.count).sum::<u32>(), 3_000);
    }

    #[test]
    fn what_was_long_ago_fades() {
        let first = std::iter::repeat_n(1, 10_000);
        let then = std::iter::repeat_n(2, 10_000);
        let seen = report(&counted(first.chain(then)));
        assert_eq!(seen.keys[0].key, "2");
        assert!(seen.keys[1].count < seen.looks / 8, "{seen:?}");
        assert!(seen.looks < LOOKS_UNTIL_HALVED && seen.records == u64::from(seen.looks) * 10, "{seen:?}");
        assert_eq!(seen.all_records, 200_000);
    }
}
