//! Both drivers, by the same tests.
#![allow(unsafe_code)] // getrusage, mount

mod disk;
mod fallback;
mod measure;
mod threads;

use super::*;
use std::sync::mpsc::{Sender, channel};

/// The drivers that can run on this machine.
fn drivers() -> Vec<DriverKind> {
    match preflight::check_io_uring(2) {
        Ok(()) => vec![DriverKind::Thread, DriverKind::Glommio],
        Err(refusal) => {
            eprintln!("SKIPPED for the glommio driver: {refusal}");
            vec![DriverKind::Thread]
        }
    }
}

/// A shard made of two closures.
struct Closures<S, H> {
    step: S,
    has_work: H,
}

impl<S: FnMut(Nanos) -> Step, H: Fn() -> bool> Drive for Closures<S, H> {
    fn step(&mut self, now: Nanos) -> Step {
        (self.step)(now)
    }
    fn has_work(&self) -> bool {
        (self.has_work)()
    }
}

/// An unpinned shard.
fn spec(shard: u16, wait: WaitPolicy, build: BuildShard) -> ShardSpec {
    ShardSpec { shard: ShardId(shard), core: None, wait, waker: Waker::new(), build }
}

/// A shard that steps as the closure says and has no other input.
fn stepping(shard: u16, wait: WaitPolicy, mut step: impl FnMut(Nanos) -> Step + Send + 'static) -> ShardSpec {
    spec(
        shard,
        wait,
        Box::new(move |_| Box::new(Closures { step: move |now| step(now), has_work: || false })),
    )
}

/// Runs shards to their ends.
fn run(kind: DriverKind, specs: Vec<ShardSpec>) -> Vec<ShardEnd> {
    start(kind, Clock::wall(), specs).unwrap().join()
}

/// Runs shards that must not fail.
fn run_well(kind: DriverKind, specs: Vec<ShardSpec>) {
    for end in run(kind, specs) {
        assert_eq!(end.result, Ok(()), "{kind}");
    }
}
