//! How often each number was added, exactly.

use std::collections::BTreeMap;
use std::fmt;

use super::Accumulator;
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// How often each number was added. It takes memory per number; see [`HdrHistogram`](super::HdrHistogram) for numbers of a wide
/// range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<i64, u64>);

impl Histogram {
    /// How often each number was added, by number.
    pub fn counts(&self) -> &BTreeMap<i64, u64> {
        &self.0
    }

    /// How often a number was added.
    pub fn count(&self, number: i64) -> u64 {
        self.0.get(&number).copied().unwrap_or(0)
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

impl Accumulator for Histogram {
    type Value = i64;
    const KIND: &'static str = "histogram";

    fn add(&mut self, number: i64) {
        *self.0.entry(number).or_insert(0) += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (number, count) in &other.0 {
            *self.0.entry(*number).or_insert(0) += count;
        }
    }

    fn save(&self, out: &mut Writer) {
        out.put_list(&self.0, |out, (number, count)| {
            out.put_i64(*number).put_u64(*count);
        });
    }

    fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let counts = input.list("numbers", 16, |input| Ok((input.i64("number")?, input.u64("count")?)))?;
        Ok(Histogram(counts.into_iter().collect()))
    }
}
