//! The records that are counted on: the same ones each time, and no more than asked for.

use millstream_engine::element::Nanos;
use millstream_engine::prelude::*;
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll,
};

/// A bid in an auction.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Bid {
    pub auction: u64,
    pub price: i64,
    /// Event time in milliseconds.
    pub at: i64,
}

/// Gives so many bids, by turns over partitions, with auctions in no order.
#[derive(Clone, Copy, Debug)]
pub struct Bids {
    pub count: u64,
    pub keys: u64,
    pub per_ms: u64,
    pub partitions: u16,
}

impl Bids {
    /// One partition with ten bids per millisecond.
    pub fn new(count: u64, keys: u64) -> Bids {
        Bids { count, keys, per_ms: 10, partitions: 1 }
    }

    fn bid(&self, number: u64) -> Bid {
        // A bijection of the numbers that leaves neighbours far from each other.
        let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Bid {
            auction: ((u128::from(scattered) * u128::from(self.keys)) >> 64) as u64,
            price: (scattered >> 20 & 0xFFFF) as i64,
            at: (number / self.per_ms) as i64,
        }
    }
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
        _: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<BidReader, SourceError> {
        let first = partition.0.parse().map_err(|_| SourceError::fatal("bids have numbered partitions"))?;
        Ok(BidReader { bids: *self, next: first })
    }

    fn replay(&self) -> Replay {
        Replay::No { because: "nobody asks twice".to_owned() }
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads one partition of [`Bids`].
pub struct BidReader {
    bids: Bids,
    next: u64,
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
        let step = u64::from(self.bids.partitions);
        for _ in 0..batch.room() {
            if self.next >= self.bids.count {
                return Ok(SourcePoll::End);
            }
            each(self.bids.bid(self.next), Timestamp::MIN);
            self.next += step;
        }
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("bid {index} of the last poll, before {}", self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_used_evenly_and_time_goes_on() {
        let bids = Bids::new(10_000, 100);
        let mut counts = [0u64; 100];
        (0..10_000).for_each(|number| counts[bids.bid(number).auction as usize] += 1);
        assert!(counts.iter().all(|count| (90..=110).contains(count)), "{counts:?}");
        assert_eq!((bids.bid(9).at, bids.bid(10).at), (0, 1));
    }
}
