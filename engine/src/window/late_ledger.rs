//! What is known of records that came too late.

use std::collections::VecDeque;

use super::time_window::TimeWindow;
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};

/// How many of the last late records are remembered one by one.
pub const LATE_SAMPLES: usize = 16;

/// One record that came too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateSample {
    hash: KeyHash,
    key_bytes: Box<[u8]>,
    /// Its timestamp.
    pub at: Timestamp,
    /// The watermark when it came.
    pub watermark: Timestamp,
    /// The last window it belongs to.
    pub window: TimeWindow,
}

impl LateSample {
    /// The record's key, which is a `K`.
    pub fn key<K: Key + ?Sized>(&self, seed: HashSeed) -> K::Owned {
        K::decode(self.hash, &self.key_bytes, seed)
    }

    /// The record's key as the ledger has it: the hash and the canonical encoding.
    pub(crate) fn encoded_key(&self) -> (KeyHash, &[u8]) {
        (self.hash, &self.key_bytes)
    }

    /// How far its timestamp lay behind the watermark, in ticks.
    pub fn late_by(&self) -> i64 {
        self.watermark.0.saturating_sub(self.at.0)
    }
}

/// An account of the records that came too late for all their windows: how many, how late the latest was, and the last
/// [`LATE_SAMPLES`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateLedger {
    count: u64,
    worst: i64,
    samples: VecDeque<LateSample>,
}

impl LateLedger {
    /// How many records came too late.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The furthest that any lay behind the watermark, in ticks; 0 where there was none.
    pub fn worst(&self) -> i64 {
        self.worst
    }

    /// The last ones, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &LateSample> {
        self.samples.iter()
    }

    /// Enters a record.
    #[cold]
    pub(crate) fn enter(
        &mut self,
        hash: KeyHash,
        key_bytes: &[u8],
        at: Timestamp,
        watermark: Timestamp,
        window: TimeWindow,
    ) {
        self.count += 1;
        if self.samples.len() == LATE_SAMPLES {
            self.samples.pop_front();
        }
        let sample = LateSample { hash, key_bytes: key_bytes.into(), at, watermark, window };
        self.worst = self.worst.max(sample.late_by());
        self.samples.push_back(sample);
    }

    /// Takes over what the ledger of another shard holds. Nobody knows in which order records came on different shards: those are taken
    /// for the last that came at the greatest watermarks.
    pub(crate) fn absorb(&mut self, other: LateLedger) {
        self.count += other.count;
        self.worst = self.worst.max(other.worst);
        self.samples.extend(other.samples);
        self.samples.make_contiguous().sort_by_key(|sample| sample.watermark);
        let surplus = self.samples.len().saturating_sub(LATE_SAMPLES);
        self.samples.drain(..surplus);
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_u64(self.count).put_i64(self.worst);
        out.put_list(&self.samples, |out, sample| {
            out.put_u64(sample.hash.0).put_bytes(&sample.key_bytes);
            out.put_i64(sample.at.0).put_i64(sample.watermark.0);
            out.put_i64(sample.window.start.0).put_i64(sample.window.end.0);
        });
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<LateLedger, CodecError> {
        let (count, worst) = (input.u64("late records")?, input.i64("worst lateness")?);
        let samples = input.list("late samples", 44, |input| {
            Ok(LateSample {
                hash: KeyHash(input.u64("late key")?),
                key_bytes: input.bytes("late key bytes")?.into(),
                at: Timestamp(input.i64("late timestamp")?),
                watermark: Timestamp(input.i64("late watermark")?),
                window: TimeWindow {
                    start: Timestamp(input.i64("late window start")?),
                    end: Timestamp(input.i64("late window end")?),
                },
            })
        })?;
        Ok(LateLedger { count, worst, samples: samples.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> TimeWindow {
        TimeWindow { start: Timestamp(0), end: Timestamp(5000) }
    }

    #[test]
    fn wn_15_it_counts_and_remembers_the_last() {
        let mut ledger = LateLedger::default();
        ledger.enter(KeyHash(1), b"ada", Timestamp(2000), Timestamp(7999), window());
        assert_eq!((ledger.count(), ledger.worst()), (1, 5999));
        let sample = ledger.samples().next().unwrap();
        assert_eq!(
            (sample.late_by(), sample.window, sample.key::<str>(HashSeed(0))),
            (5999, window(), "ada".into())
        );
        for number in 0..20 {
            ledger.enter(KeyHash(number), b"", Timestamp(number as i64), Timestamp(100), window());
        }
        assert_eq!((ledger.count(), ledger.samples().len(), ledger.worst()), (21, LATE_SAMPLES, 5999));
        assert_eq!(ledger.samples().last().unwrap().at, Timestamp(19));
        ledger.enter(KeyHash(1), b"", Timestamp::MIN, Timestamp::MAX, window());
        assert_eq!(ledger.worst(), i64::MAX);
    }

    #[test]
    fn of_two_ledgers_the_last_are_those_at_the_greatest_watermarks() {
        let ledger = |watermarks: std::ops::Range<i64>| {
            let mut ledger = LateLedger::default();
            for watermark in watermarks {
                ledger.enter(KeyHash(0), b"", Timestamp(0), Timestamp(watermark), window());
            }
            ledger
        };
        let mut both = ledger(100..112);
        both.absorb(ledger(1..13));
        let watermarks: Vec<i64> = both.samples().map(|sample| sample.watermark.0).collect();
        assert_eq!(watermarks, [9, 10, 11, 12].into_iter().chain(100..112).collect::<Vec<_>>());
        assert_eq!((both.count(), both.worst()), (24, 111));
    }

    #[test]
    fn it_comes_back_from_bytes_and_joins_with_others() {
        let mut ledger = LateLedger::default();
        for number in 0..10 {
            ledger.enter(KeyHash(number), b"key", Timestamp(number as i64), Timestamp(100), window());
        }
        let mut out = Writer::new();
        ledger.put(&mut out);
        let bytes = out.into_bytes();
        let mut input = Reader::new(&bytes);
        let mut back = LateLedger::read(&mut input).unwrap();
        input.finish().unwrap();
        assert_eq!(back, ledger);
        back.absorb(ledger);
        assert_eq!((back.count(), back.worst(), back.samples().len()), (20, 100, LATE_SAMPLES));
    }
}
