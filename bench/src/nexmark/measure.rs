//! What a query costs: each in a process of its own, so that none is measured with the memory of another.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use millstream::job::CheckpointInterval;
use millstream::prelude::*;
use millstream::runtime::metrics::CheckpointMetrics;
use serde_json::{Value, json};

use super::EVENTS_MEASURED;
use super::generator::Pace;
use super::output::{Latencies, Output};
use super::queries::{ALL, source};
use super::query::{Input, Query};
use super::report;
use super::schedule::Schedule;
use super::settings::{ChildArgs, RunArgs};
use crate::clock::processor_nanos;
use crate::machine::{self, NANOS_PER_TICK};
use crate::stats::median;

/// Runs queries one after the other; prints a line for each.
///
/// # Errors
/// One fails; those before it have been printed.
pub fn each(run: &RunArgs, queries: &[&Query], cores: &[usize]) -> Result<Vec<Value>, Box<dyn Error>> {
    println!("{}", report::header());
    let mut measured = Vec::new();
    for query in queries {
        let of_query = |error: Box<dyn Error>| format!("{}: {error}", report::name(query));
        let ran = in_a_child(run, query, cores).map_err(of_query)?;
        println!("{}", report::line(query, &ran));
        measured.push(ran);
    }
    Ok(measured)
}

fn in_a_child(run: &RunArgs, query: &Query, cores: &[usize]) -> Result<Value, Box<dyn Error>> {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("nexmark-child").arg(format!("--number={}", query.number));
    command.arg(format!("--cores={}", cores.join(",")));
    command.args(run.to_words(run.events.unwrap_or(EVENTS_MEASURED)));
    let output = command.stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(format!("its process failed: {}", output.status).into()),
    }
}

/// The child process: runs one query, and prints what it cost as JSON.
///
/// # Errors
/// There is no such query, or it fails.
pub fn child(args: &ChildArgs) -> Result<(), Box<dyn Error>> {
    let query = ALL.iter().chain([&source::QUERY]).find(|query| query.number == args.number);
    let query = query.ok_or_else(|| format!("there is no query {}", args.number))?;
    println!("{}", measure(query, args)?);
    Ok(())
}

fn measure(query: &Query, args: &ChildArgs) -> Result<Value, Box<dyn Error>> {
    let run = &args.run;
    let dir = tempfile::tempdir_in(&run.dir).map_err(|error| format!("{}: {error}", run.dir.display()))?;
    let events = run.events.unwrap_or(EVENTS_MEASURED);
    let (config, pace) = (run.config(), run.rate.map(Pace::of));
    let after_ms = if query.waits_for_the_watermark() { super::query::OUT_OF_ORDER_MAX.0 } else { 0 };
    let due = pace.clone().filter(|_| !query.goes_by_the_clock());
    let schedule = due.map(|pace| Schedule::of(pace, config, after_ms));
    let latencies = Arc::new(Latencies::by(schedule));
    let output = Output::nowhere(latencies.clone(), dir.path().join("files"));
    let input = Input { config, events, shards: run.shards, pace, stops: None };
    let mut job = Job::new(report::name(query)).shards(run.shards).restart(RestartStrategy::None);
    job = job.cores(args.cores.get(..usize::from(run.shards)).unwrap_or(&args.cores));
    job = match run.interval_measured() {
        None => job.checkpoint_interval(CheckpointInterval::Off),
        Some(interval) => job.state_dir(dir.path().join("state")).checkpoint_interval(interval),
    };
    let build = query.build;
    let ticks = machine::ticks(&args.cores);
    let (began, processor) = (Instant::now(), processor_nanos());
    let summary = job.run(move |flow| build(flow, &input, &output))?;
    let (elapsed, processor) = (began.elapsed(), processor_nanos() - processor);
    let after = machine::ticks(&args.cores);
    let seconds = elapsed.as_secs_f64();
    let cores_used = processor as f64 / elapsed.as_nanos() as f64;
    let per_second = events as f64 / seconds;
    let busy = (after.busy - ticks.busy) * NANOS_PER_TICK;
    let share = |nanos: u64| nanos as f64 / (elapsed.as_nanos() as f64 * args.cores.len() as f64);
    Ok(json!({
        "query": query.number,
        "name": query.name,
        "sql": query.sql,
        "events": events,
        "rows": summary.metrics.records_out(),
        "seconds": seconds,
        "events_per_second": per_second,
        "events_per_second_and_core": per_second / cores_used,
        "cores_used": cores_used,
        "peak_memory_bytes": machine::peak_memory_bytes(),
        "latency_ns": latencies.recorded().map(|recorded| json!({
            "p50": recorded.value_at_quantile(0.5),
            "p90": recorded.value_at_quantile(0.9),
            "p99": recorded.value_at_quantile(0.99),
            "p999": recorded.value_at_quantile(0.999),
            "max": recorded.max(),
            "rows": recorded.len(),
        })),
        "late_records": summary.metrics.late_records(),
        "checkpoints": checkpoints(&summary.metrics.checkpoints),
        // Of all cores' time, what others had.
        "others_share": share(busy.saturating_sub(processor)),
        "stolen_share": share((after.stolen - ticks.stolen) * NANOS_PER_TICK),
        "guarantee": summary.guarantee,
        "driver": summary.driver,
    }))
}

/// Medians are over the newest hundred.
fn checkpoints(metrics: &CheckpointMetrics) -> Value {
    let completed = || metrics.history().filter(|one| one.failure.is_none());
    let millis = median(completed().map(|one| one.duration.as_secs_f64() * 1e3));
    json!({
        "completed": metrics.completed,
        "failed": metrics.failed,
        "median_ms": millis.is_finite().then_some(millis),
        "longest_ms": metrics.longest.as_secs_f64() * 1e3,
        "median_bytes": completed().next().map(|_| median(completed().map(|one| one.bytes() as f64))),
    })
}
