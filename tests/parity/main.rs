//! Flink's rules, kept to the tick. Each test is named after the rule it shows (`docs/parity.md` lists them) and uses the
//! public API only; rules that one module keeps by itself are shown beside that module.
//!
//! Where a rule is about a job's results, the job is run [straight, with checkpoints, and restored](ways) in the middle.

#![allow(clippy::unwrap_used)] // the exemption for tests does not reach their helper functions

mod accumulators;
mod all_joins;
mod as_of_joins;
mod async_io;
mod batch;
mod catch_up;
mod checkpoint_cost;
mod checkpoint_modes;
mod checkpoints;
mod dedup;
mod embedding;
mod end_to_end;
mod event_time;
mod execution;
mod ingress;
mod interval_joins;
mod iterations;
mod lookup_joins;
mod operator_state;
mod parallelism;
mod params;
mod partitioning;
mod poison;
mod process;
mod programs;
mod queryable;
mod refused;
mod replays;
mod restarts;
mod savepoints;
mod sources;
mod state;
mod state_size;
mod streams;
mod test_kit;
mod time;
mod transformations;
mod ways;
mod windows;
