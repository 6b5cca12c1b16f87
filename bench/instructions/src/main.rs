//! Counts the instructions of the engine's hot path under callgrind, and holds them against checked-in figures.
//!
//! `cargo run --profile instructions -p millstream-instructions`: see `docs/benchmarks/instructions.md`.

mod callgrind;
mod figures;
mod judge;
mod source;
mod workloads;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use callgrind::Callgrind;
use clap::Parser;
use figures::{Figures, Toolchain};
use workloads::{WORKLOADS, Workload};

/// Counts the instructions of the engine's hot path and holds them against checked-in figures.
#[derive(Parser)]
struct Args {
    /// Counts these workloads only.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = known)]
    only: Vec<String>,
    /// Writes what is counted into the file of figures, instead of holding it against them. Bands stay as they are.
    #[arg(long)]
    update: bool,
    /// The file of figures.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json"))]
    figures: PathBuf,
    /// Keeps callgrind's files in this directory, to be looked at with `callgrind_annotate`.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Runs one workload with so many units and nothing else: what callgrind is given.
    #[arg(long, hide = true, value_names = ["WORKLOAD", "UNITS"], num_args = 2)]
    child: Vec<String>,
}

fn known(name: &str) -> Result<String, String> {
    find(name).map(|workload| workload.name.to_owned())
}

fn find(name: &str) -> Result<&'static Workload, String> {
    let names = || WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    let found = WORKLOADS.iter().find(|workload| workload.name == name);
    found.ok_or_else(|| format!("no workload {name}; there are {}", names()))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.child.as_slice() {
        [name, units] => child(name, units),
        _ => run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn child(name: &str, units: &str) -> Result<bool, Box<dyn Error>> {
    let units = units.parse().map_err(|_| format!("{units} is no number of units"))?;
    (find(name)?.run)(units)?;
    Ok(true)
}

/// Says whether every figure is within its band.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let toolchain = Toolchain::of_this_build();
    let mut figures = Figures::read(&args.figures, args.update, &toolchain)?;
    let callgrind = Callgrind::find(args.keep.as_deref())?;
    let wanted =
        |workload: &&Workload| args.only.is_empty() || args.only.iter().any(|only| only == workload.name);
    let counted = callgrind.count_all(&WORKLOADS.iter().filter(wanted).collect::<Vec<_>>())?;
    if args.update {
        return update(
            &args.figures,
            &mut figures,
            &counted,
            args.only.is_empty(),
            toolchain,
            callgrind.version(),
        );
    }
    for note in figures.differences(&toolchain, callgrind.version()) {
        println!("!!! {note}");
    }
    println!("{}", judge::header());
    let verdicts: Vec<_> = counted
        .iter()
        .map(|(workload, counted)| judge::judge(workload, *counted, &figures, &toolchain))
        .collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    let outside: Vec<_> = verdicts.iter().filter_map(judge::Verdict::complaint).collect();
    outside.iter().for_each(|complaint| println!("{complaint}"));
    Ok(outside.is_empty())
}

fn update(
    path: &Path,
    figures: &mut Figures,
    counted: &[(&'static Workload, f64)],
    all: bool,
    toolchain: Toolchain,
    valgrind: &str,
) -> Result<bool, Box<dyn Error>> {
    figures.replace(counted, all, toolchain, valgrind)?;
    for (workload, counted) in counted {
        println!("{:<24} {counted:>10.2} instructions per {}", workload.name, workload.unit);
    }
    figures.write(path)?;
    println!("written to {}", path.display());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_workloads_are_refused_with_those_there_are() {
        assert_eq!(known("chain8").unwrap(), "chain8");
        let refused = known("chain9").unwrap_err();
        assert!(refused.starts_with("no workload chain9; there are chain8, "), "{refused}");
    }

    #[test]
    fn every_workload_runs_and_checks_its_own_result() {
        for workload in &WORKLOADS {
            (workload.run)(workload.units[0] / 8)
                .unwrap_or_else(|error| panic!("{}: {error}", workload.name));
        }
    }

    #[test]
    fn every_workload_has_a_figure_and_no_figure_is_left_over() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.json");
        // Whatever this was built for: what the file holds is the same.
        let figures = Figures::read(&path, true, &Toolchain::of_this_build()).unwrap();
        let mut names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        names.sort_unstable();
        assert_eq!(figures.names(), names);
    }
}
