//! Nexmark: the queries of an auction house, as jobs.
//!
//! `cargo run --release -p millstream-bench -- nexmark --query all`: see `docs/benchmarks/nexmark.md`.

mod calendar;
mod check;
mod chosen;
mod distinct;
mod full_bid;
mod generator;
mod level;
mod measure;
mod money;
mod output;
mod queries;
mod query;
mod report;
mod schedule;
mod settings;
mod stops;
#[cfg(test)]
mod tests;
mod winning;

use std::error::Error;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::{lock, machine};
use check::{Way, check};
use chosen::Chosen;
pub use measure::child;
use query::Query;
pub use settings::ChildArgs;
use settings::RunArgs;

/// How many events a run has, unless it is said: of one that is measured, and of one that is compared.
const EVENTS_MEASURED: u64 = 10_000_000;
const EVENTS_COMPARED: u64 = 200_000;

/// What is run.
#[derive(Args, Clone)]
pub struct NexmarkArgs {
    /// Which queries, by commas: numbers, `all`, or `source` for the generator with nothing behind it.
    #[arg(long, value_name = "QUERIES", value_delimiter = ',', default_value = "all", value_parser = chosen::parse)]
    query: Vec<Chosen>,
    #[command(flatten)]
    run: RunArgs,
    /// Compares the rows with those of a plain reference, with checkpoints on and a failure on the way, in the place of measuring.
    #[arg(long)]
    state_check: bool,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Something that was asked for makes no sense or is not there, another benchmark runs, or a query failed.
pub fn run(args: &NexmarkArgs) -> Result<(), Box<dyn Error>> {
    let cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    args.run.check(cores.len())?;
    args.json.as_deref().map_or(Ok(()), can_be_written)?;
    let _alone = lock::take(&std::env::temp_dir().join("millstream-bench.lock"))?;
    let machine = machine::describe(&cores);
    println!("machine: {machine}");
    let queries: Vec<&Query> = chosen::queries(&args.query).collect();
    let ran = match args.state_check {
        true => compare(&args.run, &queries)?,
        false => measure::each(&args.run, &queries, &cores)?,
    };
    let Some(file) = &args.json else { return Ok(()) };
    let all = json!({ "machine": machine, "settings": args.run.to_json(), "queries": ran });
    std::fs::write(file, format!("{all:#}\n")).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Says so before a long run whose figures would have nowhere to go.
fn can_be_written(file: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().append(true).create(true).open(file);
    opened.map(|_| ()).map_err(|error| {
        format!("--json {}: {error}; name a file in a directory that can be written to", file.display())
    })
}

/// Compares queries with their references, on as many shards as asked for: straight through, and with a failure on the way.
fn compare(run: &RunArgs, queries: &[&Query]) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut compared = Vec::new();
    let mut wrong = Vec::new();
    for query in queries {
        for fails in [false, true] {
            let way = Way {
                config: run.config(),
                events: run.events.unwrap_or(EVENTS_COMPARED),
                shards: run.shards,
                checkpoint_interval: run.interval_compared(),
                fails,
            };
            let how = if fails { "with a failure half way" } else { "straight through" };
            let (line, told) = match check(query, &way, &run.dir) {
                Ok(agreed) => (
                    format!("agrees: {} rows, {} checkpoints", agreed.rows, agreed.checkpoints),
                    json!({ "agrees": true, "rows": agreed.rows, "checkpoints": agreed.checkpoints }),
                ),
                Err(error) => {
                    let told = json!({ "agrees": false, "error": error });
                    let line = format!("DISAGREES: {error}");
                    wrong.push(format!("q{} {how}", query.number));
                    (line, told)
                }
            };
            println!("q{:<2} {:<32} {how:<24} {line}", query.number, query.name);
            compared.push(json!({ "query": query.number, "fails": fails, "result": told }));
        }
    }
    match wrong.is_empty() {
        true => Ok(compared),
        false => Err(format!("do not agree with their references: {}", wrong.join(", ")).into()),
    }
}
