//! A source whose partitions are slow, idle, empty or ended early, as the seed has it.

use std::sync::Arc;
use std::time::Duration;

use millstream_engine::element::{Nanos, Timestamp};
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll,
};

use crate::random::{Random, mix};
use crate::topology::Event;

/// Longer than this no partition that still has records stays silent.
pub const PAUSE_MAX: Duration = Duration::from_millis(1);

/// After this long a silent partition is idle, in programs that say so.
pub const IDLE_AFTER: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Default)]
pub struct Partition {
    pub records: Vec<(Event, Timestamp)>,
    /// At most so many records at a poll.
    pace: u64,
    /// At one poll in so many it has nothing at hand.
    pause_every: u64,
    /// How long it stays silent, once all is given, before it says that this was the end.
    linger: Duration,
}

impl Partition {
    /// Draws a partition. Timestamps are out of order by less than `disorder`.
    pub fn draw(
        random: &mut Random,
        number: u64,
        records: u64,
        keys: u64,
        disorder: u64,
        step: u64,
        lingers: bool,
    ) -> Partition {
        let mut at = random.below(50) as i64;
        let skew = random.one_in(3);
        let records = (0..records).map(|n| {
            at += random.below(2 * step) as i64;
            let late = random.below(disorder.max(1)) as i64;
            let key = if skew && random.one_in(2) { 3 } else { random.below(keys) };
            (Event { key, id: mix(number << 32 | n), n: 0, extra: 0 }, Timestamp(at - late))
        });
        Partition {
            records: records.collect(),
            pace: random.pick(&[1, 7, 50, 300, 5000]),
            pause_every: random.pick(&[0, 0, 2, 5]),
            linger: Duration::from_millis(random.pick(&[0, 0, 1, if lingers { 300 } else { 5 }])),
        }
    }
}

pub struct SimSource {
    pub partitions: Arc<Vec<Partition>>,
}

impl Source for SimSource {
    type Item = Event;
    type Reader = SimReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions.len()).map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        name: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<SimReader, SourceError> {
        let number: usize = name.0.parse().unwrap();
        let next = offset.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()) as usize);
        let random = Random(mix(number as u64) ^ next as u64);
        Ok(SimReader { partitions: self.partitions.clone(), number, next, random, done_at: None, trimmed: 0 })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

pub struct SimReader {
    partitions: Arc<Vec<Partition>>,
    number: usize,
    next: usize,
    random: Random,
    done_at: Option<Nanos>,
    trimmed: usize,
}

impl Reader for SimReader {
    type Item = Event;

    fn poll(&mut self, now: Nanos, out: &mut Records<Event>) -> Result<SourcePoll, SourceError> {
        let partition = &self.partitions[self.number];
        if self.next < partition.records.len()
            && partition.pause_every > 0
            && self.random.one_in(partition.pause_every)
        {
            let pause = Duration::from_nanos(self.random.below(PAUSE_MAX.as_nanos() as u64));
            return Ok(SourcePoll::Idle { until: Some(now.after(pause)) });
        }
        let pace = self.random.between(1, partition.pace) as usize;
        let count = out.room().min(pace).min(partition.records.len() - self.next);
        for (record, at) in &partition.records[self.next..self.next + count] {
            out.push_at(*record, *at);
        }
        self.next += count;
        if self.next < partition.records.len() {
            return Ok(SourcePoll::More);
        }
        let end = *self.done_at.get_or_insert(now.after(partition.linger));
        Ok(if now >= end { SourcePoll::End } else { SourcePoll::Idle { until: Some(end) } })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.next as u64).to_le_bytes());
    }

    fn trim(&mut self, offset: &[u8]) -> Result<(), SourceError> {
        let offset = u64::from_le_bytes(offset.try_into().unwrap()) as usize;
        assert!(
            self.trimmed <= offset && offset <= self.next,
            "trimmed to {offset}, before that to {}",
            self.trimmed
        );
        self.trimmed = offset;
        Ok(())
    }

    fn place(&self, index: usize) -> String {
        format!("partition {}, record {index} of the poll before {}", self.number, self.next)
    }
}
