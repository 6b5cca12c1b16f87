//! Large queues: everything fires once, in order; what it costs is printed (`--nocapture`, in a release build).

use std::time::{Duration, Instant};

use super::*;

/// A million, where the compiler optimises.
pub(super) fn count() -> u64 {
    if cfg!(debug_assertions) { 20_000 } else { 1_000_000 }
}

fn fill_and_fire(what: &str, at: impl Fn(u64) -> i64) {
    let (mut timers, count) = (Timers::new(), count());
    let mut slowest_register = Duration::ZERO;
    let begin = Instant::now();
    for n in 0..count {
        let at = at(n);
        let start = Instant::now();
        assert!(timers.register(at, n));
        slowest_register = slowest_register.max(start.elapsed());
    }
    let register = begin.elapsed();
    let (pages, leaves) = (timers.arena.pages_in_use(), timers.queue.plain.leaves().len());

    let (mut due, mut fired, mut last) = (Due::default(), 0, i64::MIN);
    let mut slowest_pop = Duration::ZERO;
    let begin = Instant::now();
    loop {
        let start = Instant::now();
        let popped = timers.queue.pop(&mut timers.arena, Timestamp::MAX, &mut due).unwrap();
        slowest_pop = slowest_pop.max(start.elapsed());
        match popped {
            Pop::Due => {
                assert!(last <= due.at.0 && at(key_of(due.hash)) == due.at.0);
                last = due.at.0;
                fired += 1;
            }
            Pop::Again => {}
            Pop::Done => break,
        }
    }
    let fire = begin.elapsed();
    assert_eq!(fired, count);
    assert_eq!(timers.arena.pages_in_use(), 0);
    println!(
        "{count} timers {what}: {pages} pages, {leaves} leaves; register {:.0} ns (slowest {slowest_register:?}), \
         fire {:.0} ns (slowest {slowest_pop:?}), both with two readings of the clock",
        register.as_nanos() as f64 / count as f64,
        fire.as_nanos() as f64 / count as f64,
    );
}

#[test]
fn in_one_tick() {
    fill_and_fire("in one tick", |_| 1000);
}

#[test]
fn over_a_second_in_order() {
    let count = count();
    fill_and_fire("over a second, in order", |n| (n * 1000 / count) as i64);
}

#[test]
fn over_a_second_in_any_order() {
    fill_and_fire("over a second, in any order", |n| (n.wrapping_mul(7919) % 1000) as i64);
}

#[test]
fn over_an_hour_in_order() {
    let count = count();
    fill_and_fire("over an hour, in order", |n| (n * 3_600_000 / count) as i64);
}

#[test]
fn over_an_hour_in_any_order() {
    fill_and_fire("over an hour, in any order", |n| (n.wrapping_mul(2_654_435_761) % 3_600_000) as i64);
}
