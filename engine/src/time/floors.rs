//! After a rescaling, key groups of old instances with different watermarks live on one shard. What was late for a key before must be
//! late after, so each key group keeps its old watermark as a floor until the shard's own watermark has passed them all.

use super::saved::{TimeStateError, check_list, i64_at, u32_at};
use crate::element::{KEY_GROUPS, KeyGroups, KeyHash, Timestamp};

/// The old watermark of each key group of a shard. Empty, and free, where the shards did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyGroupFloors {
    /// The key group of the first entry.
    first: u32,
    /// One per key group, at most 32 KiB.
    floors: Vec<Timestamp>,
    largest: Timestamp,
}

impl KeyGroupFloors {
    /// No floors.
    pub fn none() -> Self {
        KeyGroupFloors::default()
    }

    /// The floors of a shard that owns the groups `own`, from the old watermarks of ranges of groups. Of ranges that overlap, the
    /// larger watermark counts.
    pub fn new(own: KeyGroups, old: impl IntoIterator<Item = (KeyGroups, Timestamp)>) -> Self {
        let own = KeyGroups { start: own.start.min(KEY_GROUPS), end: own.end.min(KEY_GROUPS) };
        let mut floors = vec![Timestamp::MIN; own.end.saturating_sub(own.start) as usize];
        let mut largest = Timestamp::MIN;
        for (groups, floor) in old {
            for group in groups.start.max(own.start)..groups.end.min(own.end) {
                let entry = &mut floors[(group - own.start) as usize];
                *entry = (*entry).max(floor);
                largest = largest.max(floor);
            }
        }
        if largest == Timestamp::MIN {
            return KeyGroupFloors::none();
        }
        KeyGroupFloors { first: own.start, floors, largest }
    }

    /// The floor of a key: its watermark for lateness is the larger of this and the operator's.
    #[inline]
    pub fn floor(&self, hash: KeyHash) -> Timestamp {
        if self.floors.is_empty() {
            return Timestamp::MIN;
        }
        // A hash below the first group wraps to a place that does not exist.
        let place = u32::from(hash.group().0).wrapping_sub(self.first) as usize;
        self.floors.get(place).copied().unwrap_or(Timestamp::MIN)
    }

    /// The operator's watermark is now this: once it has reached the largest floor, all of them are dropped.
    #[inline]
    pub fn pass(&mut self, watermark: Timestamp) {
        if !self.floors.is_empty() && watermark >= self.largest {
            *self = KeyGroupFloors::none();
        }
    }

    /// Whether there are none (any more).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.floors.is_empty()
    }

    /// The floors as ranges of groups with the same floor, in order: what a checkpoint holds.
    pub fn ranges(&self) -> Vec<(KeyGroups, Timestamp)> {
        let mut start = self.first;
        self.floors
            .chunk_by(|a, b| a == b)
            .map(|run| {
                let groups = KeyGroups { start, end: start + run.len() as u32 };
                start = groups.end;
                (groups, run[0])
            })
            .collect()
    }

    /// Appends the bytes of [`KeyGroupFloors::ranges`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let ranges = self.ranges();
        out.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
        for (groups, floor) in ranges {
            out.extend_from_slice(&groups.start.to_le_bytes());
            out.extend_from_slice(&groups.end.to_le_bytes());
            out.extend_from_slice(&floor.0.to_le_bytes());
        }
    }

    /// The ranges that these bytes stand for, to be given to [`KeyGroupFloors::new`].
    pub fn decode(bytes: &[u8]) -> Result<Vec<(KeyGroups, Timestamp)>, TimeStateError> {
        const HEAD: usize = 4;
        const ENTRY: usize = 16;
        check_list(bytes, HEAD, ENTRY)?;
        let range = |entry: &[u8]| {
            let (start, end) = (u32_at(entry, 0), u32_at(entry, 4));
            if start >= end || end > KEY_GROUPS {
                return Err(TimeStateError::KeyGroups { start, end });
            }
            Ok((KeyGroups { start, end }, Timestamp(i64_at(entry, 8))))
        };
        bytes[HEAD..].chunks_exact(ENTRY).map(range).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{KeyGroup, ShardId};
    use proptest::prelude::*;

    fn hash_in(group: u32) -> KeyHash {
        let hash = KeyHash((u64::from(group) << 52) | 0xABCD);
        assert_eq!(hash.group(), KeyGroup(group as u16));
        hash
    }

    /// The ranges of two shards, at 100 and 50, as the middle one of three sees them.
    fn two_to_three() -> KeyGroupFloors {
        let old = |shard| KeyGroups::of_shard(ShardId(shard), 2);
        KeyGroupFloors::new(
            KeyGroups::of_shard(ShardId(1), 3),
            [(old(0), Timestamp(100)), (old(1), Timestamp(50))],
        )
    }

    #[test]
    fn each_group_keeps_its_old_watermark() {
        let floors = two_to_three();
        assert_eq!(floors.floor(hash_in(2047)), Timestamp(100));
        assert_eq!(floors.floor(hash_in(2048)), Timestamp(50));
        // Groups of other shards.
        assert_eq!(floors.floor(hash_in(0)), Timestamp::MIN);
        assert_eq!(floors.floor(hash_in(4095)), Timestamp::MIN);
    }

    #[test]
    fn they_go_once_the_watermark_has_reached_the_largest() {
        let mut floors = two_to_three();
        floors.pass(Timestamp(99));
        assert!(!floors.is_empty());
        floors.pass(Timestamp(100));
        assert!(floors.is_empty());
        assert_eq!(floors.floor(hash_in(2047)), Timestamp::MIN);
    }

    #[test]
    fn nothing_to_remember_takes_no_room() {
        let own = KeyGroups { start: 0, end: KEY_GROUPS };
        assert!(KeyGroupFloors::new(own, [(own, Timestamp::MIN)]).is_empty());
        assert!(KeyGroupFloors::new(own, []).ranges().is_empty());
    }

    #[test]
    fn damaged_ranges_are_named() {
        let mut bytes = Vec::new();
        two_to_three().encode(&mut bytes);
        bytes[8..12].copy_from_slice(&5000u32.to_le_bytes());
        assert!(matches!(KeyGroupFloors::decode(&bytes), Err(TimeStateError::KeyGroups { end: 5000, .. })));
    }

    proptest! {
        #[test]
        fn agrees_with_the_list_it_was_made_from_and_comes_back_from_bytes(
            cuts in proptest::collection::btree_set(0u32..=KEY_GROUPS, 2..20),
            watermarks in proptest::collection::vec(any::<i64>(), 20),
            own in (0u32..KEY_GROUPS, 1u32..KEY_GROUPS),
            probe in 0u32..KEY_GROUPS,
        ) {
            let own = KeyGroups { start: own.0, end: (own.0 + own.1).min(KEY_GROUPS) };
            let cuts: Vec<u32> = cuts.into_iter().collect();
            let old: Vec<_> = cuts
                .windows(2)
                .zip(&watermarks)
                .map(|(cut, watermark)| (KeyGroups { start: cut[0], end: cut[1] }, Timestamp(*watermark)))
                .collect();
            let floors = KeyGroupFloors::new(own, old.iter().copied());
            let hash = hash_in(probe);
            let expected = old.iter().find(|(groups, _)| own.contains(hash) && groups.contains(hash));
            prop_assert_eq!(floors.floor(hash), expected.map_or(Timestamp::MIN, |(_, watermark)| *watermark));

            let mut bytes = Vec::new();
            floors.encode(&mut bytes);
            prop_assert_eq!(KeyGroupFloors::new(own, KeyGroupFloors::decode(&bytes).unwrap()), floors);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = KeyGroupFloors::decode(&bytes);
        }
    }
}
