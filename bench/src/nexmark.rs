//! Nexmark: the queries of an auction house, as jobs.
//!
//! `cargo run --release -p millstream-bench -- nexmark --query all`: see `docs/benchmarks/nexmark.md`.

mod calendar;
mod check;
mod generator;
mod money;
mod output;
mod queries;
mod query;
mod schedule;
mod stops;
#[cfg(test)]
mod tests;
mod winning;
