//! The least that a call to another core takes: two threads, an atomic there and one back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::chain::LEAD;
use super::figures::{Second, Series};
use super::host::{beside, call_loop};
use super::settings::{Length, Settings};
use super::watch::watch;
use crate::throughput::pin;

/// What its series is called.
pub const LABEL: &str = "bare ping-pong over two atomics";

/// A cache line of its own; two, since processors fetch them in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// Measures it: the caller on the second core, the other on the first.
pub fn measure(settings: &Settings, cores: &[usize; 2], length: Length) -> Result<Series, String> {
    let (there, back, stop) = (Line::default(), Line::default(), AtomicBool::new(false));
    let answer = || -> Result<(), String> {
        pin(cores[0])?;
        let mut last = 0;
        while !stop.load(Ordering::Relaxed) {
            let ball = there.0.load(Ordering::Acquire);
            if ball != last {
                last = ball;
                back.0.store(ball, Ordering::Release);
            }
        }
        Ok(())
    };
    let call = |due| {
        there.0.store(due, Ordering::Release);
        while back.0.load(Ordering::Acquire) != due {
            std::hint::spin_loop();
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(answer);
        let plan = length.plan(LEAD);
        let ran = beside(
            cores[1],
            || call_loop(&plan, call),
            || watch(&settings.cores, plan.from(), plan.seconds, || {}),
        );
        stop.store(true, Ordering::Relaxed);
        other.join().map_err(|_| "a thread of the ping-pong panicked".to_owned())??;
        let (seen, disturbed) = ran?;
        let seconds = Second::all(seen.latencies.into_seconds(), disturbed);
        Ok(Series { label: LABEL.to_owned(), seconds, ..Series::default() })
    })
}
