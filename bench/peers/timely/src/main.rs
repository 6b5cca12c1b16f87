//! The works in timely dataflow.

mod counts;
mod source;
mod windows;

use std::process::ExitCode;

use clap::Parser;
use millstream_yardstick::course::Watch;
use millstream_yardstick::report::{Runner, line};
use millstream_yardstick::tally::Tally;
use millstream_yardstick::works::{Collected, Task};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The works in timely dataflow, one run at a time: prints one line of JSON.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    task: Task,
}

fn run(task: &Task) -> Result<(), String> {
    let (tally, collected) = (Tally::new(task.shards), Collected::default());
    let config = match task.shards {
        1 => timely::Config::thread(),
        workers => timely::Config::process(usize::from(workers)),
    };
    let watch = Watch::start(&tally, task.warm_up, task.events);
    let workers = {
        let (task, tally, collected) = (task.clone(), tally.clone(), collected.clone());
        timely::execute(config, move |worker| {
            let number = worker.index() as u16;
            let mut run = source::Run::new(&task, number, &tally, collected.collector());
            worker.dataflow::<u64, _, _>(|scope| counts::build(scope, &mut run));
            while worker.has_dataflows() {
                worker.step();
            }
        })?
    };
    for worker in workers.join() {
        worker?;
    }
    let runner = Runner {
        system: "timely",
        version: "0.31.0",
        guarantee: "none",
        settings: "hashbrown with ahash, mimalloc, batches of 1024, at most 16 of them under way, workers spin",
    };
    println!("{}", line(&runner, task, &watch.end()?, collected.all()?));
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
