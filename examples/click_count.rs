//! Clicks per page and window, exactly once through any crash: the job of Flink's playground.
//!
//! A deterministic generator gives 1000 clicks on each of six pages in every window of event time, with some disorder. The job counts
//! them and writes one line `window_start,page,count` per page and window. Kill it at any moment and start it again: it goes on
//! where it was, and every count is 1000.

mod common;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use millstream::io::{Clicks, FileSink};
use millstream::prelude::*;

/// Counts clicks per page and window of event time.
#[derive(Parser, Clone)]
struct Args {
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 2)]
    shards: u16,
    /// Clicks per second; 0 is as fast as it can.
    #[arg(long, value_name = "EVENTS_PER_SECOND", default_value_t = 0)]
    rate: u64,
    /// After how many windows it ends.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    windows: u64,
    /// The length of a window in seconds of event time.
    #[arg(long, value_name = "S", default_value_t = 15)]
    window_seconds: u64,
    /// Where checkpoints are kept.
    #[arg(long, value_name = "DIR", default_value = "target/click_count/state")]
    state: PathBuf,
    /// Where the results appear, in files `part-*`.
    #[arg(long, value_name = "DIR", default_value = "target/click_count/output")]
    output: PathBuf,
    /// The time between two checkpoints.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    checkpoint_interval: u64,
    /// Runs in a child process, and starts that again if it is killed or crashes.
    #[arg(long)]
    supervise: bool,
    #[command(flatten)]
    explain: common::Explain,
}

/// A click on its way through the job.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Click {
    page: u64,
    at: i64,
}

fn build(flow: &Flow, args: &Args) {
    let window = Duration::from_secs(args.window_seconds);
    let clicks = Clicks::new(window).windows(args.windows).rate(args.rate);
    let disorder = clicks.disorder();
    flow.source("clicks", clicks.into_source(|click| Click { page: u64::from(click.page), at: click.at }))
        .event_time(Watermarks::bounded_out_of_orderness(disorder), |click| click.at)
        .key_by(|click| click.page)
        .window(Tumbling::of(window))
        .count()
        .name("clicks-per-page")
        .map(|result| format!("{},{},{}", result.window.start, result.key, result.value))
        .sink("counts", FileSink::lines(&args.output));
}

fn main() -> ExitCode {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    let args = Args::parse();
    let strategy = RestartStrategy::exponential_delay();
    if let Some(code) = common::supervised(args.supervise, strategy.clone()) {
        return code;
    }
    let job = Job::new("click_count")
        .shards(args.shards)
        .state_dir(&args.state)
        .checkpoint_interval(Duration::from_millis(args.checkpoint_interval))
        .restart(strategy);
    let output = args.output.clone();
    let explain = args.explain;
    let program = move |flow: &Flow| build(flow, &args);
    if let Some(code) = explain.instead(&job, &program) {
        return code;
    }
    match millstream::signals::run(job, program) {
        Ok(summary) => {
            let metrics = &summary.metrics;
            println!(
                "{} events in {:.3} s: {:.0} events/s; {} checkpoints, {} restarts; results in {}",
                metrics.records_in(),
                summary.elapsed.as_secs_f64(),
                summary.records_per_second(),
                metrics.checkpoints.completed,
                metrics.restarts,
                output.display()
            );
            eprint!("{summary}");
            common::ended(&summary)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
