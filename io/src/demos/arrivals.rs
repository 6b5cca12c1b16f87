//! Events in the order in which they arrive, which is not that in which they happen.

use std::cell::RefCell;
use std::collections::BTreeMap;

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use crate::generator::Generator;

/// An event that happens at one time and arrives at another.
pub(super) struct Arrival<T> {
    pub(super) event: T,
    /// Its event time, in ticks.
    pub(super) at: i64,
    /// How much later it arrives.
    pub(super) delay: i64,
}

/// The events of things that begin one after the other, such as rides: in the order of their arrival, with their event times.
///
/// Thing `n` begins at tick `n * spacing` or later, and so do its events. Its events are a pure function of `n`: each clone gives
/// the same ones.
#[derive(Clone)]
pub(super) struct Arrivals<T, F> {
    events_of: F,
    spacing: i64,
    next: u64,
    /// How many things there are.
    things: Option<u64>,
    /// What has happened and may still be overtaken: by arrival, thing, and place among the events of the thing.
    pending: BTreeMap<(i64, u64, usize), (T, Timestamp)>,
}

impl<T, I, F> Arrivals<T, F>
where
    I: IntoIterator<Item = Arrival<T>>,
    F: Fn(u64) -> I,
{
    /// All events of so many things; of things without end where that is not said.
    pub(super) fn new(spacing: i64, things: Option<u64>, events_of: F) -> Self {
        Arrivals { events_of, spacing, next: 0, things, pending: BTreeMap::new() }
    }

    /// Whether the thing that comes next could have an event that arrives before all that are pending.
    fn may_be_overtaken(&self) -> bool {
        let begins = (self.next as i64).saturating_mul(self.spacing);
        self.things.is_none_or(|things| self.next < things)
            && self.pending.keys().next().is_none_or(|(arrives, ..)| *arrives > begins)
    }
}

impl<T, I, F> Iterator for Arrivals<T, F>
where
    I: IntoIterator<Item = Arrival<T>>,
    F: Fn(u64) -> I,
{
    type Item = (T, Timestamp);

    fn next(&mut self) -> Option<Self::Item> {
        while self.may_be_overtaken() {
            for (place, arrival) in (self.events_of)(self.next).into_iter().enumerate() {
                let arrives = arrival.at + arrival.delay;
                self.pending.insert((arrives, self.next, place), (arrival.event, Timestamp(arrival.at)));
            }
            self.next += 1;
        }
        self.pending.pop_first().map(|(_, event)| event)
    }
}

impl<T, I, F> Arrivals<T, F>
where
    T: Record + Clone,
    I: IntoIterator<Item = Arrival<T>>,
    F: Fn(u64) -> I + Clone + 'static,
{
    /// A source of one partition. One that goes on from a checkpoint makes the events before it once more, and skips them.
    pub(super) fn into_source(self) -> Generator<T, impl Fn(u32, u64) -> (T, Timestamp) + Clone + 'static> {
        let count = self
            .things
            .map(|things| (0..things).map(|thing| (self.events_of)(thing).into_iter().count() as u64).sum());
        let progress = RefCell::new((0, self.clone()));
        Generator::new(1, count, 0, move |_, number| {
            let (next, events) = &mut *progress.borrow_mut();
            if number < *next {
                (*next, *events) = (0, self.clone());
            }
            let skipped = number - *next;
            *next = number + 1;
            events.nth(skipped as usize).expect("a generator is not asked for more than its count")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_engine::element::Nanos;
    use millstream_engine::runtime::Waker;
    use millstream_engine::source::{PartitionId, Reader, ReaderContext, Records, Source};

    /// Thing `n` has an event at `10 n`, which arrives at once, and one 25 later, which arrives another 7 later.
    fn twice(
        things: Option<u64>,
    ) -> Arrivals<(u64, bool), impl Fn(u64) -> [Arrival<(u64, bool)>; 2] + Clone> {
        Arrivals::new(10, things, |n| {
            let at = n as i64 * 10;
            [Arrival { event: (n, false), at, delay: 0 }, Arrival { event: (n, true), at: at + 25, delay: 7 }]
        })
    }

    #[test]
    fn events_come_in_the_order_of_their_arrival() {
        let events: Vec<_> = twice(Some(4)).map(|((thing, second), at)| (thing, second, at.0)).collect();
        assert_eq!(
            events,
            [
                (0, false, 0),
                (1, false, 10),
                (2, false, 20),
                (3, false, 30),
                (0, true, 25),
                (1, true, 35),
                (2, true, 45),
                (3, true, 55),
            ]
        );
        assert_eq!(twice(None).take(1000).collect::<Vec<_>>()[..4].len(), 4);
    }

    #[test]
    fn a_source_goes_on_anywhere() {
        let context = || ReaderContext {
            waker: Waker::new(),
            job: "job".into(),
            operator: "source".into(),
            state_dir: None,
        };
        let read = |offset: Option<&[u8]>| {
            let source = twice(Some(5)).into_source();
            let mut reader = source.open(&PartitionId("0".into()), offset, &context()).unwrap();
            let mut records = Records::with_limit(100);
            reader.poll(Nanos(0), &mut records).unwrap();
            records.drain().collect::<Vec<_>>()
        };
        let all: Vec<_> = twice(Some(5)).collect();
        assert_eq!(read(None), all);
        assert_eq!(read(Some(&7u64.to_le_bytes())), all[7..]);
    }
}
