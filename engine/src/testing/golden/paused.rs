//! A source that pauses for ever after some records, so that a job can be stopped at a place that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::element::{Nanos, Timestamp};
use crate::record::Record;
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll};
use crate::testing::position;

/// After how many records the readers of a job pause; how many readers there are, and how many have come to their pause or their end.
pub(super) struct Pauses {
    after: AtomicUsize,
    opened: AtomicUsize,
    reached: AtomicUsize,
}

impl Pauses {
    /// Each partition pauses after so many records.
    pub(super) fn after(records: usize) -> Self {
        Pauses { after: AtomicUsize::new(records), opened: AtomicUsize::new(0), reached: AtomicUsize::new(0) }
    }

    /// Lets each partition go on to so many records.
    pub(super) fn move_to(&self, records: usize) {
        self.after.store(records, Ordering::Release);
    }

    /// Whether all readers that have been opened are there.
    pub(super) fn all_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire) == self.opened.load(Ordering::Acquire)
    }
}

/// A source that gives the records of its partitions one at a time, so that a watermark follows each. The runs of
/// [`every_way`](super::every_way) stop it in the middle; by itself it gives all its records.
pub struct Paused<T> {
    partitions: Vec<Vec<(T, Timestamp)>>,
    endless: bool,
    says: Option<Says<T>>,
    pauses: Arc<Pauses>,
}

/// The watermark that a source says after a record, if it says one.
type Says<T> = fn(&T) -> Option<Timestamp>;

impl<T> Paused<T> {
    /// A source with these partitions, whose records have event times.
    pub fn of(partitions: Vec<Vec<(T, Timestamp)>>) -> Self {
        Paused::pausing(partitions, Arc::new(Pauses::after(usize::MAX)))
    }

    pub(super) fn pausing(partitions: Vec<Vec<(T, Timestamp)>>, pauses: Arc<Pauses>) -> Self {
        Paused { partitions, endless: false, says: None, pauses }
    }

    /// The same records; then a pause for ever instead of the end.
    pub fn endless(partitions: Vec<Vec<(T, Timestamp)>>) -> Self {
        Paused { endless: true, ..Paused::of(partitions) }
    }

    /// Lets the source say a watermark after those records for which the function gives one.
    pub fn saying(mut self, says: Says<T>) -> Self {
        self.says = Some(says);
        self
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
        let records = position::partition(&self.partitions, &partition.0)?.clone();
        let next = position::read(offset)?;
        self.pauses.opened.fetch_add(1, Ordering::AcqRel);
        let (endless, says, pauses) = (self.endless, self.says, self.pauses.clone());
        Ok(PausedReader { records, next, endless, reached: false, says, pauses })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        !self.endless
    }
}

/// Reads a [`Paused`].
pub struct PausedReader<T> {
    records: Vec<(T, Timestamp)>,
    next: usize,
    endless: bool,
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
        let is_over = self.next >= self.records.len();
        if self.next >= self.pauses.after.load(Ordering::Acquire) || (is_over && self.endless) {
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
        position::write(self.next, out);
    }

    fn place(&self, _: usize) -> String {
        format!("record {}", self.next - 1)
    }
}
