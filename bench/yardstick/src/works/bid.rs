//! Bids in auctions.

use super::Sequence;
use super::xorshift::{Xorshift, below};

/// How many bids share a millisecond of event time.
const BIDS_PER_MS: u64 = 1000;

/// A bid, as the peers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bid {
    /// The key: uniform below the number of keys.
    pub auction: i64,
    /// Who bids.
    pub bidder: i64,
    /// How much.
    pub price: i64,
    /// Event time in milliseconds.
    pub date_time: i64,
    /// By which way it came.
    pub channel: u32,
}

/// The bids of a partition.
#[derive(Clone, Debug)]
pub struct BidSequence {
    keys: u64,
    partition: u64,
    partitions: u64,
    made: u64,
    random: Xorshift,
}

impl Sequence for BidSequence {
    type Item = Bid;

    fn new(keys: u64, partition: u16, partitions: u16) -> Self {
        let (partition, partitions) = (u64::from(partition), u64::from(partitions));
        BidSequence { keys, partition, partitions, made: 0, random: Xorshift::of_partition(partition) }
    }

    #[inline(always)]
    fn next(&mut self) -> Bid {
        let random = self.random.next();
        let date_time = self.next_time();
        self.made += 1;
        Bid {
            auction: below(self.keys, random) as i64,
            bidder: (random & 0xFFFF) as i64,
            price: ((random >> 20) & 0xF_FFFF) as i64,
            date_time,
            channel: (random >> 60) as u32,
        }
    }

    fn position(&self) -> (u64, u64) {
        (self.made, self.random.state())
    }

    fn go_to(&mut self, made: u64, random: Xorshift) {
        (self.made, self.random) = (made, random);
    }
}

impl BidSequence {
    /// The event time of the next bid, in milliseconds.
    #[inline(always)]
    pub fn next_time(&self) -> i64 {
        ((self.made * self.partitions + self.partition) / BIDS_PER_MS) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_goes_on_from_a_position() {
        let mut bids = BidSequence::new(1000, 1, 2);
        for _ in 0..1000 {
            bids.next();
        }
        let (made, state) = bids.position();
        let mut again = BidSequence::new(1000, 1, 2);
        again.go_to(made, Xorshift::at(state));
        assert_eq!(again.next(), bids.next());
        assert_eq!(made, 1000);
    }

    #[test]
    fn partitions_share_event_time() {
        let last = |partition, records| {
            let mut bids = BidSequence::new(1000, partition, 2);
            (0..records).map(|_| bids.next().date_time).last().unwrap()
        };
        assert_eq!((last(0, 500), last(1, 500)), (0, 0));
        assert_eq!((last(0, 501), last(1, 501)), (1, 1));
    }
}
