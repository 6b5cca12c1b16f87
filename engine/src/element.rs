//! The small words every layer shares: who, when, and which part of the key space.
//!
//! What travels between two shards obeys one grammar, per producer shard and exchange:
//!
//! ```text
//! (Batch | Watermark | Idle)* End
//! ```

use std::fmt;

/// Event time in ticks. The tick is one millisecond unless the job chooses otherwise; every rule of event time
/// (`end - 1`, `max - bound - 1`, ...) holds in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, crate::record::Record)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before all time: the watermark of an input that has said nothing yet, and the timestamp of a record without one.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After all time: the watermark of an input that has ended.
    pub const MAX: Timestamp = Timestamp(i64::MAX);
}

impl From<i64> for Timestamp {
    #[inline]
    fn from(ticks: i64) -> Self {
        Timestamp(ticks)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::MIN => f.write_str("-inf"),
            Timestamp::MAX => f.write_str("+inf"),
            Timestamp(ticks) => write!(f, "{ticks}"),
        }
    }
}

/// Processing time: nanoseconds of the driver's clock since an origin of its choosing. The engine's core reads no clock; it
/// is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// This instant plus a duration, saturating.
    pub fn after(self, delay: std::time::Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)))
    }
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Nanos) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One shard of a job: a thread pinned to a core with its own state, rings and timers. Shards are numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's number as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a checkpoint. Epoch `n` of a shard is the time between its switches to `n` and to `n + 1`; checkpoint `n` holds
/// what was true at the switch to `n`. Epoch 0 is "never": a page with epoch 0 is not in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The hash of a key under the job's seed. The top bits name the key group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct KeyHash(pub u64);

/// How many key groups a job has (the unit of rescaling). A power of two.
pub const KEY_GROUPS: u32 = 4096;

/// A contiguous range of the key-hash space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct KeyGroup(pub u16);

impl KeyHash {
    /// The key group this hash falls into.
    #[inline]
    pub fn group(self) -> KeyGroup {
        KeyGroup((self.0 >> (64 - KEY_GROUPS.trailing_zeros())) as u16)
    }

    /// The shard that owns this hash when the groups are dealt to `shards` shards in contiguous, equal ranges.
    #[inline]
    pub fn shard(self, shards: u16) -> ShardId {
        ShardId(((u32::from(self.group().0) * u32::from(shards)) / KEY_GROUPS) as u16)
    }
}

/// A half-open range of key groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroups {
    /// The first group.
    pub start: u32,
    /// One past the last group.
    pub end: u32,
}

impl KeyGroups {
    /// The groups that `shard` owns among `shards` shards. The inverse of [`KeyHash::shard`].
    pub fn of_shard(shard: ShardId, shards: u16) -> KeyGroups {
        let first = |s: u32| (s * KEY_GROUPS).div_ceil(u32::from(shards));
        KeyGroups { start: first(u32::from(shard.0)), end: first(u32::from(shard.0) + 1) }
    }

    /// Whether the hash falls into this range.
    #[inline]
    pub fn contains(&self, hash: KeyHash) -> bool {
        let group = u32::from(hash.group().0);
        self.start <= group && group < self.end
    }

    /// The smallest hash of the range.
    pub fn first_hash(&self) -> KeyHash {
        KeyHash(u64::from(self.start) << (64 - KEY_GROUPS.trailing_zeros()))
    }

    /// The largest hash of the range, `None` where the range is empty.
    pub fn last_hash(&self) -> Option<KeyHash> {
        (self.start < self.end).then(|| {
            let shift = 64 - KEY_GROUPS.trailing_zeros();
            KeyHash((u64::from(self.end - 1) << shift) | ((1 << shift) - 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_exactly_one_shard_and_ranges_are_contiguous() {
        for shards in 1..=67u16 {
            let mut next = 0;
            for shard in 0..shards {
                let range = KeyGroups::of_shard(ShardId(shard), shards);
                assert_eq!(range.start, next);
                next = range.end;
                for group in range.start..range.end {
                    let hash = KeyHash(u64::from(group) << 52 | 12345);
                    assert_eq!(hash.shard(shards), ShardId(shard));
                    assert!(range.contains(hash));
                }
            }
            assert_eq!(next, KEY_GROUPS);
        }
    }
}
