//! The timers of a process function: of event time, and of processing time.

use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::failure::Cause;
use crate::operator::store::{Contents, Opening};
use crate::timers::{TimerName, TimerQueue, TooManyNames};
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

const EVENT: &str = "timers of event time";
const PROCESSING: &str = "timers of processing time";

impl<K: Key + ?Sized> Timers<K> {
    pub(super) fn open(opening: &mut Opening<'_>) -> Result<Self, Cause> {
        Ok(Timers { event: opening.timers(EVENT)?, processing: opening.timers(PROCESSING)? })
    }

    pub(super) fn save(&self, contents: &mut Contents) {
        contents.timers(EVENT, &self.event).timers(PROCESSING, &self.processing);
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

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.event.len() + self.processing.len()
    }

    /// A lower bound of the first timer of processing time.
    pub(super) fn first_processing(&self) -> Option<Timestamp> {
        self.processing.first()
    }
}
