//! Jobs inside a host program: what its threads and tasks can rely on while handles come and go, and while the job fails and starts again.

#![allow(clippy::unwrap_used)] // helpers of tests

mod asking;
mod ends;
mod receiving;
mod sending;

use std::time::{Duration, Instant};

use millstream::prelude::*;

/// How long anything may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts again at once, as often as it takes.
fn at_once() -> RestartStrategy {
    RestartStrategy::FixedDelay { attempts: u32::MAX, delay: Duration::ZERO }
}
