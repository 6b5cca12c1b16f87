//! Benchmarks of Millstream.
fn main() {}
