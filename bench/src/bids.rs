//! The records that the throughput measures work on, and where they come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

/// A bid in an auction: 32 bytes, archived as they are.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Bid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    /// Event time in milliseconds: a thousand bids each.
    pub at: i64,
}

/// Makes bids without end: Marsaglia's xorshift, auctions uniform over `keys`.
#[derive(Clone, Debug)]
pub struct Generator {
    keys: u64,
    partition: u64,
    partitions: u64,
    made: u64,
    state: u64,
}

impl Generator {
    /// The bids of one of several partitions, which together make a thousand per millisecond of event time.
    pub fn new(keys: u64, partition: u16, partitions: u16) -> Generator {
        let (partition, partitions) = (u64::from(partition), u64::from(partitions));
        let state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(partition + 1);
        Generator { keys, partition, partitions, made: 0, state }
    }

    /// The next bid.
    #[inline(always)]
    pub fn bid(&mut self) -> Bid {
        let at = (self.made * self.partitions + self.partition) / 1000;
        let mut x = self.state;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.state = x;
        self.made += 1;
        Bid {
            auction: ((u128::from(x) * u128::from(self.keys)) >> 64) as i64,
            bidder: (x & 0xFFFF) as i64,
            price: ((x >> 20) & 0xF_FFFF) as i64,
            at: at as i64,
        }
    }
}

/// How many records each thread has worked on, read by others without stopping it.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Vec<Line>>);

/// A counter on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Tally {
    pub fn new(threads: u16) -> Tally {
        Tally(Arc::new((0..threads).map(|_| Line::default()).collect()))
    }

    /// Counts for a thread; each has its own number.
    #[inline(always)]
    pub fn add(&self, thread: u16, records: u64) {
        let counter = &self.0[usize::from(thread)].0;
        counter.store(counter.load(Ordering::Relaxed) + records, Ordering::Relaxed);
    }

    pub fn total(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

/// A source of bids without end, as fast as it is asked, one partition per shard.
pub struct Bids {
    pub keys: u64,
    pub partitions: u16,
    pub tally: Tally,
}

impl Source for Bids {
    type Item = Bid;
    type Reader = BidReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions).map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<BidReader, SourceError> {
        let number = partition.0.parse().map_err(|_| SourceError::fatal("bids have numbered partitions"))?;
        let mut generator = Generator::new(self.keys, number, self.partitions);
        if let Some(offset) = offset {
            let word = |at: usize| offset.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            let (Some(made), Some(state)) = (word(0), word(8)) else {
                return Err(SourceError::fatal("an offset of bids has sixteen bytes"));
            };
            (generator.made, generator.state) = (u64::from_le_bytes(made), u64::from_le_bytes(state));
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
pub struct BidReader {
    generator: Generator,
    number: u16,
    /// The first one of the last poll.
    first: u64,
    tally: Tally,
}

impl Reader for BidReader {
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
            each(generator.bid(), Timestamp::MIN);
        }
        self.generator = generator;
        self.tally.add(self.number, room as u64);
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.generator.made.to_le_bytes());
        out.extend_from_slice(&self.generator.state.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("bid {} of partition {}", self.first + index as u64, self.number)
    }
}
