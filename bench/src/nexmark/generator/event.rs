//! One event.

use millstream::prelude::*;

use super::random::Random;
use super::{Auction, Bid, Config, Person};

/// What happened.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

/// What kind of event one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Person,
    Auction,
    Bid,
}

/// An event of which only the number is known yet: what it is, and what is in it, is drawn when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub(super) config: &'a Config,
    /// Where it is in event time.
    pub(super) number: u64,
}

impl Draft<'_> {
    #[inline(always)]
    pub(super) fn id(&self) -> u64 {
        self.config.first_event_id + self.number
    }

    #[inline(always)]
    pub(super) fn random(&self) -> Random {
        Random::of(self.id())
    }

    /// When it happened, in milliseconds since 1970.
    #[inline(always)]
    pub fn time(&self) -> i64 {
        self.config.time(self.number)
    }

    /// What kind it is of.
    #[inline(always)]
    pub fn kind(&self) -> Kind {
        let (_, at) = self.config.place(self.id());
        if at < self.config.persons {
            Kind::Person
        } else if at < self.config.persons + self.config.auctions {
            Kind::Auction
        } else {
            Kind::Bid
        }
    }

    /// The bid, if it is one.
    #[inline(always)]
    pub fn bid(&self) -> Option<Bid> {
        (self.kind() == Kind::Bid).then(|| Bid::draw(*self))
    }

    /// The auction, if it is one.
    #[inline(always)]
    pub fn auction(&self) -> Option<Auction> {
        (self.kind() == Kind::Auction).then(|| Auction::draw(*self))
    }

    /// The person, if it is one.
    #[inline(always)]
    pub fn person(&self) -> Option<Person> {
        (self.kind() == Kind::Person).then(|| Person::draw(*self))
    }

    /// Whatever it is.
    #[inline(always)]
    pub fn event(&self) -> Event {
        match self.kind() {
            Kind::Person => Event::Person(Person::draw(*self)),
            Kind::Auction => Event::Auction(Auction::draw(*self)),
            Kind::Bid => Event::Bid(Bid::draw(*self)),
        }
    }
}
