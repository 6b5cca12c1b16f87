//! After a rescaling, keys of old shards whose event time stood elsewhere live on one shard. What had been late or fired for a key before
//! stays so after.

use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyHash, Timestamp};

/// How far event time had come for the keys with hashes from `first` to `last` (both included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) first: KeyHash,
    pub(crate) last: KeyHash,
    /// What they had seen of the watermark.
    pub(crate) watermark: Timestamp,
    /// The end of the last window that had fired for them.
    pub(crate) fired: Timestamp,
}

/// The floors of one shard. Empty, and free, where the shards did not change, and once its own watermark has passed them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floors {
    /// A hash may lie in several: the largest counts.
    floors: Vec<Floor>,
}

impl Floors {
    pub(crate) fn add(&mut self, floor: Floor) {
        if floor.first <= floor.last && (floor.watermark, floor.fired) != (Timestamp::MIN, Timestamp::MIN) {
            self.floors.push(floor);
        }
    }

    /// Takes over those parts of another shard's floors that lie within a range of hashes.
    pub(crate) fn add_within(&mut self, others: &Floors, first: KeyHash, last: KeyHash) {
        for floor in &others.floors {
            self.add(Floor { first: floor.first.max(first), last: floor.last.min(last), ..*floor });
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.floors.is_empty()
    }

    fn of(&self, hash: KeyHash) -> impl Iterator<Item = &Floor> {
        self.floors.iter().filter(move |floor| floor.first <= hash && hash <= floor.last)
    }

    /// The least watermark that counts for a key.
    pub(crate) fn watermark(&self, hash: KeyHash) -> Timestamp {
        self.of(hash).map(|floor| floor.watermark).max().unwrap_or(Timestamp::MIN)
    }

    /// The end of the last window that has fired for a key.
    pub(crate) fn fired(&self, hash: KeyHash) -> Timestamp {
        self.of(hash).map(|floor| floor.fired).max().unwrap_or(Timestamp::MIN)
    }

    /// All windows that are complete at this watermark have fired.
    pub(crate) fn pass(&mut self, watermark: Timestamp) {
        self.floors.retain(|floor| floor.watermark > watermark);
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_list(&self.floors, |out, floor| {
            out.put_u64(floor.first.0).put_u64(floor.last.0);
            out.put_i64(floor.watermark.0).put_i64(floor.fired.0);
        });
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Floors, CodecError> {
        let floors = input.list("floors", 32, |input| {
            Ok(Floor {
                first: KeyHash(input.u64("first hash of a floor")?),
                last: KeyHash(input.u64("last hash of a floor")?),
                watermark: Timestamp(input.i64("watermark of a floor")?),
                fired: Timestamp(input.i64("last window of a floor")?),
            })
        })?;
        Ok(Floors { floors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_floor_of_a_hash_counts_until_it_is_passed() {
        let floor = |first, last, watermark, fired| Floor {
            first: KeyHash(first),
            last: KeyHash(last),
            watermark: Timestamp(watermark),
            fired: Timestamp(fired),
        };
        let mut floors = Floors::default();
        floors.add(floor(0, 9, 100, 100));
        floors.add(floor(10, 19, 100, 90));
        floors.add(floor(15, 30, 50, 50));
        floors.add(floor(5, 4, 999, 999));
        assert_eq!(
            (floors.watermark(KeyHash(9)), floors.fired(KeyHash(9))),
            (Timestamp(100), Timestamp(100))
        );
        assert_eq!(
            (floors.watermark(KeyHash(15)), floors.fired(KeyHash(15))),
            (Timestamp(100), Timestamp(90))
        );
        assert_eq!(floors.fired(KeyHash(20)), Timestamp(50));
        assert_eq!(floors.fired(KeyHash(31)), Timestamp::MIN);

        let mut within = Floors::default();
        within.add_within(&floors, KeyHash(20), KeyHash(40));
        assert_eq!(within, Floors { floors: vec![floor(20, 30, 50, 50)] });

        let mut out = Writer::new();
        floors.put(&mut out);
        assert_eq!(Floors::read(&mut Reader::new(&out.into_bytes())).unwrap(), floors);

        floors.pass(Timestamp(99));
        assert_eq!(floors.watermark(KeyHash(25)), Timestamp::MIN);
        floors.pass(Timestamp(100));
        assert!(floors.is_empty());
    }
}
