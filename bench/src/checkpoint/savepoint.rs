//! How fast savepoints are written while the job goes on, read without its types, and gone on with.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use millstream::prelude::*;
use millstream::savepoint::Savepoint;
use serde_json::{Value, json};

use super::Settings;
use super::visits::{Visits, keys_of};
use crate::stats::median;

const PATIENCE: Duration = Duration::from_secs(1200);

/// A savepoint on disk.
struct Written {
    dir: PathBuf,
    bytes: u64,
    entries: u64,
}

/// Measures a state of so many megabytes; visits come from all keys, so that the checkpoint of each savepoint holds all pages. The files are in the
/// page cache.
pub fn measure(settings: &Settings, megabytes: u64) -> Result<Value, Box<dyn Error>> {
    let into = tempfile::tempdir_in(&settings.dir)?;
    let keys = keys_of(megabytes);
    let (written, write) = write(settings, keys, into.path())?;
    let read = read(settings, &written)?;
    let restore = restore(settings, &written)?;
    let Written { bytes, entries, .. } = written;
    Ok(json!({ "bytes": bytes, "entries": entries, "write": write, "read": read, "restore": restore }))
}

/// Savepoints of a running job. Gives the last one.
fn write(settings: &Settings, keys: u64, into: &Path) -> Result<(Written, Value), Box<dyn Error>> {
    let state = tempfile::tempdir_in(&settings.dir)?;
    let visits = Visits::new(keys, keys);
    // No checkpoints but those of the savepoints.
    let handle = visits.start(settings, Some((state.path(), PATIENCE)))?;
    let began = Instant::now();
    while !visits.are_filled() {
        in_time(began, &handle)?;
        sleep(Duration::from_millis(10));
    }
    sleep(settings.stretch / 4);
    let (before, at) = (visits.again.total(), Instant::now());
    sleep(settings.stretch / 4);
    let steady = (visits.again.total() - before) as f64 / at.elapsed().as_secs_f64();
    let (mut newest, mut took, mut checkpoints, mut speeds) = (None, Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let completed = handle.metrics().checkpoints.completed;
        let (before, began) = (visits.again.total(), Instant::now());
        let dir = handle.savepoint(into)?;
        let seconds = began.elapsed().as_secs_f64();
        speeds.push((visits.again.total() - before) as f64 / seconds / steady);
        took.push(seconds);
        // The figures of the checkpoint are published a little later.
        while handle.metrics().checkpoints.completed == completed {
            in_time(began, &handle)?;
            sleep(Duration::from_millis(5));
        }
        checkpoints.push(handle.metrics().checkpoints.last_duration.as_secs_f64());
        if let Some(older) = newest.replace(dir) {
            std::fs::remove_dir_all(older)?;
        }
    }
    handle.cancel();
    handle.wait()?;
    let dir = newest.ok_or("no round, no savepoint")?;
    let written = Written { bytes: bytes_in(&dir)?, entries: entries_of(&dir)?, dir };
    let (checkpoint, speed) = (median(checkpoints.iter().copied()), median(speeds.iter().copied()));
    let more =
        format!("; {checkpoint:.2} s of it are the checkpoint; the job goes on at {speed:.2} of its speed");
    let mut value = told("written", &written, &took, &more);
    value["checkpoint_s"] = json!(checkpoints);
    value["speed"] = json!(speed);
    value["speeds"] = json!(speeds);
    Ok((written, value))
}

/// All entries, without the types of the job.
fn read(settings: &Settings, written: &Written) -> Result<Value, Box<dyn Error>> {
    let mut took = Vec::new();
    for _ in 0..settings.rounds {
        let began = Instant::now();
        let savepoint = Savepoint::open(&written.dir)?;
        let mut entries = 0;
        for info in savepoint.states() {
            savepoint.each(&info.operator, &info.state, |entry| {
                std::hint::black_box(entry);
                entries += 1;
                Ok(())
            })?;
        }
        took.push(began.elapsed().as_secs_f64());
        if entries != written.entries {
            return Err(format!("{entries} entries were read, and {} are there", written.entries).into());
        }
    }
    Ok(told("read", written, &took, ""))
}

/// Jobs that begin with it: until all entries are in their places, and until the first record.
fn restore(settings: &Settings, written: &Written) -> Result<Value, Box<dyn Error>> {
    let (mut in_place, mut firsts) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let visits = Visits::new(written.entries, written.entries);
        let began = Instant::now();
        let handle = visits.go_on(settings, &written.dir)?;
        let (mut placed, mut first) = (None, None);
        while placed.is_none() || first.is_none() {
            in_time(began, &handle)?;
            let keys: u64 = handle.metrics().shards.iter().map(|shard| shard.keys).sum();
            if placed.is_none() && keys >= written.entries {
                placed = Some(began.elapsed().as_secs_f64());
            }
            if first.is_none() && visits.again.total() > 0 {
                first = Some(began.elapsed().as_secs_f64());
            }
            sleep(Duration::from_micros(100));
        }
        in_place.extend(placed);
        firsts.extend(first);
        handle.cancel();
        handle.wait()?;
    }
    let first = median(firsts.iter().copied()) * 1e3;
    let mut value = told("restored", written, &in_place, &format!("; the first record after {first:.1} ms"));
    value["first_record_ms"] = json!(first);
    value["first_records_s"] = json!(firsts);
    Ok(value)
}

/// Prints a line for what took so many seconds each time.
fn told(what: &str, written: &Written, took: &[f64], more: &str) -> Value {
    let seconds = median(took.iter().copied());
    let (bytes, entries) = (written.bytes as f64 / seconds / 1e6, written.entries as f64 / seconds);
    println!(
        "  savepoint    {what:<8} in {seconds:.3} s: {bytes:.1} MB/s, {:.2} M entries/s{more}",
        entries / 1e6
    );
    json!({ "mb_per_second": bytes, "entries_per_second": entries, "median_s": seconds, "seconds": took })
}

fn in_time(began: Instant, handle: &JobHandle) -> Result<(), Box<dyn Error>> {
    if handle.status().is_over() || began.elapsed() > PATIENCE {
        handle.cancel();
        return Err(format!("the job is {} and has not come to what is measured", handle.status()).into());
    }
    Ok(())
}

fn entries_of(dir: &Path) -> Result<u64, Box<dyn Error>> {
    Ok(Savepoint::open(dir)?.states().iter().map(|state| state.entries).sum())
}

fn bytes_in(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for file in dir.read_dir()? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
