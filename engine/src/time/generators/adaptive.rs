//! A watermark whose bound follows the disorder that is observed.

use super::{WatermarkGenerator, first_ticks};
use crate::element::Timestamp;

/// How many buckets there are per power of two: a bucket is at most a 32nd of its values wide.
const PARTS: usize = 32;

/// Enough for every difference of two timestamps.
const BUCKETS: usize = PARTS * 60;

/// Where so many records are remembered, the weight of all of them is halved.
const REMEMBERED_MIN: u32 = 1 << 16;

/// The longest memory, whatever the quantile.
const REMEMBERED_MAX: u32 = 1 << 22;

/// What is needed at most before the quantile is believed.
const ENOUGH_MAX: u32 = 10_000;

/// A bound of out-of-orderness that adapts: the watermark is `max - bound - 1`, and the bound is the `p`-quantile of the disorder
/// observed so far, at most a given maximum. The disorder of a record is by how much it is older than the newest one before it.
///
/// Out of a million records about `(1 - p)` million are late. Until `1 / (1 - p)` records have come (at most 10,000) the quantile would be
/// a guess, and the bound is the maximum. Old records count less and less: the bound follows a source that gets better or worse.
///
/// The quantile comes from a histogram with buckets that grow with their values, as in HdrHistogram (G. Tene): the bound is never smaller
/// than the true quantile, and larger by a 32nd of it at most. Costs some instructions per record and 8 KiB per partition.
#[derive(Clone, Debug)]
pub struct AdaptiveBound {
    p: f64,
    bound_max: u64,
    max: i64,
    bound: u64,
    counts: Vec<u32>,
    total: u32,
    /// The total at which the quantile is looked up again.
    look_at: u32,
    enough: u32,
    remembered: u32,
}

/// An adaptive bound that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AdaptiveBoundError {
    /// The quantile is not between 0 and 1.
    #[error(
        "quantile {p} of an adaptive bound: give the part of the records that is to be in time, more than 0 and at most 1, such as 0.999"
    )]
    Quantile {
        /// What was given.
        p: f64,
    },
    /// The largest bound is negative.
    #[error("the largest adaptive bound is {bound} ticks; give 0 or more")]
    NegativeMax {
        /// What was given.
        bound: i64,
    },
}

impl AdaptiveBound {
    /// A bound that lets the part `p` of the records be in time, as far as `bound_max` ticks allow.
    ///
    /// # Errors
    /// `p` is not in `(0, 1]`, or `bound_max` is negative.
    pub fn new(p: f64, bound_max: i64) -> Result<Self, AdaptiveBoundError> {
        if !(p > 0.0 && p <= 1.0) {
            return Err(AdaptiveBoundError::Quantile { p });
        }
        let Ok(bound_max) = u64::try_from(bound_max) else {
            return Err(AdaptiveBoundError::NegativeMax { bound: bound_max });
        };
        // A conversion from a float saturates.
        let enough = (1.0 / (1.0 - p)).ceil() as u32;
        let enough = enough.clamp(1, ENOUGH_MAX);
        Ok(AdaptiveBound {
            p,
            bound_max,
            max: i64::MIN,
            bound: bound_max,
            counts: vec![0; BUCKETS],
            total: 0,
            look_at: enough,
            enough,
            remembered: enough.saturating_mul(64).clamp(REMEMBERED_MIN, REMEMBERED_MAX),
        })
    }

    /// The bound as of now, in ticks.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    fn note(&mut self, disorder: u64) {
        self.counts[bucket(disorder)] += 1;
        self.total += 1;
        if self.total >= self.look_at {
            self.look();
        }
    }

    /// Looks the quantile up: seldom, in proportion to what is remembered.
    #[cold]
    fn look(&mut self) {
        if self.total >= self.remembered {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
        if self.total >= self.enough {
            self.bound = self.quantile().min(self.bound_max);
        }
        self.look_at = (self.total + self.total / 64 + 1).max(self.enough).min(self.remembered);
    }

    /// The least upper end of a bucket below which the part `p` of the records lies.
    fn quantile(&self) -> u64 {
        let wanted = (self.p * f64::from(self.total)).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return upper_end(bucket);
            }
        }
        u64::MAX
    }
}

/// The bucket of a value: the values below [`PARTS`] have one each, then every power of two has [`PARTS`].
fn bucket(value: u64) -> usize {
    let parts = PARTS as u64;
    if value < parts {
        return value as usize;
    }
    let shift = value.ilog2() - parts.ilog2();
    (shift as usize + 1) * PARTS + ((value >> shift) - parts) as usize
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let shift = bucket / PARTS - 1;
    let end = ((bucket % PARTS + PARTS + 1) as u128) << shift;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

impl WatermarkGenerator for AdaptiveBound {
    #[inline]
    fn on_record(&mut self, at: Timestamp) {
        if at == Timestamp::MIN {
            return;
        }
        let first = self.max == i64::MIN;
        let disorder = if at.0 >= self.max || first { 0 } else { self.max.wrapping_sub(at.0) as u64 };
        self.max = self.max.max(at.0);
        self.note(disorder);
    }

    #[inline]
    fn watermark(&self) -> Timestamp {
        Timestamp(self.max.saturating_sub_unsigned(self.bound).saturating_sub(1))
    }

    /// The greatest timestamp, then the buckets that are not empty: the number and the count of each.
    fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.max.to_le_bytes());
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            out.extend_from_slice(&(bucket as u16).to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    fn restore(&mut self, saved: &[u8]) {
        const ENTRY: usize = 6;
        let Some(max) = first_ticks(saved) else { return };
        self.max = max;
        let entries = &saved[8..];
        if !entries.len().is_multiple_of(ENTRY) {
            return;
        }
        for entry in entries.chunks_exact(ENTRY) {
            let bucket = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
            let count = u32::from_le_bytes([entry[2], entry[3], entry[4], entry[5]]);
            if let Some(place) = self.counts.get_mut(bucket)
                && self.total.saturating_add(count) <= REMEMBERED_MAX
            {
                *place += count;
                self.total += count;
            }
        }
        self.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that look random and are the same each time.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }
    }

    /// Feeds records a tick apart, each older than its place by what `disorder` says; gives the disorder of each as it is seen.
    fn feed(generator: &mut AdaptiveBound, records: i64, mut disorder: impl FnMut(i64) -> i64) -> Vec<u64> {
        let mut max = i64::MIN;
        (0..records)
            .map(|n| {
                let at = n * 10 - disorder(n);
                generator.on_record(Timestamp(at));
                let seen = if at < max { (max - at) as u64 } else { 0 };
                max = max.max(at);
                seen
            })
            .collect()
    }

    fn true_quantile(mut disorder: Vec<u64>, p: f64) -> u64 {
        disorder.sort_unstable();
        disorder[((disorder.len() as f64 * p).ceil() as usize).max(1) - 1]
    }

    #[test]
    fn tm_15_the_bound_is_within_a_tenth_of_the_true_quantile() {
        // Nearly all records are up to 200 ticks late, a few up to 2,000, and one in two thousand much more than that.
        let mut draw = Draw(7);
        let mut generator = AdaptiveBound::new(0.999, 60_000).unwrap();
        let seen = feed(&mut generator, 60_000, |_| match draw.below(2_000) {
            0 => 20_000 + draw.below(20_000) as i64,
            1..20 => draw.below(2_000) as i64,
            _ => draw.below(200) as i64,
        });
        let (chosen, true_bound) = (generator.bound() as f64, true_quantile(seen, 0.999) as f64);
        assert!((chosen - true_bound).abs() <= 0.1 * true_bound, "{chosen} instead of {true_bound}");
    }

    #[test]
    fn the_bound_is_the_maximum_until_enough_is_known_and_never_more() {
        let mut generator = AdaptiveBound::new(0.99, 500).unwrap();
        feed(&mut generator, 90, |n| n % 7);
        assert_eq!((generator.bound(), generator.watermark()), (500, Timestamp(890 - 89 % 7 - 501)));
        feed(&mut generator, 10_000, |n| n % 7);
        assert!(generator.bound() < 500);
        feed(&mut generator, 10_000, |n| if n % 10 == 9 { 5_000 } else { 0 });
        assert_eq!(generator.bound(), 500);
    }

    #[test]
    fn it_follows_a_source_that_gets_better() {
        let mut generator = AdaptiveBound::new(0.9, 1_000_000).unwrap();
        feed(&mut generator, 100_000, |n| if n % 2 == 0 { 0 } else { 8_000 });
        assert!(generator.bound() >= 7_000, "{}", generator.bound());
        generator.max = i64::MIN;
        feed(&mut generator, 1_000_000, |n| n % 5);
        assert!(generator.bound() <= 10, "{}", generator.bound());
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let mut generator = AdaptiveBound::new(0.99, 10_000).unwrap();
        feed(&mut generator, 5_000, |n| n * 7 % 900);
        generator.look();
        let mut saved = Vec::new();
        generator.save(&mut saved);
        let mut restored = AdaptiveBound::new(0.99, 10_000).unwrap();
        restored.restore(&saved);
        assert_eq!((restored.watermark(), restored.total), (generator.watermark(), generator.total));
        // Of a fixed bound, only the greatest timestamp is known.
        let mut other = AdaptiveBound::new(0.99, 10_000).unwrap();
        other.restore(&500i64.to_le_bytes());
        assert_eq!(other.watermark(), Timestamp(500 - 10_000 - 1));
    }

    #[test]
    fn senseless_quantiles_are_refused() {
        for p in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(matches!(AdaptiveBound::new(p, 1), Err(AdaptiveBoundError::Quantile { .. })), "{p}");
        }
        assert!(matches!(AdaptiveBound::new(0.5, -1), Err(AdaptiveBoundError::NegativeMax { bound: -1 })));
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(value: u64) {
            let end = upper_end(bucket(value));
            prop_assert!(bucket(value) < BUCKETS);
            prop_assert!(end >= value && end - value <= value / PARTS as u64, "{} {}", value, end);
            prop_assert_eq!(bucket(end), bucket(value));
        }

        #[test]
        fn nothing_overflows(times: Vec<i64>, p in 0.01f64..=1.0, bound in 0..=i64::MAX, bytes: Vec<u8>) {
            let mut generator = AdaptiveBound::new(p, bound).unwrap();
            generator.restore(&bytes);
            for at in times {
                generator.on_record(Timestamp(at));
                let _ = generator.watermark();
            }
        }
    }
}
