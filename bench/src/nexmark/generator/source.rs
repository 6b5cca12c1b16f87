//! The events as a source.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{
    PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll, offset,
};

use super::config::Config;
use super::event::Draft;
use crate::clock::monotonic_nanos;
use crate::nexmark::stops::Stops;

/// How many events are looked at between two looks at whatever else there is to do, for each record there is room for.
const EVENTS_PER_RECORD: usize = 4;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Events that are due by the clock, so many a second: a reader that is late catches up.
#[derive(Clone, Debug)]
pub struct Pace {
    per_second: u64,
    /// When the first one is due, by the machine's clock; 0 until somebody asks.
    start: Arc<AtomicU64>,
}

impl Pace {
    /// So many a second, above 0, from when the first reader is polled.
    pub fn of(per_second: u64) -> Pace {
        Pace { per_second, start: Arc::default() }
    }

    /// When the event that comes after so many is due, by the machine's clock.
    #[inline]
    pub fn due(&self, events_so_far: u64) -> u64 {
        let after = u128::from(events_so_far) * NANOS_PER_SECOND / u128::from(self.per_second);
        self.started(monotonic_nanos()) + after as u64
    }

    /// How many events are due.
    fn events(&self, now: u64) -> u64 {
        let elapsed = now.saturating_sub(self.started(now));
        (u128::from(elapsed) * u128::from(self.per_second) / NANOS_PER_SECOND) as u64 + 1
    }

    fn started(&self, now: u64) -> u64 {
        match self.start.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now,
            Err(start) => start,
        }
    }
}

/// A source of what a closure makes of events. Partition `p` of `n` has the events `p`, `p + n`, `p + 2n` and so on, on one line of time.
pub struct Nexmark<T, F> {
    config: Config,
    events: u64,
    partitions: u16,
    pace: Option<Pace>,
    stops: Option<Arc<Stops>>,
    draw: F,
    item: PhantomData<fn() -> T>,
}

impl<T: Record, F: Fn(Draft<'_>) -> Option<T> + Clone + 'static> Nexmark<T, F> {
    /// So many events in all, in so many partitions. Those of which the closure makes nothing are passed over.
    pub fn new(config: Config, events: u64, partitions: u16, draw: F) -> Self {
        Nexmark { config, events, partitions, pace: None, stops: None, draw, item: PhantomData }
    }

    /// By the clock, where there is a pace.
    pub fn paced(self, pace: Option<Pace>) -> Self {
        Nexmark { pace, ..self }
    }

    /// With stops on the way, where there are some.
    pub fn stopping(self, stops: Option<Arc<Stops>>) -> Self {
        Nexmark { stops, ..self }
    }
}

impl<T: Record, F: Fn(Draft<'_>) -> Option<T> + Clone + 'static> Source for Nexmark<T, F> {
    type Item = T;
    type Reader = NexmarkReader<T, F>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok((0..self.partitions).map(|partition| PartitionId(partition.to_string())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<Self::Reader, SourceError> {
        let number = partition.0.parse::<u16>().ok().filter(|number| *number < self.partitions).ok_or_else(|| {
            SourceError::fatal(format!(
                "the events are dealt to {} partitions, and {} is none of them: go on with as many as before",
                self.partitions, partition.0
            ))
        })?;
        let next = offset.map_or(Ok([number.into()]), |bytes| offset::decode(partition, bytes))?[0];
        Ok(NexmarkReader {
            config: self.config,
            next,
            polled_from: next,
            stride: u64::from(self.partitions),
            end: self.events,
            pace: self.pace.clone(),
            stops: self.stops.clone(),
            draw: self.draw.clone(),
            item: PhantomData,
        })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads one partition of [`Nexmark`].
pub struct NexmarkReader<T, F> {
    config: Config,
    /// How many events come before the next one, those of other partitions as well.
    next: u64,
    polled_from: u64,
    stride: u64,
    end: u64,
    pace: Option<Pace>,
    stops: Option<Arc<Stops>>,
    draw: F,
    item: PhantomData<fn() -> T>,
}

impl<T: Record, F: Fn(Draft<'_>) -> Option<T> + Clone + 'static> Reader for NexmarkReader<T, F> {
    type Item = T;

    fn poll(&mut self, now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        let mut room = Records::with_limit(out.room());
        self.poll_each(now, &mut room, |record, at| out.push_at(record, at))
    }

    #[inline(always)]
    fn poll_each(
        &mut self,
        now: Nanos,
        batch: &mut Records<T>,
        mut each: impl FnMut(T, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        let room = batch.room();
        self.polled_from = self.next;
        let mut end = self.end.min(self.next + (room * EVENTS_PER_RECORD) as u64 * self.stride);
        if let Some(stops) = &self.stops {
            end = end.min(stops.limit(self.next)?);
        }
        if let Some(pace) = &self.pace {
            end = end.min(pace.events(monotonic_nanos()));
        }
        // Copies stay in registers.
        let (mut next, mut left, stride) = (self.next, room, self.stride);
        while next < end && left > 0 {
            let draft = self.config.draft(next);
            next += stride;
            if let Some(record) = (self.draw)(draft) {
                left -= 1;
                each(record, Timestamp(draft.time()));
            }
        }
        let waits = next == self.next;
        self.next = next;
        let may_end = |stops: &Arc<Stops>| stops.may_end(next % stride);
        if next >= self.end && self.stops.as_ref().is_none_or(may_end) {
            return Ok(SourcePoll::End);
        }
        if !waits {
            return Ok(SourcePoll::More);
        }
        let wait = match (&self.pace, &self.stops) {
            (Some(pace), None) => Duration::from_nanos(pace.due(next).saturating_sub(monotonic_nanos())),
            _ => Stops::LOOK_EVERY,
        };
        Ok(SourcePoll::Idle { until: Some(now.after(wait)) })
    }

    fn offset(&self, out: &mut Vec<u8>) {
        offset::encode([self.next], out);
    }

    fn place(&self, index: usize) -> String {
        format!("record {index} of those made of the events from number {} on", self.polled_from)
    }
}
