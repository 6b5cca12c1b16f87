//! Quantiles of numbers of a wide range, in little memory.

use std::fmt;

use super::Accumulator;
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// How many decimal digits of a number are kept.
const DIGITS: u8 = 3;

/// Quantiles of numbers, each known to three decimal digits, whatever its size: latencies, sizes, amounts
/// ([HdrHistogram](http://hdrhistogram.org/)).
#[derive(Clone, Debug, PartialEq)]
pub struct HdrHistogram(hdrhistogram::Histogram<u64>);

impl HdrHistogram {
    /// How many numbers were added.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The number that this share of the numbers (0 to 1) is at or below.
    pub fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// The greatest number.
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// The average.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }
}

impl Default for HdrHistogram {
    fn default() -> Self {
        HdrHistogram(hdrhistogram::Histogram::new(DIGITS).expect("three digits are allowed"))
    }
}

impl fmt::Display for HdrHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [0.5, 0.99].map(|share| self.quantile(share));
        write!(f, "{} values, median {median}, p99 {p99}, max {}", self.count(), self.max())
    }
}

impl Accumulator for HdrHistogram {
    type Value = u64;
    const KIND: &'static str = "hdr histogram";

    #[inline]
    fn add(&mut self, number: u64) {
        // It grows by itself up to the largest number there is.
        self.0.saturating_record(number);
    }

    fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("a histogram that grows takes any other");
    }

    fn save(&self, out: &mut Writer) {
        let counts: Vec<_> = self.0.iter_recorded().collect();
        out.put_list(counts, |out, step| {
            out.put_u64(step.value_iterated_to()).put_u64(step.count_at_value());
        });
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut histogram = HdrHistogram::default();
        for (number, count) in
            input.list("numbers", 16, |input| Ok((input.u64("number")?, input.u64("count")?)))?
        {
            histogram.0.saturating_record_n(number, count);
        }
        Ok(histogram)
    }
}
