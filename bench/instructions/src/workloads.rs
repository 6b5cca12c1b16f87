//! What is counted: each workload runs one part of the hot path with as many units as it is told, in the calling thread, in an order that
//! is the same each time, and checks what came out of it.

mod ask;
mod capture;
mod chain;
mod jobs;
mod keyed;
mod ring;
mod timers;
mod window;

use std::error::Error;

/// One workload.
pub struct Workload {
    pub name: &'static str,
    /// What a figure is per.
    pub unit: &'static str,
    /// The two sizes that it is run with. What both take, such as the start and the first time that a key is seen, does not count.
    pub units: [u64; 2],
    pub run: fn(u64) -> Result<(), Box<dyn Error>>,
}

const fn workload(
    name: &'static str,
    unit: &'static str,
    units: [u64; 2],
    run: fn(u64) -> Result<(), Box<dyn Error>>,
) -> Workload {
    Workload { name, unit, units, run }
}

/// All of them.
pub const WORKLOADS: [Workload; 11] = [
    workload("chain8", "record", [100_000, 600_000], chain::eight_operators),
    workload("keyed_count", "record", [100_000, 400_000], keyed::on_one_shard),
    workload("keyed_count_2_shards", "record", [100_000, 400_000], keyed::on_two_shards),
    workload("value_state", "record", [100_000, 300_000], keyed::value_state),
    workload("map_state", "record", [100_000, 300_000], keyed::map_state),
    workload("tumbling_count", "record", [100_000, 400_000], window::tumbling),
    workload("sliding_count", "record", [200_000, 500_000], window::sliding),
    workload("timers", "timer", [100_000, 250_000], timers::registered_and_fired),
    workload("ring_hop", "record", [50_000, 200_000], ring::one_by_one),
    workload("ask", "call", [5_000, 20_000], ask::one_at_a_time),
    workload("capture", "page", [8_000, 32_000], capture::dirty_pages),
];
