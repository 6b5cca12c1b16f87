//! What a program says of its run: one line of JSON.

use serde_json::{Value, json};

use crate::course::Course;
use crate::machine::peak_memory_bytes;
use crate::works::{Results, Task};

/// Who ran, and how.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// Which system.
    pub system: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What is promised of results after a crash.
    pub guarantee: &'a str,
    /// How it was set, in words.
    pub settings: &'a str,
}

/// Everything about one run.
pub fn line(runner: &Runner<'_>, task: &Task, course: &Course, results: Results) -> Value {
    json!({
        "system": runner.system,
        "version": runner.version,
        "guarantee": runner.guarantee,
        "settings": runner.settings,
        "work": task.work.to_string(),
        "keys": task.keys(),
        "shards": task.shards,
        "exchange": task.exchange,
        "warm_up": task.warm_up,
        "events": course.records,
        "seconds": course.seconds,
        "events_per_second": course.rate(),
        "quarters": course.quarters,
        "cores_used": course.processor_seconds / course.seconds,
        "processor_ns_per_event": course.processor_seconds * 1e9 / course.records as f64,
        "peak_memory_bytes": peak_memory_bytes(),
        "results": results.count,
        "checksum": format!("{:016x}", results.sum),
    })
}
