//! Records made by a function of their number, at a given rate.

use std::marker::PhantomData;

use millstream_engine::element::{Nanos, Timestamp};
use millstream_engine::record::Record;
use millstream_engine::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll,
};

use millstream_engine::source::offset;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A deterministic source: record `n` of a partition is a pure function of both, and the remembered offset is `n`.
///
/// With a rate, record `n` of the whole source is due at `start + n / rate`: a late poll catches up and the mean does
/// not drift. After a restore the clock starts anew at the restored record, so that the time the job was down is not made
/// up for.
///
/// ```
/// use millstream_engine::element::Timestamp;
/// use millstream_io::Generator;
///
/// // Two partitions of 1000 numbers each, 500 a second in all.
/// let numbers = Generator::new(2, Some(1000), 500, |partition, n| (n * 2 + u64::from(partition), Timestamp(n as i64)));
/// ```
#[derive(Debug)]
pub struct Generator<T, F> {
    partitions: u32,
    count: Option<u64>,
    rate: u64,
    make: F,
    item: PhantomData<fn() -> T>,
}

impl<T: Record, F: Fn(u32, u64) -> (T, Timestamp) + Clone + 'static> Generator<T, F> {
    /// `partitions` partitions of `count` records each (`None`: without end), at `rate` records per second over all
    /// partitions (0: as fast as it can). `make(partition, n)` gives record `n` and its event time; it must be a pure function.
    pub fn new(partitions: u32, count: Option<u64>, rate: u64, make: F) -> Self {
        Generator { partitions, count, rate, make, item: PhantomData }
    }
}

impl<T: Record, F: Fn(u32, u64) -> (T, Timestamp) + Clone + 'static> Source for Generator<T, F> {
    type Item = T;
    type Reader = GeneratorReader<T, F>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        if self.partitions == 0 {
            return Err(SourceError::fatal(
                "a generator with 0 partitions gives nothing; give it at least one",
            ));
        }
        Ok((0..self.partitions).map(|partition| PartitionId(partition.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _context: &ReaderContext,
    ) -> Result<Self::Reader, SourceError> {
        let number = partition.0.parse().ok().filter(|number| *number < self.partitions).ok_or_else(|| {
            SourceError::fatal(format!(
                "the generator has partitions 0 to {}, and no partition {}; do not lower their number between starts",
                self.partitions.saturating_sub(1),
                partition.0
            ))
        })?;
        let next = offset.map_or(Ok([0]), |bytes| offset::decode(partition, bytes))?[0];
        Ok(GeneratorReader {
            partition: number,
            next,
            handed_from: next,
            end: self.count.unwrap_or(u64::MAX),
            pace: Pace::new(self.rate, self.partitions, number),
            make: self.make.clone(),
            item: PhantomData,
        })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        self.count.is_some()
    }
}

/// Makes the records of one partition.
#[derive(Debug)]
pub struct GeneratorReader<T, F> {
    partition: u32,
    next: u64,
    /// The number of the first record of the last poll.
    handed_from: u64,
    end: u64,
    pace: Option<Pace>,
    make: F,
    item: PhantomData<fn() -> T>,
}

/// When the records of one partition are due.
#[derive(Debug)]
struct Pace {
    rate: u128,
    partitions: u128,
    partition: u128,
    /// When this reader started, and how many records it has given since.
    start: Option<Nanos>,
    given: u128,
}

impl Pace {
    fn new(rate: u64, partitions: u32, partition: u32) -> Option<Self> {
        (rate > 0).then(|| Pace {
            rate: rate.into(),
            partitions: partitions.into(),
            partition: partition.into(),
            start: None,
            given: 0,
        })
    }

    /// How many records are due and not given yet.
    fn due(&mut self, now: Nanos) -> u64 {
        let start = *self.start.get_or_insert(now);
        // Record `k` of this partition is number `k * partitions + partition` of the source.
        let elapsed = u128::from(now.0.saturating_sub(start.0));
        let last = elapsed * self.rate / NANOS_PER_SECOND;
        let due = last.checked_sub(self.partition).map_or(0, |ahead| ahead / self.partitions + 1);
        u64::try_from(due.saturating_sub(self.given)).unwrap_or(u64::MAX)
    }

    /// When the next record is due.
    fn next_due(&self) -> Option<Nanos> {
        let number = self.given * self.partitions + self.partition;
        let delay = (number * NANOS_PER_SECOND).div_ceil(self.rate);
        self.start.map(|start| Nanos(start.0.saturating_add(u64::try_from(delay).unwrap_or(u64::MAX))))
    }
}

impl<T: Record, F: Fn(u32, u64) -> (T, Timestamp) + Clone + 'static> Reader for GeneratorReader<T, F> {
    type Item = T;

    #[inline]
    fn poll(&mut self, now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        let due = self.pace.as_mut().map_or(u64::MAX, |pace| pace.due(now));
        let take = due.min(self.end.saturating_sub(self.next)).min(out.room() as u64);
        self.handed_from = self.next;
        for n in self.next..self.next + take {
            let (item, at) = (self.make)(self.partition, n);
            out.push_at(item, at);
        }
        self.next += take;
        if self.next >= self.end {
            return Ok(SourcePoll::End);
        }
        match &mut self.pace {
            None => Ok(SourcePoll::More),
            Some(pace) => {
                pace.given += u128::from(take);
                if take < due {
                    Ok(SourcePoll::More)
                } else {
                    Ok(SourcePoll::Idle { until: pace.next_due() })
                }
            }
        }
    }

    fn offset(&self, out: &mut Vec<u8>) {
        offset::encode([self.next], out);
    }

    fn place(&self, index: usize) -> String {
        format!("generator partition {}, record {}", self.partition, self.handed_from + index as u64)
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

    fn open(
        partitions: u32,
        count: Option<u64>,
        rate: u64,
        partition: u32,
        offset: Option<&[u8]>,
    ) -> impl Reader<Item = u64> {
        let source =
            Generator::new(partitions, count, rate, |p, n| (n * 10 + u64::from(p), Timestamp(n as i64)));
        source.open(&PartitionId(partition.to_string()), offset, &context()).unwrap()
    }

    fn poll(reader: &mut impl Reader<Item = u64>, now: u64, limit: usize) -> (Vec<u64>, SourcePoll) {
        let mut out = Records::with_limit(limit);
        let poll = reader.poll(Nanos(now), &mut out).unwrap();
        (out.drain().map(|(n, _)| n).collect(), poll)
    }

    #[test]
    fn it_ends_after_its_count() {
        let mut reader = open(2, Some(5), 0, 1, None);
        assert_eq!(poll(&mut reader, 0, 3), (vec![1, 11, 21], SourcePoll::More));
        assert_eq!(reader.place(2), "generator partition 1, record 2");
        assert_eq!(poll(&mut reader, 0, 3), (vec![31, 41], SourcePoll::End));
        assert_eq!(poll(&mut reader, 0, 3), (vec![], SourcePoll::End));
        let mut none = open(1, Some(0), 0, 0, None);
        assert_eq!(poll(&mut none, 0, 3), (vec![], SourcePoll::End));
    }

    #[test]
    fn the_partitions_share_the_rate_and_take_turns() {
        // Ten a second over two partitions: partition 0 at 0, 200, 400 ms, partition 1 at 100, 300, 500 ms.
        let ms = 1_000_000;
        let start = 7_777_777;
        let mut first = open(2, None, 10, 0, None);
        let mut second = open(2, None, 10, 1, None);
        let until = |at: u64| SourcePoll::Idle { until: Some(Nanos(start + at * ms)) };
        assert_eq!(poll(&mut first, start, 9), (vec![0], until(200)));
        assert_eq!(poll(&mut second, start, 9), (vec![], until(100)));
        assert_eq!(poll(&mut second, start + 99 * ms, 9), (vec![], until(100)));
        assert_eq!(poll(&mut second, start + 100 * ms, 9), (vec![1], until(300)));
        // A late poll catches up, and the schedule stands.
        assert_eq!(poll(&mut first, start + 650 * ms, 2), (vec![10, 20], SourcePoll::More));
        assert_eq!(poll(&mut first, start + 650 * ms, 9), (vec![30], until(800)));
    }

    #[test]
    fn a_restored_reader_does_not_make_up_for_the_past() {
        let offset = 1_000_000u64.to_le_bytes();
        let mut reader = open(1, None, 1000, 0, Some(&offset));
        let hour = 3_600 * 1_000_000_000;
        assert_eq!(
            poll(&mut reader, hour, 9),
            (vec![10_000_000], SourcePoll::Idle { until: Some(Nanos(hour + 1_000_000)) })
        );
    }

    #[test]
    fn bad_settings_and_offsets_are_refused() {
        let make = |_, n| (n, Timestamp::MIN);
        assert!(Generator::<u64, _>::new(0, None, 0, make).partitions().is_err());
        let source = Generator::<u64, _>::new(2, None, 0, make);
        assert!(source.open(&PartitionId("2".into()), None, &context()).is_err());
        assert!(source.open(&PartitionId("x".into()), None, &context()).is_err());
        assert!(source.open(&PartitionId("1".into()), Some(&[0; 7]), &context()).is_err());
    }

    proptest! {
        /// Until any instant exactly the due records have come, whatever the polls in between; none is due before the
        /// time that was announced.
        #[test]
        fn the_mean_does_not_drift(
            rate in 1u64..2000,
            partitions in 1u32..5,
            steps in proptest::collection::vec((0u64..30_000_000, 1usize..40), 1..40),
        ) {
            for partition in 0..partitions {
                let mut reader = open(partitions, None, rate, partition, None);
                let (mut now, mut given) = (5u64, 0u128);
                for &(step, limit) in &steps {
                    let (records, answer) = poll(&mut reader, now, limit);
                    given += records.len() as u128;
                    let due = (0u128..)
                        .take_while(|k| {
                            (k * u128::from(partitions) + u128::from(partition)) * NANOS_PER_SECOND
                                <= u128::from(now - 5) * u128::from(rate)
                        })
                        .count() as u128;
                    match answer {
                        SourcePoll::More => prop_assert!(given < due && records.len() == limit),
                        SourcePoll::Idle { until } => {
                            prop_assert_eq!(given, due);
                            prop_assert!(until.unwrap().0 > now);
                        }
                        SourcePoll::End => prop_assert!(false),
                    }
                    now += step;
                }
            }
        }
    }
}
