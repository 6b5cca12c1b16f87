//! Taxi rides in New York and what was paid for them, as in Flink's training exercises
//! (<https://nightlies.apache.org/flink/flink-docs-stable/docs/learn-flink/overview/>).

use std::time::Duration;

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use super::arrivals::{Arrival, Arrivals};
use super::dice::Dice;
use crate::generator::Generator;

/// A ride begins every 20 seconds, give or take.
const SPACING_MS: i64 = 20_000;
const MINUTE_MS: i64 = 60_000;
/// How many drivers there are, and taxis.
const DRIVERS: u64 = 200;
const FIRST_DRIVER: u64 = 2_013_000_000;
/// One ride in so many takes from two to three hours, the others from five minutes to one hour.
const ONE_IS_LONG: u64 = 25;
/// One ride in so many begins or ends outside the city.
const ONE_IS_OUTSIDE: u64 = 10;
/// The fare of one ride in so many is lost on its way.
const ONE_FARE_IS_LOST: u64 = 40;

/// A place on earth, in degrees.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Position {
    /// East of Greenwich.
    pub longitude: f64,
    /// North of the equator.
    pub latitude: f64,
}

impl Position {
    /// Whether it lies in New York: in the rectangle that Flink's exercises take for it.
    pub fn is_in_nyc(&self) -> bool {
        (-74.05..=-73.7).contains(&self.longitude) && (40.5..=41.0).contains(&self.latitude)
    }
}

/// What an event says of a ride.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RideKind {
    /// It begins.
    Start,
    /// It ends.
    End,
}

/// A ride begins or ends.
#[derive(Record, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct RideEvent {
    /// The number of the ride.
    pub ride: u64,
    /// The number of the taxi.
    pub taxi: u64,
    /// The number of the driver.
    pub driver: u64,
    /// When it begins or ends, in milliseconds: the event time.
    pub at: i64,
    /// Where it begins.
    pub start: Position,
    /// Where it ends.
    pub end: Position,
    /// How many passengers there are.
    pub passengers: u32,
    /// Whether it begins or ends.
    pub kind: RideKind,
}

/// What was paid at the end of a ride.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fare {
    /// The number of the ride.
    pub ride: u64,
    /// The number of the taxi.
    pub taxi: u64,
    /// The number of the driver.
    pub driver: u64,
    /// When it was paid, in milliseconds: the event time, and the end of the ride.
    pub at: i64,
    /// The tip, in cents.
    pub tip_cents: u64,
    /// All that was paid, in cents.
    pub total_cents: u64,
}

/// All there is to know of a ride: what an exercise has to find out from the events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// It begins.
    pub start: RideEvent,
    /// It ends.
    pub end: RideEvent,
    /// What was paid, unless word of it is lost.
    pub fare: Option<Fare>,
}

/// Sources of rides and fares of 200 taxis: the same ones for the same seed, beginning at event time 0.
///
/// A ride begins about every 20 seconds, and most take less than an hour; one in 25 takes from two to three. One in ten leaves the city. Events
/// arrive up to a minute late and so out of order. The fare of one ride in 40 never arrives.
///
/// ```
/// use millstream_io::demos::{RideKind, Taxis};
///
/// let taxis = Taxis::seeded(7).rides(1000);
/// assert_eq!(taxis.ride_events().count(), 2000);
/// assert_eq!(taxis.trip(3).start.kind, RideKind::Start);
/// let (rides, fares) = (taxis.ride_source(), taxis.fare_source());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Taxis {
    seed: u64,
    rides: Option<u64>,
}

impl Taxis {
    /// Taxis that drive without end.
    pub fn seeded(seed: u64) -> Self {
        Taxis { seed, rides: None }
    }

    /// Ends after so many rides.
    pub fn rides(mut self, rides: u64) -> Self {
        self.rides = Some(rides);
        self
    }

    /// How much older an event can be than the newest one before it: the bound for watermarks.
    pub fn disorder(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// The ride with this number.
    pub fn trip(&self, ride: u64) -> Trip {
        let mut dice = Dice::of(self.seed, ride);
        let begins = ride as i64 * SPACING_MS + dice.between(0, SPACING_MS - 1);
        let minutes = if dice.one_in(ONE_IS_LONG) { (120, 180) } else { (5, 60) };
        let ends = begins + dice.between(minutes.0 * MINUTE_MS, minutes.1 * MINUTE_MS);
        let driver = dice.below(DRIVERS);
        let (from, to) = (position(&mut dice), position(&mut dice));
        let start = RideEvent {
            ride,
            taxi: FIRST_DRIVER + (driver * 7 + 3) % DRIVERS,
            driver: FIRST_DRIVER + driver,
            at: begins,
            start: from,
            end: to,
            passengers: dice.between(1, 4) as u32,
            kind: RideKind::Start,
        };
        let end = RideEvent { at: ends, kind: RideKind::End, ..start };
        let price_cents = 250 + ((ends - begins) / MINUTE_MS) as u64 * 80;
        let tip_cents = price_cents * dice.below(30) / 100;
        let fare = Fare {
            ride,
            taxi: start.taxi,
            driver: start.driver,
            at: ends,
            tip_cents,
            total_cents: price_cents + tip_cents,
        };
        Trip { start, end, fare: (!dice.one_in(ONE_FARE_IS_LOST)).then_some(fare) }
    }

    /// The events of all rides, in the order of their arrival.
    pub fn ride_events(&self) -> impl Iterator<Item = RideEvent> + use<> {
        self.ride_arrivals().map(|(event, _)| event)
    }

    /// The fares of all rides, in the order of their arrival.
    pub fn fares(&self) -> impl Iterator<Item = Fare> + use<> {
        self.fare_arrivals().map(|(fare, _)| fare)
    }

    /// A source of [`ride_events`](Taxis::ride_events) with their event times.
    pub fn ride_source(
        &self,
    ) -> Generator<RideEvent, impl Fn(u32, u64) -> (RideEvent, Timestamp) + Clone + use<>> {
        self.ride_arrivals().into_source()
    }

    /// A source of [`fares`](Taxis::fares) with their event times.
    pub fn fare_source(&self) -> Generator<Fare, impl Fn(u32, u64) -> (Fare, Timestamp) + Clone + use<>> {
        self.fare_arrivals().into_source()
    }

    fn ride_arrivals(&self) -> Arrivals<RideEvent, impl Fn(u64) -> [Arrival<RideEvent>; 2] + Clone + use<>> {
        let taxis = *self;
        Arrivals::new(SPACING_MS, self.rides, move |ride| {
            let trip = taxis.trip(ride);
            [trip.start, trip.end].map(|event| Arrival {
                event,
                at: event.at,
                delay: taxis.delay(ride, event.kind as u64),
            })
        })
    }

    fn fare_arrivals(&self) -> Arrivals<Fare, impl Fn(u64) -> Option<Arrival<Fare>> + Clone + use<>> {
        let taxis = *self;
        Arrivals::new(SPACING_MS, self.rides, move |ride| {
            let fare = taxis.trip(ride).fare?;
            Some(Arrival { event: fare, at: fare.at, delay: taxis.delay(ride, 2) })
        })
    }

    /// How long an event is under way.
    fn delay(&self, ride: u64, event: u64) -> i64 {
        Dice::of(!self.seed, ride * 3 + event).between(0, self.disorder().as_millis() as i64)
    }
}

/// A place in the city, or not far from it.
fn position(dice: &mut Dice) -> Position {
    let away = if dice.one_in(ONE_IS_OUTSIDE * 2) { 1.0 } else { 0.0 };
    Position { longitude: -74.05 + 0.35 * dice.fraction(), latitude: 40.5 + 0.5 * dice.fraction() + away }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_once_and_no_later_than_is_said() {
        let taxis = Taxis::seeded(3).rides(500);
        let disorder = taxis.disorder().as_millis() as i64;
        let mut rides: Vec<RideEvent> =
            (0..500).map(|ride| taxis.trip(ride)).flat_map(|trip| [trip.start, trip.end]).collect();
        let (mut newest, mut worst) = (i64::MIN, 0);
        for event in taxis.ride_events() {
            if newest > event.at {
                worst = worst.max(newest - event.at);
            }
            newest = newest.max(event.at);
            let place = rides.iter().position(|ride| *ride == event).unwrap();
            rides.swap_remove(place);
        }
        assert!(rides.is_empty());
        assert!(worst > disorder / 2 && worst <= disorder, "{worst}");
        let fares: u64 = taxis.fares().map(|fare| fare.total_cents).sum();
        let paid: u64 = (0..500).filter_map(|ride| taxis.trip(ride).fare).map(|fare| fare.total_cents).sum();
        assert_eq!(fares, paid);
    }

    #[test]
    fn there_is_something_to_find_for_every_exercise() {
        let trips: Vec<Trip> = (0..1000).map(|ride| Taxis::seeded(1).trip(ride)).collect();
        let count = |of: fn(&Trip) -> bool| trips.iter().filter(|trip| of(trip)).count();
        let long = count(|trip| trip.end.at - trip.start.at > 120 * MINUTE_MS);
        let inside = count(|trip| trip.start.start.is_in_nyc() && trip.start.end.is_in_nyc());
        let lost = count(|trip| trip.fare.is_none());
        assert!((20..60).contains(&long), "{long}");
        assert!((850..950).contains(&inside), "{inside}");
        assert!((10..40).contains(&lost), "{lost}");
    }
}
