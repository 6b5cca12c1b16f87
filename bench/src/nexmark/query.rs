//! What a query is: a job, its text in SQL, and what it has to come to.

use millstream::prelude::*;
use millstream::stream::SourceStream;
use millstream::time::Ticks;
use std::sync::Arc;

use super::generator::{Auction, Bid, Config, Draft, Event, Nexmark, Pace, Person};
use super::output::Output;
use super::stops::Stops;

/// A query of Nexmark.
pub struct Query {
    pub number: u8,
    /// What it is called where it was published.
    pub name: &'static str,
    /// The published text, as one statement that gives rows.
    pub sql: &'static str,
    /// Which of its rows count.
    pub rows: Rows,
    /// Builds the job: from events to the rows that it shows.
    pub build: fn(&Flow, &Input, &Output),
    /// The rows that these events come to, in order, in the plainest way.
    pub reference: fn(&[Event]) -> Vec<String>,
}

impl Query {
    /// Whether its rows come when the watermark has passed them, and not with the event that made them.
    pub fn waits_for_the_watermark(&self) -> bool {
        matches!(self.number, 5..=8 | 11)
    }

    /// Whether its rows come by the clock of the machine.
    pub fn goes_by_the_clock(&self) -> bool {
        self.number == 12
    }
}

/// Which rows count where those of two runs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All of them, in any order.
    All,
    /// Of each key the last one, since a later one takes the place of one before. The key is what stands before the first tab; a row with nothing
    /// behind it takes the one before away.
    LastOfKey,
    /// Of each key the sum of the numbers behind the tab: how they are shared out to rows depends on the clock.
    SumOfKey,
}

/// How far events may be out of order: what the published tables say.
pub const OUT_OF_ORDER_MAX: Ticks = Ticks(4000);

/// Where the events of a run come from.
#[derive(Clone)]
pub struct Input {
    pub config: Config,
    pub events: u64,
    pub shards: u16,
    pub pace: Option<Pace>,
    pub stops: Option<Arc<Stops>>,
}

/// A source of what a closure makes of events.
pub type Drawn<T, F> = SourceStream<Nexmark<T, F>>;

impl Input {
    /// What a closure makes of the events, with their event times. What a query does not look at is best left out here.
    pub fn draw<T, F>(&self, flow: &Flow, draw: F) -> Drawn<T, F>
    where
        T: Record,
        F: Fn(Draft<'_>) -> Option<T> + Clone + 'static,
    {
        let source = Nexmark::new(self.config, self.events, self.shards, draw);
        flow.source("events", source.paced(self.pace.clone()).stopping(self.stops.clone()))
            .source_time(Watermarks::bounded_out_of_orderness(OUT_OF_ORDER_MAX))
    }

    /// The bids.
    pub fn bids(&self, flow: &Flow) -> Drawn<Bid, impl Fn(Draft<'_>) -> Option<Bid> + Clone + 'static> {
        self.draw(flow, |draft| draft.bid())
    }
}

/// The bids among events.
pub fn bids_of(events: &[Event]) -> impl Iterator<Item = Bid> {
    events.iter().filter_map(|event| match event {
        Event::Bid(bid) => Some(*bid),
        _ => None,
    })
}

/// The auctions among events.
pub fn auctions_of(events: &[Event]) -> impl Iterator<Item = Auction> {
    events.iter().filter_map(|event| match event {
        Event::Auction(auction) => Some(*auction),
        _ => None,
    })
}

/// The people among events.
pub fn persons_of(events: &[Event]) -> impl Iterator<Item = Person> {
    events.iter().filter_map(|event| match event {
        Event::Person(person) => Some(*person),
        _ => None,
    })
}
