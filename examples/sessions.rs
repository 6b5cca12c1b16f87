//! Visits of a web site, put together from page views: a visit is over when a visitor has not looked at a page for half an hour. Of each the job gives out the
//! number of views, how long it took, and the page on which the visitor left. Views that come hours late are given out beside.

mod common;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use millstream::io::Print;
use millstream::io::demos::{PageView, Visits};
use millstream::prelude::*;
use millstream::window::Aggregate;

/// Puts generated page views together to visits.
#[derive(Parser, Clone, Copy)]
struct Args {
    /// How many visits are generated. Those of one visitor that are near each other are one.
    #[arg(long, default_value_t = 2000)]
    visits: u64,
    /// Other seeds give other visits.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many shards, each pinned to a core.
    #[arg(long, default_value_t = 1)]
    shards: u16,
    #[command(flatten)]
    explain: common::Explain,
}

/// What is kept of a visit while it goes on.
#[derive(Record, Clone, Copy)]
#[repr(C)]
struct Visit {
    views: u64,
    first: i64,
    last: i64,
    /// Of the last view; of those at one time, the greatest.
    exit: u64,
}

struct OfViews;

impl Aggregate<PageView> for OfViews {
    type Acc = Visit;
    type Out = Visit;

    fn create(&self) -> Visit {
        Visit { views: 0, first: i64::MAX, last: i64::MIN, exit: 0 }
    }

    fn add(&self, visit: &mut Visit, view: &PageView) {
        self.merge(visit, &Visit { views: 1, first: view.at, last: view.at, exit: view.page });
    }

    fn merge(&self, visit: &mut Visit, other: &Visit) {
        visit.views += other.views;
        visit.first = visit.first.min(other.first);
        (visit.last, visit.exit) = (visit.last, visit.exit).max((other.last, other.exit));
    }

    fn result(&self, visit: Visit) -> Visit {
        visit
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let visits = Visits::seeded(args.seed).visits(args.visits);
    common::run(Job::new("sessions").shards(args.shards), args.explain, move |flow| {
        let late = flow.tag("late");
        let sessions = flow
            .source("views", visits.into_source())
            .source_time(Watermarks::bounded_out_of_orderness(visits.disorder()))
            .key_by(|view| view.visitor)
            .window(Session::gap(Duration::from_secs(1800)))
            .late_to(&late)
            .aggregate(OfViews);
        let beside = sessions.side_output(&late);
        beside.map(|view| format!("late,{},{}", view.visitor, view.at)).sink("late", Print::stdout());
        sessions
            .map(|session| {
                let Visit { views, first, last, exit } = session.value;
                format!("{},{first},{views},{},{exit}", session.key, last - first)
            })
            .sink("out", Print::stdout());
    })
}
