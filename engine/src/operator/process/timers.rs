//! The timers of a process function: of event time, and of processing time.

use crate::arena::{Arena, StateName};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::Timestamp;
use crate::key::Key;
use crate::state::StateError;
use crate::timers::{SavedTimers, TimerName, TimerQueue, TooManyNames};
use crate::window::TimeDomain;

/// A timer that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer<'a> {
    /// What it was set for.
    pub at: Timestamp,
    /// Which clock it goes by.
    pub domain: TimeDomain,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
}

/// A timer with a name, of which each key has at most one: what [`States::event_timer`](super::States::event_timer) gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct NamedTimer(Option<(TimeDomain, TimerName)>);

impl NamedTimer {
    pub(super) fn declared(self) -> (TimeDomain, TimerName) {
        self.0.expect("a timer is used that was not declared: do so in `open`, with states.event_timer(..)")
    }
}

pub(super) struct Timers<K: Key + ?Sized> {
    event: TimerQueue<K>,
    processing: TimerQueue<K>,
}

pub(super) struct SavedQueues {
    event: SavedTimers,
    processing: SavedTimers,
}

fn names(operator: &str) -> [StateName; 2] {
    [StateName::new(operator, "timers of event time"), StateName::new(operator, "timers of processing time")]
}

impl SavedQueues {
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(SavedQueues { event: SavedTimers::read(input)?, processing: SavedTimers::read(input)? })
    }
}

impl<K: Key + ?Sized> Timers<K> {
    pub(super) fn new(arena: &mut Arena, operator: &str) -> Self {
        let [event, processing] = names(operator);
        Timers { event: TimerQueue::new(arena, &event), processing: TimerQueue::new(arena, &processing) }
    }

    pub(super) fn restore(
        arena: &mut Arena,
        operator: &str,
        saved: &SavedQueues,
    ) -> Result<Self, StateError> {
        let [event, processing] = names(operator);
        Ok(Timers {
            event: TimerQueue::restore(arena, &event, &saved.event)?,
            processing: TimerQueue::restore(arena, &processing, &saved.processing)?,
        })
    }

    /// The queues of one kind each, for taking over an old shard's.
    pub(super) fn with_saved<'a>(
        &'a mut self,
        saved: &'a SavedQueues,
    ) -> [(&'a mut TimerQueue<K>, &'a SavedTimers); 2] {
        [(&mut self.event, &saved.event), (&mut self.processing, &saved.processing)]
    }

    pub(super) fn save(&self, out: &mut Writer) {
        self.event.save(out);
        self.processing.save(out);
    }

    /// The queue of one kind of time.
    pub(super) fn of(&mut self, domain: TimeDomain) -> &mut TimerQueue<K> {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }

    pub(super) fn named(&mut self, domain: TimeDomain, name: &str) -> Result<NamedTimer, TooManyNames> {
        Ok(NamedTimer(Some((domain, self.of(domain).name(name)?))))
    }

    pub(super) fn name_of(&self, domain: TimeDomain, name: TimerName) -> &str {
        match domain {
            TimeDomain::Event => self.event.name_of(name),
            TimeDomain::Processing => self.processing.name_of(name),
        }
    }

    /// A lower bound of the first timer of processing time.
    pub(super) fn first_processing(&self) -> Option<Timestamp> {
        self.processing.first()
    }
}
