//! Counts the words of many files, all at once: the same dataflow as a streaming word count, run in batch mode, so that every word comes out
//! once, with its final count. A bar shows how much has been read.
//!
//! ```text
//! batch_word_count books/ --output counts
//! batch_word_count books/ --runtime-mode streaming      every change of a count, as it is made
//! ```

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use millstream::io::{FileSink, Print, TextFiles};
use millstream::prelude::*;

/// Counts the words of files.
#[derive(Parser, Clone)]
struct Args {
    /// Files, and directories of files: plain text, or gzip by the name `*.gz`.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Writes the counts to part files here, instead of printing them.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// How the job runs: batch, streaming or automatic.
    #[arg(long, default_value = "batch")]
    runtime_mode: RuntimeMode,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    /// Where stages that are done are kept, and the job goes on from after a crash.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    explain: common::Explain,
}

/// All files, those of directories included, by name.
fn files(paths: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
            files.extend(entries.collect::<Result<Vec<_>, _>>()?.into_iter().filter(|path| path.is_file()));
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    Ok(files)
}

/// How much text there is; none where a file is compressed, so that nobody knows before it is read.
fn bytes(files: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let plain = path.extension().is_none_or(|extension| extension != "gz");
        Path::metadata(path).ok().filter(|_| plain).map(|file| file.len())
    };
    files.iter().map(size).sum()
}

fn build(flow: &Flow, files: &[PathBuf], output: Option<&PathBuf>) {
    let read = flow.counter("bytes read");
    let counts = flow
        .source("text", TextFiles::new(files))
        // The end of the line counts, too.
        .inspect(move |line| read.add(line.len() as i64 + 1))
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .key_by_ref(|word| word.as_str())
        .count()
        .map(|(word, count)| format!("{word},{count}"));
    match output {
        Some(dir) => counts.sink("counts", FileSink::lines(dir)),
        None => counts.sink("print", Print::stdout()),
    }
}

/// Shows how far the job is until it is over.
fn watch(handle: &JobHandle, bytes: Option<u64>) {
    let bar = match bytes {
        Some(bytes) => ProgressBar::new(bytes).with_style(
            ProgressStyle::with_template("{msg:8} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")
                .expect("a template of known keys"),
        ),
        None => ProgressBar::new_spinner(),
    };
    bar.set_message("reading");
    while !handle.status().is_over() {
        if let Ok(accumulated) = handle.accumulators()
            && let Ok(read) = accumulated.counter("bytes read")
        {
            bar.set_position(read.unsigned_abs());
            if Some(read.unsigned_abs()) >= bytes {
                bar.set_message("counting");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bar.finish_and_clear();
}

fn main() -> ExitCode {
    let args = Args::parse();
    let files = match files(&args.paths) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("cannot list the files: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut job = Job::new("batch_word_count").mode(args.runtime_mode).shards(args.shards);
    if let Some(state) = &args.state {
        job = job.state_dir(state);
    }
    let (explain, bytes, output) = (args.explain, bytes(&files), args.output);
    let program = move |flow: &Flow| build(flow, &files, output.as_ref());
    if let Some(code) = explain.instead(&job, &program) {
        return code;
    }
    let ended = job.spawn(program).and_then(|handle| {
        watch(&handle, bytes);
        handle.wait()
    });
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
