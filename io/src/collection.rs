//! Values in memory as bounded sources.

use std::ops::RangeInclusive;
use std::rc::Rc;

use millstream_engine::element::{Nanos, Timestamp};
use millstream_engine::record::Record;
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll,
};

use millstream_engine::source::offset;

/// A source that gives the values of a collection and ends.
///
/// ```
/// use millstream_io::Collection;
///
/// let words = Collection::of(["to", "be"].map(String::from));
/// ```
#[derive(Clone, Debug)]
pub struct Collection<T> {
    items: Rc<[(T, Timestamp)]>,
    partitions: u32,
}

impl<T: Record + Clone> Collection<T> {
    /// These values, without event times.
    pub fn of(items: impl IntoIterator<Item = T>) -> Self {
        Self::timed(items.into_iter().map(|item| (item, Timestamp::MIN)))
    }

    /// These values, each with its event time.
    pub fn timed(items: impl IntoIterator<Item = (T, Timestamp)>) -> Self {
        Collection { items: items.into_iter().collect(), partitions: 1 }
    }

    /// Cuts the collection into this many partitions of neighbouring values (1 unless set).
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }
}

/// A source that gives the numbers of a range and ends. See [`sequence`].
#[derive(Clone, Debug)]
pub struct Sequence {
    range: RangeInclusive<i64>,
    partitions: u32,
}

/// The numbers of a range, both ends included.
///
/// ```
/// let numbers = millstream_io::sequence(0..=5).partitions(2); // 0, 1, 2 and 3, 4, 5
/// ```
pub fn sequence(range: RangeInclusive<i64>) -> Sequence {
    Sequence { range, partitions: 1 }
}

impl Sequence {
    /// Cuts the range into this many partitions of neighbouring numbers (1 unless set).
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions;
        self
    }

    fn len(&self) -> u64 {
        // An inclusive range over all of i64 has 2^64 numbers; the last one is given up.
        let length = i128::from(*self.range.end()) - i128::from(*self.range.start()) + 1;
        u64::try_from(length.max(0)).unwrap_or(u64::MAX)
    }
}

/// The part of a collection that belongs to one partition, and how far it was read.
#[derive(Debug)]
struct Part {
    partition: u64,
    start: u64,
    next: u64,
    end: u64,
    handed_from: u64,
}

impl Part {
    /// The names of the partitions.
    fn names(partitions: u32) -> Result<Vec<PartitionId>, SourceError> {
        if partitions == 0 {
            return Err(SourceError::fatal(
                "a collection in 0 partitions gives nothing; give it at least one",
            ));
        }
        Ok((0..partitions).map(|partition| PartitionId(partition.to_string())).collect())
    }

    fn open(
        id: &PartitionId,
        offset: Option<&[u8]>,
        length: u64,
        partitions: u32,
    ) -> Result<Self, SourceError> {
        let partition: u32 =
            id.0.parse().ok().filter(|number| *number < partitions).ok_or_else(|| {
                SourceError::fatal(format!(
                    "the collection has {partitions} partitions, and no partition {}; do not change their number between \
                     starts",
                    id.0
                ))
            })?;
        let cut = |n: u32| (u128::from(length) * u128::from(n) / u128::from(partitions)) as u64;
        let (start, end) = (cut(partition), cut(partition + 1));
        let next = match offset {
            None => start,
            Some(bytes) => {
                let [given] = offset::decode(id, bytes)?;
                start.checked_add(given).filter(|next| *next <= end).ok_or_else(|| {
                    SourceError::fatal(format!(
                        "partition {partition} of the collection has {} values, and the checkpoint goes on after {given}; \
                         restore with the collection that the checkpoint was made with",
                        end - start
                    ))
                })?
            }
        };
        Ok(Part { partition: partition.into(), start, next, end, handed_from: next })
    }

    fn poll<T>(&mut self, out: &mut Records<T>, item: impl Fn(u64) -> (T, Timestamp)) -> SourcePoll {
        let take = (self.end - self.next).min(out.room() as u64);
        self.handed_from = self.next;
        for n in self.next..self.next + take {
            let (item, at) = item(n);
            out.push_at(item, at);
        }
        self.next += take;
        if self.next == self.end { SourcePoll::End } else { SourcePoll::More }
    }

    fn place(&self, index: usize) -> String {
        format!(
            "collection partition {}, value {}",
            self.partition,
            self.handed_from - self.start + index as u64
        )
    }
}

impl<T: Record + Clone> Source for Collection<T> {
    type Item = T;
    type Reader = CollectionReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Part::names(self.partitions)
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _context: &ReaderContext,
    ) -> Result<Self::Reader, SourceError> {
        let part = Part::open(partition, offset, self.items.len() as u64, self.partitions)?;
        Ok(CollectionReader { items: self.items.clone(), part })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads one partition of a [`Collection`].
#[derive(Debug)]
pub struct CollectionReader<T> {
    items: Rc<[(T, Timestamp)]>,
    part: Part,
}

impl<T: Record + Clone> Reader for CollectionReader<T> {
    type Item = T;

    fn poll(&mut self, _now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        Ok(self.part.poll(out, |n| self.items[n as usize].clone()))
    }

    fn offset(&self, out: &mut Vec<u8>) {
        offset::encode([self.part.next - self.part.start], out);
    }

    fn place(&self, index: usize) -> String {
        self.part.place(index)
    }
}

impl Source for Sequence {
    type Item = i64;
    type Reader = SequenceReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Part::names(self.partitions)
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _context: &ReaderContext,
    ) -> Result<SequenceReader, SourceError> {
        let part = Part::open(partition, offset, self.len(), self.partitions)?;
        Ok(SequenceReader { first: *self.range.start(), part })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads one partition of a [`Sequence`].
#[derive(Debug)]
pub struct SequenceReader {
    first: i64,
    part: Part,
}

impl Reader for SequenceReader {
    type Item = i64;

    fn poll(&mut self, _now: Nanos, out: &mut Records<i64>) -> Result<SourcePoll, SourceError> {
        let first = self.first;
        // The sum lies in the range; the halfway value may not.
        Ok(self.part.poll(out, |n| (first.wrapping_add_unsigned(n), Timestamp::MIN)))
    }

    fn offset(&self, out: &mut Vec<u8>) {
        offset::encode([self.part.next - self.part.start], out);
    }

    fn place(&self, index: usize) -> String {
        self.part.place(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_engine::runtime::Waker;
    use proptest::prelude::*;

    fn context() -> ReaderContext {
        ReaderContext { waker: Waker::new(), job: "job".into(), operator: "source".into(), state_dir: None }
    }

    /// Reads all partitions, `limit` values at a time, opening a new reader from the offset after every poll.
    fn read<S: Source>(source: &S, limit: usize) -> Vec<S::Item> {
        let mut all = Vec::new();
        for partition in Source::partitions(source).unwrap() {
            let mut offset = None;
            loop {
                let mut reader = source.open(&partition, offset.as_deref(), &context()).unwrap();
                let mut out = Records::with_limit(limit);
                let poll = reader.poll(Nanos(0), &mut out).unwrap();
                all.extend(out.drain().map(|(item, _)| item));
                let mut bytes = Vec::new();
                reader.offset(&mut bytes);
                offset = Some(bytes);
                if poll == SourcePoll::End {
                    break;
                }
            }
        }
        all
    }

    #[test]
    fn a_sequence_includes_both_ends() {
        assert_eq!(read(&sequence(0..=5), 100), [0, 1, 2, 3, 4, 5]);
        assert_eq!(read(&sequence(-1..=-1), 100), [-1]);
        #[allow(clippy::reversed_empty_ranges)]
        let empty = sequence(3..=2);
        assert_eq!(read(&empty, 100), [0i64; 0]);
        let mut reader =
            sequence(i64::MIN..=i64::MAX).open(&PartitionId("0".into()), None, &context()).unwrap();
        let mut out = Records::with_limit(2);
        assert_eq!(reader.poll(Nanos(0), &mut out).unwrap(), SourcePoll::More);
        assert_eq!(out.items(), [i64::MIN, i64::MIN + 1]);
        assert_eq!(reader.place(1), "collection partition 0, value 1");
    }

    #[test]
    fn event_times_go_along() {
        let source = Collection::timed([(7u64, Timestamp(70)), (8, Timestamp(80))]);
        let mut reader = source.open(&PartitionId("0".into()), None, &context()).unwrap();
        let mut out = Records::with_limit(9);
        assert_eq!(reader.poll(Nanos(0), &mut out).unwrap(), SourcePoll::End);
        assert_eq!(out.timestamps(), [Timestamp(70), Timestamp(80)]);
    }

    #[test]
    fn a_collection_that_shrank_is_noticed() {
        let id = PartitionId("0".into());
        let error = Collection::of([1u64]).open(&id, Some(&2u64.to_le_bytes()), &context()).unwrap_err();
        assert!(error.what.contains("has 1 values, and the checkpoint goes on after 2"), "{error}");
        assert!(Source::partitions(&Collection::of([1u64]).partitions(0)).is_err());
        assert!(Collection::of([1u64]).open(&PartitionId("1".into()), None, &context()).is_err());
    }

    proptest! {
        #[test]
        fn partitions_and_restores_lose_and_repeat_nothing(
            items in proptest::collection::vec(any::<u64>(), 0..100),
            partitions in 1u32..10,
            limit in 1usize..20,
        ) {
            prop_assert_eq!(read(&Collection::of(items.clone()).partitions(partitions), limit), items.clone());
            let n = items.len() as i64;
            prop_assert_eq!(read(&sequence(5..=n + 4).partitions(partitions), limit), (5..n + 5).collect::<Vec<_>>());
        }
    }
}
