//! Sums: of whole numbers, of fractions, and their average.

use std::fmt;

use super::Accumulator;
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// A sum of whole numbers. It stops at the ends of `i64` rather than to wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongCounter(i64);

impl LongCounter {
    /// The sum.
    pub fn value(self) -> i64 {
        self.0
    }
}

impl fmt::Display for LongCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Accumulator for LongCounter {
    type Value = i64;
    const KIND: &'static str = "long counter";

    #[inline]
    fn add(&mut self, value: i64) {
        self.0 = self.0.saturating_add(value);
    }

    fn merge(&mut self, other: &Self) {
        self.add(other.0);
    }

    fn save(&self, out: &mut Writer) {
        out.put_i64(self.0);
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(LongCounter(input.i64("sum")?))
    }
}

/// A sum of fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DoubleCounter(f64);

impl DoubleCounter {
    /// The sum.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for DoubleCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Accumulator for DoubleCounter {
    type Value = f64;
    const KIND: &'static str = "double counter";

    #[inline]
    fn add(&mut self, value: f64) {
        self.0 += value;
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn save(&self, out: &mut Writer) {
        out.put_u64(self.0.to_bits());
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(DoubleCounter(f64::from_bits(input.u64("sum")?)))
    }
}

/// The average of fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Average {
    count: u64,
    sum: f64,
}

impl Average {
    /// How many values were added.
    pub fn count(self) -> u64 {
        self.count
    }

    /// Their average; none of no values.
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => write!(f, "{value} of {}", self.count),
            None => f.write_str("of nothing"),
        }
    }
}

impl Accumulator for Average {
    type Value = f64;
    const KIND: &'static str = "average";

    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    fn save(&self, out: &mut Writer) {
        out.put_u64(self.count).put_u64(self.sum.to_bits());
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Average { count: input.u64("count")?, sum: f64::from_bits(input.u64("sum")?) })
    }
}
