//! What expires when: a wheel of buckets, each for a stretch of time.
//!
//! It is kept in memory only. It follows from the entries' times, and is made anew after a restart.

use std::collections::BTreeMap;

use crate::element::KeyHash;

/// How many buckets a time to live is cut into.
const BUCKETS: i64 = 32;

/// The hashes of entries, by when they are to be looked at.
pub(super) struct Wheel {
    /// How many ticks a bucket is long.
    width: i64,
    buckets: BTreeMap<i64, Vec<KeyHash>>,
}

impl Wheel {
    /// For entries that live for so many ticks.
    pub(super) fn new(ttl: i64) -> Self {
        Wheel { width: (ttl / BUCKETS).max(1), buckets: BTreeMap::new() }
    }

    /// An entry expires at `at`, unless it is used again.
    pub(super) fn push(&mut self, at: i64, hash: KeyHash) {
        let bucket = at.div_euclid(self.width);
        match self.buckets.last_entry() {
            Some(mut last) if *last.key() == bucket => last.get_mut().push(hash),
            _ => self.buckets.entry(bucket).or_default().push(hash),
        }
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.buckets.clear();
    }

    /// An entry to be looked at, if all of its bucket has expired at `now`.
    pub(super) fn pop(&mut self, now: i64) -> Option<KeyHash> {
        let mut first = self.buckets.first_entry()?;
        if end(*first.key(), self.width) > now {
            return None;
        }
        let hash = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        hash
    }

    /// When the next bucket has expired.
    pub(super) fn next(&self) -> Option<i64> {
        self.buckets.first_key_value().map(|(bucket, _)| end(*bucket, self.width))
    }
}

/// When everything of a bucket has expired.
fn end(bucket: i64, width: i64) -> i64 {
    bucket.saturating_add(1).saturating_mul(width).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everything_comes_out_after_it_has_expired_and_soon(
            ttl in 1i64..1_000, times in prop::collection::vec(-500i64..5_000, 0..100), step in 1i64..50,
        ) {
            let mut wheel = Wheel::new(ttl);
            times.iter().for_each(|at| wheel.push(*at, KeyHash(*at as u64)));
            let mut left = times.len();
            let (mut now, late) = (-1_000, step + ttl / 32 + 1);
            while left > 0 {
                prop_assert!(wheel.next().is_some());
                while let Some(hash) = wheel.pop(now) {
                    let at = hash.0 as i64;
                    prop_assert!(at <= now && now < at + late, "{at} came out at {now}");
                    left -= 1;
                }
                now += step;
            }
            prop_assert_eq!(wheel.next(), None);
        }
    }
}
