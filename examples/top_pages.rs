//! The pages that were looked at most often, of the last ten minutes, every minute: a sliding window per page, and the best of each over all pages.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::Visits;
use millstream::prelude::*;

/// Ranks pages by generated views.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many visits are generated.
    #[arg(long, default_value_t = 2000)]
    visits: u64,
    /// How many pages of each window are given out.
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// Other seeds give other visits.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let visits = Visits::seeded(args.seed).visits(args.visits);
    common::run(Job::new("top_pages").shards(args.shards), args.explain, move |flow| {
        flow.source("views", visits.into_source())
            .source_time(Watermarks::bounded_out_of_orderness(visits.disorder()))
            .key_by(|view| view.page)
            .window(Sliding::of(Duration::from_secs(600)).every(Duration::from_secs(60)))
            .count()
            .top_n(args.top, |views| *views)
            .map(|best| format!("{},{},{},{}", best.window.end, best.rank, best.key, best.value))
            .sink("out", Print::stdout());
    })
}
