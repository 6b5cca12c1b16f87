//! Measurements; see `bench/benches/table.rs` for those that are repeated.
