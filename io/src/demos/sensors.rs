//! Sensors that are read every second, and limits that change.

use millstream_engine::element::Timestamp;
use millstream_engine::record::Record;

use super::arrivals::{Arrival, Arrivals};
use super::dice::Dice;
use crate::generator::Generator;

/// A reading every 100 ms, of one sensor after the other.
const SPACING_MS: i64 = 100;
/// How many sensors there are.
const SENSORS: u64 = 10;
/// How many kinds of sensors there are.
const KINDS: u64 = 3;
/// A limit changes after so many readings.
const READINGS_PER_LIMIT: u64 = 200;

/// A sensor was read.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Reading {
    /// The sensor.
    pub sensor: u64,
    /// Its kind: of temperature, pressure or humidity.
    pub kind: u64,
    /// When, in milliseconds: the event time.
    pub at: i64,
    /// What it said.
    pub value: i64,
}

/// From some time on, readings of a kind above this limit are to be told of.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// The kind of sensor.
    pub kind: u64,
    /// Since when, in milliseconds: the event time.
    pub since: i64,
    /// The greatest value that is in order.
    pub value: i64,
}

/// Sources of the readings of ten sensors, ten a second in all, and of limits that change every 20 seconds: the same ones for the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Sensors {
    seed: u64,
    readings: Option<u64>,
}

impl Sensors {
    /// Readings without end.
    pub fn seeded(seed: u64) -> Self {
        Sensors { seed, readings: None }
    }

    /// Ends after so many readings.
    pub fn readings(mut self, readings: u64) -> Self {
        self.readings = Some(readings);
        self
    }

    /// All readings.
    pub fn all_readings(&self) -> impl Iterator<Item = Reading> + use<> {
        self.reading_arrivals().map(|(reading, _)| reading)
    }

    /// All limits.
    pub fn all_limits(&self) -> impl Iterator<Item = Limit> + use<> {
        self.limit_arrivals().map(|(limit, _)| limit)
    }

    /// A source of readings with their event times.
    pub fn reading_source(
        &self,
    ) -> Generator<Reading, impl Fn(u32, u64) -> (Reading, Timestamp) + Clone + use<>> {
        self.reading_arrivals().into_source()
    }

    /// A source of limits with their event times.
    pub fn limit_source(&self) -> Generator<Limit, impl Fn(u32, u64) -> (Limit, Timestamp) + Clone + use<>> {
        self.limit_arrivals().into_source()
    }

    fn reading_arrivals(&self) -> Arrivals<Reading, impl Fn(u64) -> [Arrival<Reading>; 1] + Clone + use<>> {
        let seed = self.seed;
        Arrivals::new(SPACING_MS, self.readings, move |number| {
            let mut dice = Dice::of(seed, number);
            let sensor = number % SENSORS;
            let at = number as i64 * SPACING_MS;
            let event = Reading { sensor, kind: sensor % KINDS, at, value: dice.between(0, 999) };
            [Arrival { event, at, delay: 0 }]
        })
    }

    fn limit_arrivals(&self) -> Arrivals<Limit, impl Fn(u64) -> [Arrival<Limit>; 1] + Clone + use<>> {
        let seed = self.seed;
        let every = SPACING_MS * READINGS_PER_LIMIT as i64;
        let limits = self.readings.map(|readings| readings.div_ceil(READINGS_PER_LIMIT));
        Arrivals::new(every, limits, move |number| {
            let mut dice = Dice::of(!seed, number);
            let since = number as i64 * every;
            let event = Limit { kind: number % KINDS, since, value: dice.between(700, 950) };
            [Arrival { event, at: since, delay: 0 }]
        })
    }
}
