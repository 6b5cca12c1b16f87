//! Counts words: the job of the Flink notes, with restarts. Reads lines from files or from a TCP peer, splits them, and gives the
//! running count of every word.
//!
//! ```text
//! word_count --text book.txt --output counts
//! nc -lk 9100          word_count --socket localhost:9100 --restarts 3 --restart-delay 10
//! ```
//!
//! A line that is exactly `ERROR` makes the operator `split` fail, to show what a restart does.

mod common;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use millstream::io::{FileSink, JournalOptions, OnFailedRecord, Print, TcpLines, TextFiles};
use millstream::prelude::*;

/// Counts words from files or a TCP peer.
#[derive(Parser, Clone)]
#[command(group = clap::ArgGroup::new("input").required(true).args(["text", "socket"]))]
struct Args {
    /// Files to read, plain or gzip; they are split over the shards.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    text: Vec<PathBuf>,
    /// A TCP peer that sends lines (`nc -lk PORT`).
    #[arg(long, value_name = "HOST:PORT")]
    socket: Option<String>,
    /// Writes the counts to part files here, exactly once, instead of printing them.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    /// Where checkpoints are kept; a job that finds one goes on from it. Without it, they live in a temporary directory as long as
    /// the process.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The time between two checkpoints.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    checkpoint_interval: u64,
    /// How often the job is started again after a failure.
    #[arg(long, default_value_t = 3)]
    restarts: u32,
    /// How long it waits before each restart.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = seconds, allow_hyphen_values = true)]
    restart_delay: Duration,
    /// Whether lines from a TCP peer are journaled before they are handled, so that none is lost.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    journal: Switch,
    /// What a restart does with a journaled line that made the job fail.
    #[arg(long, value_enum, default_value_t = FailedRecord::Skip)]
    on_failed_record: FailedRecord,
    /// Runs in a child process, and starts that again if it is killed or crashes, as often and as soon as the job itself is.
    #[arg(long, requires = "state")]
    supervise: bool,
    #[command(flatten)]
    explain: common::Explain,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum FailedRecord {
    Skip,
    Replay,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, as in 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| format!("{error}; give a number of seconds, as in 10 or 0.5"))
}

/// A line that is exactly this fails the job.
const FAILURE: &str = "ERROR";

struct CustomError;

impl fmt::Display for CustomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("custom error flag, restart application")
    }
}

impl From<CustomError> for Box<dyn std::error::Error + Send + Sync> {
    fn from(error: CustomError) -> Self {
        error.to_string().into()
    }
}

fn split(line: &str) -> Result<Vec<String>, CustomError> {
    if line == FAILURE {
        return Err(CustomError);
    }
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

fn count_words(flow: &Flow, name: &str, lines: impl Source<Item = String>, output: Option<&PathBuf>) {
    let counts = flow
        .source(name, lines)
        .try_flat_map(|line| split(&line))
        .name("split")
        .key_by_ref(|word| word.as_str())
        .count()
        .map(|(word, count)| format!("({word},{count})"));
    match output {
        Some(dir) => counts.sink("counts", FileSink::lines(dir)),
        None => counts.sink("print", Print::stdout()),
    }
}

fn build(flow: &Flow, args: &Args) {
    match &args.socket {
        Some(address) => {
            let on_failed = match args.on_failed_record {
                FailedRecord::Skip => OnFailedRecord::Skip,
                FailedRecord::Replay => OnFailedRecord::Replay,
            };
            let mut lines = TcpLines::new(address);
            if args.journal == Switch::On {
                lines = lines.journal(JournalOptions::new().on_failed_record(on_failed));
            }
            count_words(flow, "socket", lines, args.output.as_ref());
        }
        None => count_words(flow, "text", TextFiles::new(&args.text), args.output.as_ref()),
    }
}

fn main() -> ExitCode {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).init();
    let args = Args::parse();
    let strategy = RestartStrategy::fixed_delay(args.restarts, args.restart_delay);
    if let Some(code) = common::supervised(args.supervise, strategy.clone()) {
        return code;
    }
    let temporary = tempfile::tempdir();
    let state = match (&args.state, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Ok(dir)) => dir.path().to_owned(),
        (None, Err(error)) => {
            eprintln!(
                "cannot make a temporary directory for checkpoints: {error}; give one with --state DIR"
            );
            return ExitCode::FAILURE;
        }
    };
    let job = Job::new("word_count")
        .shards(args.shards)
        .state_dir(state)
        .checkpoint_interval(Duration::from_millis(args.checkpoint_interval))
        .restart(strategy);
    let explain = args.explain;
    let program = move |flow: &Flow| build(flow, &args);
    if let Some(code) = explain.instead(&job, &program) {
        return code;
    }
    match millstream::signals::run(job, program) {
        Ok(summary) => {
            eprint!("{summary}");
            common::ended(&summary)
        }
        Err(error) => {
            eprintln!("{error}");
            if let Some(restarts) = error.restarts() {
                eprintln!("status {}, restarts={restarts}", JobStatus::Failed);
            }
            ExitCode::FAILURE
        }
    }
}
