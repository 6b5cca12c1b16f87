//! What a running count per key costs by itself, batch by batch, without anything around it.

use std::error::Error;

use millstream_engine::arena::{Arena, ArenaConfig, StateName};
use millstream_engine::element::KeyHash;
use millstream_engine::key::{HashSeed, Key};
use millstream_engine::state::{StateError, Table};

use crate::bids::Generator;
use crate::micro::Settings;
use crate::throughput::{Stretch, WarmUp, of_batches};

const SEED: HashSeed = HashSeed(7);
const BATCH: usize = 256;

/// How many hashes are made beforehand, which are used again and again: making them is no part of it.
const HASHES: usize = 1 << 20;

/// Counts in a table.
struct Counts {
    arena: Arena,
    table: Table<u64, u64>,
    hashes: Vec<KeyHash>,
    next: usize,
}

impl Counts {
    /// All keys are there.
    fn of(keys: u64) -> Result<Counts, StateError> {
        let mut arena = Arena::new(ArenaConfig::new("count"))?;
        let mut table = Table::new(&mut arena, &StateName::new("count", "value"));
        for key in 0..keys {
            table.update(&mut arena, key.hash(SEED), &[], || 0, |count| *count += 1)?;
        }
        let mut generator = <Generator>::new(keys, 0, 1);
        let hashes = (0..HASHES).map(|_| (generator.bid().auction as u64).hash(SEED)).collect();
        Ok(Counts { arena, table, hashes, next: 0 })
    }

    fn batch(&mut self) -> Result<u64, StateError> {
        let batch = &self.hashes[self.next..self.next + BATCH];
        self.next = (self.next + BATCH) % HASHES;
        self.table.update_batch(&mut self.arena, batch, |_| &[], |_| 0, |_, count, _| *count += 1)?;
        Ok(BATCH as u64)
    }
}

/// Counting over so many keys.
pub fn count(settings: &Settings, keys: u64) -> Result<Stretch, Box<dyn Error>> {
    of_batches(settings, WarmUp { records: 1_000_000 }, 1, || {
        let mut counts = Counts::of(keys).expect("there is address space, and no limit on memory");
        move || counts.batch().expect("there is no limit on memory")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_counted() {
        let mut counts = Counts::of(100).unwrap();
        assert_eq!(counts.batch().unwrap(), BATCH as u64);
        let (mut of_all, mut sum) = (Vec::new(), 0);
        (0..100u64).for_each(|key| of_all.push(key.hash(SEED)));
        for hash in of_all {
            sum += counts.table.update(&mut counts.arena, hash, &[], || 0, |count| *count).unwrap();
        }
        assert_eq!(sum, 100 + BATCH as u64);
    }
}
