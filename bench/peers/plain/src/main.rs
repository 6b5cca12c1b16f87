//! The works by hand: what the machine can do without an engine.
//!
//! With `--exchange false` one loop per thread; otherwise the threads hand batches to each other over rings, by key.

mod alone;
mod exchange;
mod steps;

use std::process::ExitCode;

use clap::Parser;
use millstream_yardstick::course::Watch;
use millstream_yardstick::report::{Runner, line};
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{BidSequence, Collected, LineSequence, Task, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The works by hand, one run at a time: prints one line of JSON.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    task: Task,
}

/// What all threads have.
struct Run {
    task: Task,
    tally: Tally,
    collected: Collected,
}

fn main() -> ExitCode {
    let task = Args::parse().task;
    let run = Run { tally: Tally::new(task.shards), collected: Collected::default(), task };
    let task = &run.task;
    let watch = Watch::start(&run.tally, task.warm_up, task.events);
    // A thread has nobody to hand records to where it is alone, or where nothing is kept by key.
    match task.work {
        Work::Passthrough => alone::on_all::<BidSequence, steps::Discount>(&run),
        Work::Wordcount if task.exchange => exchange::on_all::<LineSequence, steps::Words>(&run),
        Work::Wordcount => alone::on_all::<LineSequence, steps::Words>(&run),
        Work::Keyed if task.exchange => exchange::on_all::<BidSequence, steps::Counts>(&run),
        Work::Keyed => alone::on_all::<BidSequence, steps::Counts>(&run),
        Work::Window if task.exchange => exchange::on_all::<BidSequence, steps::Windows>(&run),
        Work::Window => alone::on_all::<BidSequence, steps::Windows>(&run),
    }
    let runner = Runner {
        system: "plain",
        version: env!("CARGO_PKG_VERSION"),
        guarantee: "none",
        settings: "hashbrown with ahash, mimalloc, rings of rtrb, batches of 256",
    };
    match watch.end().and_then(|course| Ok(line(&runner, task, &course, run.collected.all()?))) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
