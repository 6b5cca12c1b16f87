//! A source that says what it is told to.

use crate::element::{Nanos, Timestamp};
use crate::record::Record;
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll};

/// A bounded, replayable source of one partition that gives these records, in order.
pub fn script<T: Record + Clone>(records: impl IntoIterator<Item = T>) -> Script<T> {
    Script {
        partitions: vec![records.into_iter().map(|record| (record, Timestamp::MIN)).collect()],
        pace: usize::MAX,
    }
}

/// A bounded, replayable source with one partition for each of these lists, whose records have timestamps.
pub fn timed_script<T: Record + Clone>(partitions: Vec<Vec<(T, Timestamp)>>) -> Script<T> {
    Script { partitions, pace: usize::MAX }
}

/// See [`script`] and [`timed_script`].
#[derive(Clone, Debug)]
pub struct Script<T> {
    partitions: Vec<Vec<(T, Timestamp)>>,
    pace: usize,
}

impl<T> Script<T> {
    /// Gives at most so many records at a poll, so that a job takes many steps.
    pub fn pace(mut self, records_per_poll: usize) -> Self {
        self.pace = records_per_poll.max(1);
        self
    }
}

impl<T: Record + Clone> Source for Script<T> {
    type Item = T;
    type Reader = ScriptReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions.len()).map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<ScriptReader<T>, SourceError> {
        let unknown = || SourceError::fatal(format!("the script has no partition {}", partition.0));
        let number: usize = partition.0.parse().map_err(|_| unknown())?;
        let records = self.partitions.get(number).ok_or_else(unknown)?.clone();
        let next = match offset.map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes) as usize,
            Some(Err(_)) => return Err(SourceError::fatal("the offset of a script has eight bytes")),
        };
        Ok(ScriptReader { records, next, polled_from: next, pace: self.pace })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads a [`Script`].
#[derive(Debug)]
pub struct ScriptReader<T> {
    records: Vec<(T, Timestamp)>,
    next: usize,
    polled_from: usize,
    pace: usize,
}

impl<T: Record + Clone> Reader for ScriptReader<T> {
    type Item = T;

    fn poll(&mut self, _: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        self.polled_from = self.next;
        let count = out.room().min(self.pace).min(self.records.len() - self.next);
        for (record, at) in &self.records[self.next..self.next + count] {
            out.push_at(record.clone(), *at);
        }
        self.next += count;
        Ok(if self.next == self.records.len() { SourcePoll::End } else { SourcePoll::More })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.next as u64).to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("record {} of the script", self.polled_from + index)
    }
}
