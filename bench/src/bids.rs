//! The records that the throughput measures work on, and where they come from.

use std::ops::Range;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
pub use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::Xorshift;

use crate::position;

/// A bid in an auction: 32 bytes, archived as they are.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Bid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    /// Event time in milliseconds.
    pub at: i64,
}

/// How many bids share a millisecond of event time, unless said otherwise.
pub const BIDS_PER_MS: u64 = 1000;

/// Makes bids without end: Marsaglia's xorshift, auctions uniform over `keys`, `PER_MS` of them per millisecond of event time.
#[derive(Clone, Debug)]
pub struct Generator<const PER_MS: u64 = BIDS_PER_MS> {
    keys: u64,
    partition: u64,
    partitions: u64,
    made: u64,
    random: Xorshift,
    /// How many bids come before them, and the event time that those take up.
    before: u64,
    before_ms: u64,
}

impl<const PER_MS: u64> Generator<PER_MS> {
    /// The bids of one of several partitions, which together make `PER_MS` per millisecond of event time.
    pub fn new(keys: u64, partition: u16, partitions: u16) -> Self {
        let (partition, partitions) = (u64::from(partition), u64::from(partitions));
        let random = Xorshift::of_partition(partition);
        Generator { keys, partition, partitions, made: 0, random, before: 0, before_ms: 0 }
    }

    /// Begins with so many seconds of event time in which each key has one bid per second. For one partition.
    pub fn after_sparse(self, seconds: u64) -> Self {
        Generator { before: seconds * self.keys, before_ms: seconds * 1000, ..self }
    }

    /// Whether the next bid is one of the sparse ones.
    #[inline(always)]
    pub fn is_sparse(&self) -> bool {
        self.made < self.before
    }

    /// The next bid, of those that are sparse.
    #[cold]
    pub fn sparse_bid(&mut self) -> Bid {
        let (second, key) = (self.made / self.keys, self.made % self.keys);
        self.made += 1;
        Bid { auction: key as i64, bidder: 0, price: 0, at: (second * 1000) as i64 }
    }

    /// The next bid, of those that are not sparse.
    #[inline(always)]
    pub fn bid(&mut self) -> Bid {
        let at = self.before_ms + ((self.made - self.before) * self.partitions + self.partition) / PER_MS;
        let x = self.random.next();
        self.made += 1;
        Bid {
            auction: ((u128::from(x) * u128::from(self.keys)) >> 64) as i64,
            bidder: (x & 0xFFFF) as i64,
            price: ((x >> 20) & 0xF_FFFF) as i64,
            at: at as i64,
        }
    }
}

/// A source of bids without end, as fast as it is asked.
///
/// `SPARSE` says whether it may begin with sparse ones: the others need not ask of each bid whether it is.
pub struct Bids<const PER_MS: u64 = BIDS_PER_MS, const SPARSE: bool = false> {
    keys: u64,
    partitions: u16,
    numbers: Range<u16>,
    sparse_seconds: u64,
    tally: Tally,
}

impl Bids {
    /// A thousand bids per millisecond of event time, one partition per shard.
    pub fn new(keys: u64, partitions: u16, tally: &Tally) -> Self {
        Bids::at_pace(keys, partitions, tally)
    }
}

impl<const PER_MS: u64> Bids<PER_MS> {
    /// `PER_MS` bids per millisecond of event time, one partition per shard.
    pub fn at_pace(keys: u64, partitions: u16, tally: &Tally) -> Self {
        Bids { keys, partitions, numbers: 0..partitions, sparse_seconds: 0, tally: tally.clone() }
    }

    /// Those of one partition only: several sources together give all of them.
    pub fn only(self, partition: u16) -> Self {
        Bids { numbers: partition..partition + 1, ..self }
    }

    /// See [`Generator::after_sparse`].
    pub fn after_sparse(self, seconds: u64) -> Bids<PER_MS, true> {
        let Bids { keys, partitions, numbers, tally, .. } = self;
        Bids { keys, partitions, numbers, sparse_seconds: seconds, tally }
    }
}

impl<const PER_MS: u64, const SPARSE: bool> Source for Bids<PER_MS, SPARSE> {
    type Item = Bid;
    type Reader = BidReader<PER_MS, SPARSE>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(self.numbers.clone().map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<BidReader<PER_MS, SPARSE>, SourceError> {
        let number = partition.0.parse().map_err(|_| SourceError::fatal("bids have numbered partitions"))?;
        let mut generator =
            Generator::new(self.keys, number, self.partitions).after_sparse(self.sparse_seconds);
        if let Some(offset) = offset {
            (generator.made, generator.random) = position::read(offset)?;
        }
        Ok(BidReader { generator, number, first: 0, tally: self.tally.clone() })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

/// Reads one partition of [`Bids`].
pub struct BidReader<const PER_MS: u64 = BIDS_PER_MS, const SPARSE: bool = false> {
    generator: Generator<PER_MS>,
    number: u16,
    /// The first one of the last poll.
    first: u64,
    tally: Tally,
}

impl<const PER_MS: u64, const SPARSE: bool> Reader for BidReader<PER_MS, SPARSE> {
    type Item = Bid;

    fn poll(&mut self, now: Nanos, out: &mut Records<Bid>) -> Result<SourcePoll, SourceError> {
        let mut room = Records::with_limit(out.room());
        self.poll_each(now, &mut room, |bid, _| out.push(bid))
    }

    #[inline(always)]
    fn poll_each(
        &mut self,
        _: Nanos,
        batch: &mut Records<Bid>,
        mut each: impl FnMut(Bid, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        let room = batch.room();
        self.first = self.generator.made;
        // A copy stays in registers.
        let mut generator = self.generator.clone();
        for _ in 0..room {
            // One call, so that it is inlined.
            let bid = if SPARSE && generator.is_sparse() { generator.sparse_bid() } else { generator.bid() };
            each(bid, Timestamp::MIN);
        }
        self.generator = generator;
        self.tally.add(self.number, room as u64);
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        position::write(self.generator.made, &self.generator.random, out);
    }

    fn place(&self, index: usize) -> String {
        format!("bid {} of partition {}", self.first + index as u64, self.number)
    }
}
