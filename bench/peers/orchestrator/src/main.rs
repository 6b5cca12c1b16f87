//! Runs Millstream and its peers by turns, and says what came of it: `bench/peers/run.sh --help`, `docs/benchmarks/peers.md`.

mod arguments;
mod build;
mod contest;
mod figures;
mod nexmark;
mod report;
mod row;
mod run;
mod together;
mod works;

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Arguments, Subject};
use clap::Parser;
use contest::Contest;
use millstream_yardstick::{lock, machine};
use serde_json::json;

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), String> {
    let _alone = lock::take(&lock::path())?;
    let shards = arguments.shards()?;
    // Before hours of work, not after them.
    let mut file = match &arguments.json {
        Some(path) => {
            Some(File::create(path).map_err(|error| format!("--json {}: {error}", path.display()))?)
        }
        None => None,
    };
    let machine = machine::describe(&(0..arguments::cores()).collect::<Vec<_>>());
    println!("machine: {machine}");
    let builds = build::all(arguments);
    let mut contests = Vec::new();
    for subject in arguments.subjects() {
        match subject {
            Subject::Work(work, keys) => contests.push(works::contest(arguments, &shards, work, keys)),
            Subject::Nexmark => contests.extend(nexmark::queries(arguments, &shards)?),
            Subject::Generator => contests.push(nexmark::generator(arguments, &shards)),
        }
    }
    let (mut all, mut ratios) = (Vec::new(), Vec::new());
    for contest in &contests {
        let outcomes = Contest::run(contest, &builds, arguments);
        print!("{}", report::table(contest, &outcomes, &builds));
        all.push(report::to_json(contest, &outcomes, &builds));
        ratios.extend(report::ratios(contest, &outcomes));
    }
    print!("{}", together::lines(&ratios));
    if let (Some(file), Some(path)) = (&mut file, &arguments.json) {
        let all = json!({ "machine": machine, "rounds": arguments.rounds, "contests": all, "together": together::to_json(&ratios) });
        writeln!(file, "{all:#}").map_err(|error| format!("--json {}: {error}", path.display()))?;
    }
    Ok(())
}
