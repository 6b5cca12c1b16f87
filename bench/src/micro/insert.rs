//! `insert_10m_max_us`: the slowest single insert while ten million new keys go into a table, beside hashbrown, which rehashes.

use std::error::Error;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use millstream::arena::{Arena, ArenaConfig, StateError, StateName};
use millstream::key::HashSeed;
use millstream::prelude::*;
use millstream::state::Table;
use serde_json::{Value, json};

use super::Settings;
use crate::outcome::{Outcome, Target};
use crate::stats::spread;
use crate::throughput::pin;

const KEYS: u64 = 10_000_000;

/// How many records a batch has, as on a ring; between two batches pages are touched ahead of their use, which a
/// thread beside it does for a shard.
const BATCH: u64 = 256;

/// How many pages it keeps ready.
const PAGES_PREFAULTED: u32 = 128;

const QUANTILES: [f64; 7] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.999_99, 1.0];

type Map = hashbrown::HashMap<u64, u64, ahash::RandomState>;

/// Measures it. The figure is the smallest of the rounds' maxima: what the machine adds to a single insert comes and goes, what the
/// table does comes every time.
pub fn measure(settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let core = settings.first_core()?;
    let keys = settings.size(KEYS);
    let (mut table, mut map) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        table.push(on_core(core, move || grow(Paged::new()?, keys))??);
        map.push(on_core(core, move || grow(Map::default(), keys))??);
    }
    let best = |rounds: &[Times]| {
        let best = rounds.iter().min_by(|a, b| a.max_us.total_cmp(&b.max_us));
        best.cloned().ok_or("no round was run")
    };
    let (ours, reference) = (best(&table)?, best(&map)?);
    let maxima = |rounds: &[Times]| rounds.iter().map(|round| round.max_us).collect::<Vec<_>>();
    let notes = vec![
        format!(
            "on core {core}; {keys} new keys of 8 bytes with values of 8; smallest of the maxima of {} runs",
            settings.rounds
        ),
        format!("table:     {ours}"),
        format!("hashbrown: {reference}"),
    ];
    Ok(vec![Outcome {
        name: "insert_10m_max_us",
        unit: "us",
        value: ours.max_us,
        reference: reference.max_us,
        reference_is: "the largest single insert into hashbrown with ahash, smallest of its runs",
        spread: spread(maxima(&table)),
        ratio_spread: None,
        target: Target::ValueAtMost(1000.0),
        notes,
        disturbed: Vec::new(),
        raw: json!({
            "table_max_us": maxima(&table),
            "hashbrown_max_us": maxima(&map),
            "table": ours.to_json(),
            "hashbrown": reference.to_json(),
        }),
    }])
}

/// How long inserts took.
#[derive(Clone)]
struct Times {
    histogram: Histogram<u64>,
    max_us: f64,
    elapsed: Duration,
}

impl Times {
    fn above(&self, nanos: u64) -> u64 {
        self.histogram.len() - self.histogram.count_between(0, nanos)
    }

    fn to_json(&self) -> Value {
        let quantile = |quantile: &f64| json!([quantile, self.histogram.value_at_quantile(*quantile)]);
        json!({
            "nanos_at_quantiles": QUANTILES.iter().map(quantile).collect::<Vec<_>>(),
            "above_100_us": self.above(100_000),
            "above_1_ms": self.above(1_000_000),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for quantile in QUANTILES {
            let nanos = self.histogram.value_at_quantile(quantile);
            write!(f, "{}: {:.1} us, ", quantile, nanos as f64 / 1e3)?;
        }
        let (above_100, above_1000) = (self.above(100_000), self.above(1_000_000));
        write!(
            f,
            "above 100 us: {above_100}, above 1 ms: {above_1000}; all in {:.2} s",
            self.elapsed.as_secs_f64()
        )
    }
}

fn on_core<T: Send + 'static>(core: usize, run: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let thread = std::thread::spawn(move || pin(core).map(|()| run()));
    thread.join().map_err(|_| "the inserting thread panicked".to_owned())?
}

/// What keys are put into.
trait Grows {
    fn insert(&mut self, key: u64) -> Result<(), StateError>;

    /// What happens between two batches, where no record waits.
    fn between_batches(&mut self) {}
}

impl Grows for Map {
    fn insert(&mut self, key: u64) -> Result<(), StateError> {
        self.insert(key, 1);
        Ok(())
    }
}

/// The engine's keyed state, as an operator has it.
struct Paged {
    arena: Arena,
    table: Table<u64, u64>,
}

impl Paged {
    fn new() -> Result<Paged, StateError> {
        let mut arena = Arena::new(ArenaConfig::new("insert"))?;
        let table = Table::new(&mut arena, &StateName::new("insert", "value"));
        Ok(Paged { arena, table })
    }
}

impl Grows for Paged {
    fn insert(&mut self, key: u64) -> Result<(), StateError> {
        let hash = key.hash(HashSeed(0x5EED));
        self.table.insert(&mut self.arena, hash, &[], &1).map(drop)
    }

    fn between_batches(&mut self) {
        self.arena.prefault(PAGES_PREFAULTED);
    }
}

fn grow(mut into: impl Grows, keys: u64) -> Result<Times, StateError> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order");
    let mut longest = 0;
    let began = Instant::now();
    for batch in (0..keys).step_by(BATCH as usize) {
        for key in batch..(batch + BATCH).min(keys) {
            let start = Instant::now();
            into.insert(key)?;
            let nanos = start.elapsed().as_nanos() as u64;
            longest = longest.max(nanos);
            histogram.saturating_record(nanos);
        }
        into.between_batches();
    }
    Ok(Times { histogram, max_us: longest as f64 / 1e3, elapsed: began.elapsed() })
}
