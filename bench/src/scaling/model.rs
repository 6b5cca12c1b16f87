//! The model: what a record costs on one of so many shards, and what keeps all of them from more. The formulas are in
//! `docs/benchmarks/scaling.md`.

use millstream_engine::limits::RING_BYTES_DEFAULT;
use serde_json::{Map, json};

use crate::report::model::Prediction;

/// A source gives so many records at a poll, and lets a watermark out after it: a shard sends off what it has for each other shard that often.
pub const RECORDS_PER_FLUSH: f64 = 512.0;

/// What an exchange costs a record by how many go together: so much each, and so much per flush.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    pub nanos_per_record: f64,
    /// With a frame of records and one with a watermark.
    pub nanos_per_flush: f64,
}

impl Way {
    /// The straight line through measured costs of a record by how many go together, over `1 / batch`. Errors count in proportion, so
    /// that small batches, which cost most, do not outweigh the rest.
    pub fn fit(costs: &[(f64, f64)]) -> Way {
        let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (batch, nanos) in costs {
            let (x, y, weight) = (1.0 / batch, nanos, 1.0 / (nanos * nanos));
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wy += weight * y;
            wxy += weight * x * y;
        }
        let slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
        Way { nanos_per_record: (wy - slope * wx) / w, nanos_per_flush: slope }
    }

    /// What a record costs where so many go together.
    pub fn nanos(&self, batch: f64) -> f64 {
        self.nanos_per_record + self.nanos_per_flush / batch
    }
}

/// What is known of a work.
#[derive(Clone, Debug)]
pub struct Costs {
    /// By shards: what a record costs on one shard that has the keys of one of so many, nothing going over a ring.
    pub alone: Vec<(u16, f64)>,
    pub own_lane: Way,
    pub ring: Way,
    /// How many go together on the own lane of a shard that is alone.
    pub own_batch: f64,
    /// Memory traffic of a record that goes over a ring, in bytes.
    pub ring_bytes: f64,
    /// By shards: memory traffic of a record's state.
    pub state_bytes: Vec<(u16, f64)>,
    /// What memory lets through, in bytes per second.
    pub bandwidth: f64,
}

/// What a record costs where there are so many shards, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nanos {
    /// All but what rings add.
    pub local: f64,
    /// What rings take in all.
    pub rings: f64,
}

impl Costs {
    fn at(values: &[(u16, f64)], shards: u16) -> f64 {
        values.iter().find(|(of, _)| *of == shards).map_or(f64::NAN, |(_, value)| *value)
    }

    /// A record's cost on one of so many shards.
    pub fn nanos(&self, shards: u16) -> Nanos {
        let n = f64::from(shards);
        let batch = RECORDS_PER_FLUSH / n;
        // What the own lane takes on a shard that is alone is part of what was measured there.
        let without = Costs::at(&self.alone, shards) - self.own_lane.nanos(self.own_batch);
        if shards == 1 {
            return Nanos { local: Costs::at(&self.alone, 1), rings: 0.0 };
        }
        Nanos {
            local: without + self.own_lane.nanos(batch) / n,
            rings: self.ring.nanos(batch) * (n - 1.0) / n,
        }
    }

    /// What so many shards are expected to give together.
    pub fn predict(&self, shards: u16) -> Prediction {
        let n = f64::from(shards);
        let Nanos { local, rings } = self.nanos(shards);
        let rate = |nanos: f64| n * 1e9 / nanos;
        let processor = rate(local + rings);
        let bytes = self.ring_bytes * (n - 1.0) / n + Costs::at(&self.state_bytes, shards);
        let memory = if bytes > 0.0 { self.bandwidth / bytes } else { f64::INFINITY };
        let limit = match () {
            () if memory < processor => "memory bandwidth",
            () if rings > local => "rings",
            () => "processor",
        };
        let mut ceilings = Map::new();
        ceilings.insert("processor, without rings".to_owned(), json!(rate(local)));
        ceilings.insert("processor, with rings".to_owned(), json!(processor));
        if shards > 1 {
            ceilings.insert("rings alone".to_owned(), json!(rate(rings)));
        }
        // Infinite where nothing goes through memory: null, which says so.
        ceilings.insert("memory bandwidth".to_owned(), json!(memory));
        let rings = u64::from(shards) * u64::from(shards - 1);
        Prediction {
            shards,
            events_per_second: processor.min(memory),
            limit: limit.to_owned(),
            ring_memory_bytes: rings * RING_BYTES_DEFAULT as u64,
            ceilings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        Costs {
            alone: vec![(1, 20.0), (2, 18.0), (64, 12.0)],
            own_lane: Way { nanos_per_record: 2.0, nanos_per_flush: 64.0 },
            ring: Way { nanos_per_record: 4.0, nanos_per_flush: 128.0 },
            own_batch: 256.0,
            ring_bytes: 100.0,
            state_bytes: vec![(1, 0.0), (2, 0.0), (64, 0.0)],
            bandwidth: 20e9,
        }
    }

    #[test]
    fn a_line_is_found_again() {
        let way = Way { nanos_per_record: 3.5, nanos_per_flush: 120.0 };
        let fit = Way::fit(&[256.0, 64.0, 8.0].map(|batch| (batch, way.nanos(batch))));
        assert!(
            (fit.nanos_per_record - 3.5).abs() < 1e-9 && (fit.nanos_per_flush - 120.0).abs() < 1e-6,
            "{fit:?}"
        );
    }

    #[test]
    fn one_shard_costs_what_was_measured() {
        let one = costs().predict(1);
        assert_eq!(one.events_per_second, 1e9 / 20.0);
        assert_eq!(one.limit, "processor");
        assert!(!one.ceilings.contains_key("rings alone"));
    }

    #[test]
    fn two_shards_send_half_over_a_ring() {
        let Nanos { local, rings } = costs().nanos(2);
        // 18, without 2 + 64/256 of the lane, with half of 2 + 64/256 on it; and half of 4 + 128/256.
        assert!((local - (18.0 - 2.25 + 1.125)).abs() < 1e-9, "{local}");
        assert!((rings - 2.25).abs() < 1e-9, "{rings}");
        let two = costs().predict(2).events_per_second;
        assert!((two - 2e9 / (16.875 + 2.25)).abs() < 1.0);
    }

    #[test]
    fn batches_shrink_as_rings_become_more() {
        let Nanos { local, rings } = costs().nanos(64);
        // Eight records go together: 2 + 64/8 for one in 64, and 4 + 128/8 for the rest.
        assert!((local - (12.0 - 2.25 + 10.0 / 64.0)).abs() < 1e-9, "{local}");
        assert!((rings - 20.0 * 63.0 / 64.0).abs() < 1e-9, "{rings}");
        let bound = Costs { bandwidth: f64::INFINITY, ..costs() }.predict(64);
        assert_eq!(bound.limit, "rings");
        assert_eq!(bound.ring_memory_bytes, 64 * 63 * RING_BYTES_DEFAULT as u64);
    }

    #[test]
    fn memory_bounds_what_the_processors_could_do() {
        let bound = costs().predict(64);
        assert_eq!(bound.limit, "memory bandwidth");
        assert!((bound.events_per_second - 20e9 / (100.0 * 63.0 / 64.0)).abs() < 1.0);
        let nothing = Costs { ring_bytes: 0.0, ..costs() }.predict(2);
        assert!(nothing.ceilings["memory bandwidth"].is_null());
    }
}
