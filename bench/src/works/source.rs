//! A source of the records of a work.

use std::marker::PhantomData;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{self, Part, Sequence, Task};

use crate::position;

/// A bid, as the peers have it: archived as it is.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Bid {
    pub auction: i64,
    pub bidder: i64,
    pub price: i64,
    pub date_time: i64,
    pub channel: u32,
    /// The bytes that the layout needs to end at.
    pub padding: u32,
}

impl From<works::Bid> for Bid {
    #[inline(always)]
    fn from(bid: works::Bid) -> Bid {
        let works::Bid { auction, bidder, price, date_time, channel } = bid;
        Bid { auction, bidder, price, date_time, channel, padding: 0 }
    }
}

/// All records of a task, one partition per shard, as fast as they are asked for.
pub struct Made<S, R> {
    keys: u64,
    parts: Vec<Part>,
    tally: Tally,
    makes: PhantomData<(S, R)>,
}

impl<S: Sequence, R> Made<S, R> {
    /// Counts in the tally what it gives.
    pub fn new(task: &Task, tally: &Tally) -> Self {
        let parts = works::parts(task.records(), task.shards).collect();
        Made { keys: task.keys(), parts, tally: tally.clone(), makes: PhantomData }
    }
}

impl<S: Sequence, R: Record + From<S::Item>> Source for Made<S, R> {
    type Item = R;
    type Reader = MadeReader<S, R>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(self.parts.iter().map(|part| PartitionId(part.partition.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<MadeReader<S, R>, SourceError> {
        let part = self.parts.iter().find(|part| part.partition.to_string() == partition.0);
        let part = *part.ok_or_else(|| SourceError::fatal("made-up records have numbered partitions"))?;
        let mut sequence = S::new(self.keys, part.partition, part.partitions);
        if let Some(offset) = offset {
            let (made, random) = position::read(offset)?;
            sequence.go_to(made, random);
        }
        Ok(MadeReader { sequence, part, first: 0, tally: self.tally.clone(), makes: PhantomData })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads one partition of [`Made`].
pub struct MadeReader<S, R> {
    sequence: S,
    part: Part,
    /// The first one of the last poll.
    first: u64,
    tally: Tally,
    makes: PhantomData<R>,
}

impl<S: Sequence, R: Record + From<S::Item>> Reader for MadeReader<S, R> {
    type Item = R;

    fn poll(&mut self, now: Nanos, out: &mut Records<R>) -> Result<SourcePoll, SourceError> {
        let mut room = Records::with_limit(out.room());
        self.poll_each(now, &mut room, |record, _| out.push(record))
    }

    #[inline(always)]
    fn poll_each(
        &mut self,
        _: Nanos,
        batch: &mut Records<R>,
        mut each: impl FnMut(R, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        self.first = self.sequence.position().0;
        let records = (batch.room() as u64).min(self.part.records - self.first);
        // A copy stays in registers.
        let mut sequence = self.sequence.clone();
        for _ in 0..records {
            each(sequence.next().into(), Timestamp::MIN);
        }
        self.sequence = sequence;
        self.tally.add(self.part.partition, records);
        Ok(if self.first + records == self.part.records { SourcePoll::End } else { SourcePoll::More })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        let (made, state) = self.sequence.position();
        position::write(made, &works::Xorshift::at(state), out);
    }

    fn place(&self, index: usize) -> String {
        format!("record {} of partition {}", self.first + index as u64, self.part.partition)
    }
}
