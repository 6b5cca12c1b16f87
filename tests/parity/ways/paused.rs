//! A source that pauses for ever after some records, so that a job can be stopped at a place that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

/// How many readers there are in a job, and how many of them have come to their pause or their end.
#[derive(Default)]
pub struct Pauses {
    opened: AtomicUsize,
    reached: AtomicUsize,
}

impl Pauses {
    /// Whether all that have been opened are there.
    pub fn all_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire) == self.opened.load(Ordering::Acquire)
    }
}

/// Gives the records of its partitions one at a time: all of them, or so many of each partition and then no more.
pub struct Paused<T> {
    partitions: Vec<Vec<(T, Timestamp)>>,
    pause_after: Option<usize>,
    endless: bool,
    says: Option<Says<T>>,
    pauses: Arc<Pauses>,
}

/// The watermark that a source says after a record, if it says one.
type Says<T> = fn(&T) -> Option<Timestamp>;

impl<T> Paused<T> {
    pub fn new(
        partitions: Vec<Vec<(T, Timestamp)>>,
        pause_after: Option<usize>,
        pauses: Arc<Pauses>,
    ) -> Self {
        Paused { partitions, pause_after, endless: false, says: None, pauses }
    }

    /// Lets the source say watermarks itself.
    pub fn saying(mut self, says: Says<T>) -> Self {
        self.says = Some(says);
        self
    }
}

impl<T: Record + Clone> Paused<T> {
    /// The same records; then a pause for ever instead of the end.
    pub fn endless(partitions: Vec<Vec<(T, Timestamp)>>) -> Self {
        Paused { partitions, pause_after: None, endless: true, says: None, pauses: Arc::default() }
    }
}

impl<T: Record + Clone> Source for Paused<T> {
    type Item = T;
    type Reader = PausedReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions.len()).map(|number| PartitionId(number.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<PausedReader<T>, SourceError> {
        self.pauses.opened.fetch_add(1, Ordering::AcqRel);
        let records = self.partitions[partition.0.parse::<usize>().unwrap()].clone();
        let next = offset.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap())) as usize;
        let pause_after = if self.endless { Some(records.len()) } else { self.pause_after };
        let pauses = self.pauses.clone();
        Ok(PausedReader { records, next, pause_after, reached: false, says: self.says, pauses })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        !self.endless
    }
}

pub struct PausedReader<T> {
    records: Vec<(T, Timestamp)>,
    next: usize,
    pause_after: Option<usize>,
    reached: bool,
    says: Option<Says<T>>,
    pauses: Arc<Pauses>,
}

impl<T> PausedReader<T> {
    fn reach(&mut self) {
        if !std::mem::replace(&mut self.reached, true) {
            self.pauses.reached.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl<T: Record + Clone> Reader for PausedReader<T> {
    type Item = T;

    fn poll(&mut self, now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        if self.pause_after.is_some_and(|pause| self.next >= pause) {
            self.reach();
            return Ok(SourcePoll::Idle { until: None });
        }
        let Some((record, at)) = self.records.get(self.next) else {
            self.reach();
            return Ok(SourcePoll::End);
        };
        out.push_at(record.clone(), *at);
        if let Some(at) = self.says.and_then(|says| says(record)) {
            out.watermark(at);
        }
        self.next += 1;
        // A source that has more is asked again before its watermark is looked at.
        Ok(SourcePoll::Idle { until: Some(now) })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.next as u64).to_le_bytes());
    }

    fn place(&self, _: usize) -> String {
        format!("record {}", self.next - 1)
    }
}
