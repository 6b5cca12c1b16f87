//! Thousands of jobs, each with its own topology, schedule, faults and crashes, each reproducible from its seed. A job's committed
//! output has to be exactly what a naive model says.
//!
//! `MILLSTREAM_SEEDS` says how many seeds are run (10,000), `MILLSTREAM_SEED` runs one and tells of it.

#![allow(clippy::unwrap_used)] // helpers of a test

#[path = "simulator/life.rs"]
mod life;
#[path = "simulator/model.rs"]
mod model;
#[path = "simulator/outside.rs"]
mod outside;
#[path = "simulator/random.rs"]
mod random;
#[path = "simulator/source.rs"]
mod source;
#[path = "simulator/topology.rs"]
mod topology;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use life::{Life, Tally};
use millstream_engine::testing::sim::Plant;

/// How many failing seeds are told of before the others are left alone.
const FAILURES_MAX: usize = 5;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Lives through one seed. A panic is a failure like any other.
fn live(seed: u64, plant: Option<Plant>) -> Result<Tally, String> {
    let lived = catch_unwind(AssertUnwindSafe(|| Life::draw(seed, plant).live()));
    lived.unwrap_or_else(|_| Err(PANIC.with(|panic| panic.take())))
}

fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("sim-")) {
                let trace = match std::env::var_os("RUST_BACKTRACE") {
                    Some(_) => std::backtrace::Backtrace::force_capture().to_string(),
                    None => String::new(),
                };
                PANIC.with(|panic| *panic.borrow_mut() = format!("{info}\n{trace}"));
            } else {
                loud(info);
            }
        }));
    });
}

/// Runs work on threads whose panics are kept for the report.
fn on_threads(threads: usize, work: impl Fn() + Sync) {
    quiet_panics();
    std::thread::scope(|scope| {
        for number in 0..threads {
            let thread = std::thread::Builder::new().name(format!("sim-{number}"));
            thread.spawn_scoped(scope, &work).unwrap();
        }
    });
}

fn again(seed: u64) -> String {
    format!("MILLSTREAM_SEED={seed} cargo test -p millstream-engine --test simulator")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn output_is_exactly_once_whatever_happens() {
    let (first, seeds) = match number("MILLSTREAM_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("MILLSTREAM_SEEDS").unwrap_or(10_000)),
    };
    let next = AtomicU64::new(first);
    let failures: Mutex<Vec<(u64, String)>> = Mutex::default();
    let tally: Mutex<Tally> = Mutex::default();
    on_threads(2, || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || failures.lock().unwrap().len() >= FAILURES_MAX {
                return;
            }
            let began = std::time::Instant::now();
            let lived = live(seed, None);
            if began.elapsed().as_secs() >= 5 {
                eprintln!("seed {seed} took {:?}", began.elapsed());
            }
            match lived {
                Ok(lived) => *tally.lock().unwrap() += lived,
                Err(what) => failures.lock().unwrap().push((seed, what)),
            }
        }
    });
    let failures = failures.into_inner().unwrap();
    for (seed, what) in &failures {
        eprintln!("seed {seed}: {what}\n  again: {}\n", again(*seed));
    }
    println!("{:?}", tally.into_inner().unwrap());
    assert!(failures.is_empty(), "{} seeds failed; the first: {}", failures.len(), again(failures[0].0));
}

#[test]
fn the_same_seed_gives_the_same_life() {
    on_threads(1, || {
        for seed in 0..20 {
            let (first, second) = (live(seed, None), live(seed, None));
            let trace =
                |lived: Result<Tally, String>| lived.map(|tally| (tally.trace, tally.turns, tally.outputs));
            assert_eq!(trace(first), trace(second), "seed {seed}");
        }
    });
}

/// The first seed that fails with the fault and not without.
fn seeds_until_caught(plant: Plant, seeds: u64) -> Option<u64> {
    let caught = Mutex::new(None);
    on_threads(1, || {
        let catches = |seed: &u64| live(*seed, Some(plant)).is_err() && live(*seed, None).is_ok();
        *caught.lock().unwrap() = (0..seeds).find(catches);
    });
    caught.into_inner().unwrap()
}

#[test]
fn a_checkpoint_that_forgets_what_waits_for_room_is_caught() {
    let caught = seeds_until_caught(Plant::ForgetUnsent, 3000);
    println!("caught by seed {caught:?}");
    assert!(caught.is_some());
}

#[test]
fn a_failed_checkpoint_that_is_forgotten_is_caught() {
    let caught = seeds_until_caught(Plant::ForgetFailed, 3000);
    println!("caught by seed {caught:?}");
    assert!(caught.is_some());
}

#[test]
fn a_ring_that_is_read_past_a_switch_is_caught() {
    let caught = seeds_until_caught(Plant::ReadPastSwitch, 1000);
    println!("caught by seed {caught:?}");
    assert!(caught.is_some());
}
