//! Keyed operators behind an exchange.

use std::error::Error;
use std::hint::black_box;

use millstream_engine::operator::{KeyedContext, KeyedProcess, MapState, States, ValueState};
use millstream_engine::prelude::*;

use super::jobs::{Count, run};
use crate::source::{Bid, Bids};

/// All of them are there after a fraction of the smaller size.
const KEYS: u64 = 4_000;

/// How many entries the map of a key has.
const ENTRIES: i64 = 16;

/// A running count per key, over the shard's own lane.
pub fn on_one_shard(records: u64) -> Result<(), Box<dyn Error>> {
    counts(records, 1)
}

/// The same on two shards: half of all records go over a ring.
pub fn on_two_shards(records: u64) -> Result<(), Box<dyn Error>> {
    counts(records, 2)
}

fn counts(records: u64, shards: u16) -> Result<(), Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    run(shards, move |flow| {
        let count = counted.clone();
        flow.source("bids", Bids { partitions: shards, ..Bids::new(records, KEYS) })
            .event_time(Watermarks::monotonous(), |bid| bid.at)
            .key_by(|bid| bid.auction)
            .count()
            .for_each(move |counted, _| {
                black_box(counted);
                count.add(1);
            });
    })?;
    count.check(records)
}

/// Runs a process function.
fn process<F: KeyedProcess<Bid, u64, Out = i64>>(
    records: u64,
    function: impl Fn() -> F + Send + Sync + 'static,
) -> Result<(), Box<dyn Error>> {
    let count = Count::default();
    let counted = count.clone();
    run(1, move |flow| {
        let count = counted.clone();
        flow.source("bids", Bids::new(records, KEYS)).key_by(|bid| bid.auction).process(function()).for_each(
            move |said, _| {
                black_box(said);
                count.add(1);
            },
        );
    })?;
    count.check(records)
}

/// The highest price per key in a value.
#[derive(Default)]
struct Highest(ValueState<i64>);

impl KeyedProcess<Bid, u64> for Highest {
    type Out = i64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.value("highest");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, i64>) {
        let price = ctx.get(&self.0).map_or(bid.price, |highest| bid.price.max(highest));
        ctx.set(&self.0, price);
        ctx.emit(price);
    }
}

/// Reading and writing a value.
pub fn value_state(records: u64) -> Result<(), Box<dyn Error>> {
    process(records, Highest::default)
}

/// Counts per key and group of prices in a map.
#[derive(Default)]
struct Groups(MapState<i64, i64>);

impl KeyedProcess<Bid, u64> for Groups {
    type Out = i64;

    fn open(&mut self, states: &mut States<'_, u64>) {
        self.0 = states.map("groups");
    }

    fn process(&mut self, bid: &Bid, ctx: &mut KeyedContext<'_, u64, i64>) {
        let count = ctx.map(&self.0).update(
            &(bid.price % ENTRIES),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        ctx.emit(count);
    }
}

/// Reading and writing an entry of a map.
pub fn map_state(records: u64) -> Result<(), Box<dyn Error>> {
    process(records, Groups::default)
}
