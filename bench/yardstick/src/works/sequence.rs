//! The records of a run, cut into partitions.

use super::Xorshift;

/// The records of one partition, one after the other, without end: whoever reads them counts.
pub trait Sequence: Clone + Send + 'static {
    /// A record.
    type Item;

    /// The first records of a partition of several, whose keys are below `keys`.
    fn new(keys: u64, partition: u16, partitions: u16) -> Self;

    /// The next record.
    fn next(&mut self) -> Self::Item;

    /// How many were made, and the state of the random numbers.
    fn position(&self) -> (u64, u64);

    /// Goes on from a position.
    fn go_to(&mut self, made: u64, random: Xorshift);
}

/// What one partition gives in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub partition: u16,
    /// Of so many.
    pub partitions: u16,
    /// How many records.
    pub records: u64,
}

/// Deals records out to partitions by turns.
pub fn parts(records: u64, partitions: u16) -> impl Iterator<Item = Part> {
    let (each, over) = (records / u64::from(partitions), records % u64::from(partitions));
    (0..partitions).map(move |partition| Part {
        partition,
        partitions,
        records: each + u64::from(u64::from(partition) < over),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_records_are_dealt_out() {
        let records: Vec<u64> = parts(11, 3).map(|part| part.records).collect();
        assert_eq!(records, [4, 4, 3]);
    }
}
