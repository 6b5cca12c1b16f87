//! How long it takes a job to go on from a checkpoint: to its first record, and to its full speed.

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Settings;
use super::visits::{Visits, keys_of};
use crate::stats::median;

/// Over how long speed is taken.
const WINDOW: Duration = Duration::from_millis(100);

/// Full speed is so much of what it was before.
const FULL: f64 = 0.9;

const PATIENCE: Duration = Duration::from_secs(600);

/// Measures a state of so many megabytes; visits come from all keys. The files are in the page cache.
pub fn measure(settings: &Settings, megabytes: u64) -> Result<Value, Box<dyn Error>> {
    let keys = keys_of(megabytes);
    let state = tempfile::tempdir_in(&settings.dir)?;
    let steady = build(settings, keys, state.path())?;
    let (mut firsts, mut fulls) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let visits = Visits::new(keys, keys);
        let began = Instant::now();
        let handle = visits.start(settings, Some((state.path(), PATIENCE)))?;
        let in_time = || -> Result<(), String> {
            (began.elapsed() < PATIENCE).then_some(()).ok_or_else(|| "the job does not go on".to_owned())
        };
        while visits.again.total() == 0 {
            in_time()?;
            std::hint::spin_loop();
        }
        firsts.push(began.elapsed().as_secs_f64() * 1e3);
        let (mut at, mut before) = (Instant::now(), visits.again.total());
        loop {
            in_time()?;
            sleep(WINDOW);
            let (now, total) = (Instant::now(), visits.again.total());
            let rate = (total - before) as f64 / (now - at).as_secs_f64() / 1e6;
            (at, before) = (now, total);
            if rate >= FULL * steady {
                break;
            }
        }
        fulls.push(began.elapsed().as_secs_f64() * 1e3);
        handle.cancel();
        handle.wait()?;
    }
    let (first, full) = (median(firsts.iter().copied()), median(fulls.iter().copied()));
    println!(
        "  restore      first record after {first:.1} ms, {:.0} % of {steady:.1} M records/s after {full:.0} ms",
        FULL * 100.0
    );
    Ok(
        json!({ "first_record_ms": first, "full_speed_ms": full, "steady_rate": steady, "first_records_ms": firsts, "full_speeds_ms": fulls }),
    )
}

/// Fills the state and leaves a checkpoint of it. Gives back how fast the job was then.
fn build(settings: &Settings, keys: u64, dir: &std::path::Path) -> Result<f64, Box<dyn Error>> {
    let visits = Visits::new(keys, keys);
    let handle = visits.start(settings, Some((dir, PATIENCE)))?;
    let began = Instant::now();
    while !visits.are_filled() {
        if began.elapsed() > PATIENCE {
            return Err("the state does not get full".into());
        }
        sleep(Duration::from_millis(10));
    }
    sleep(settings.stretch / 4);
    let (before, at) = (visits.again.total(), Instant::now());
    sleep(settings.stretch / 4);
    let rate = (visits.again.total() - before) as f64 / at.elapsed().as_secs_f64() / 1e6;
    handle.stop();
    handle.wait()?;
    Ok(rate)
}
