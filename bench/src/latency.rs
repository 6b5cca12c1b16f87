//! How long records and calls take, from the time at which they were due: through a job, over an exchange, there and back, until durable, until a
//! window's result is out; beside what the machine does to any thread, and beside other ways to ask.
//!
//! `cargo run --release -p millstream-bench -- latency --json FILE --html FILE`: see `docs/benchmarks/README.md`.

mod ask;
mod ask_durable;
mod chain;
mod figures;
mod host;
mod jobs;
mod keyed;
mod meter;
mod overload;
mod paced;
mod ping_pong;
mod probe;
mod recorder;
mod redis;
mod report;
mod schedule;
mod settings;
mod tokio_call;
mod turns;
mod wake;
mod watch;
mod window;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use crate::{lock, machine};
use report::Report;
use settings::{Settings, Wait, too_few_cores};

/// What is measured, and with how much.
#[derive(clap::Args, Clone)]
pub struct LatencyArgs {
    /// Measures these scenarios only.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "all", value_parser = known_scenario)]
    scenario: Vec<String>,
    /// Records or calls per second, instead of those that suit each scenario.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Vec<u64>,
    /// How many seconds each setting counts [default: 10; 60 for window and overload].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// How idle shards wait.
    #[arg(long, value_name = "HOW", value_enum, value_delimiter = ',', default_values = ["spin", "adaptive"])]
    wait: Vec<Wait>,
    /// The intervals of checkpoints, in milliseconds, or `off`; of chain, keyed, ask and window.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values = ["off", "100"], value_parser = interval)]
    checkpoint_interval: Vec<Interval>,
    /// Where state directories are made: a directory on the disk that checkpoints are to be measured on.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Also writes everything, all histograms included, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also writes a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// An interval of checkpoints, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval(Option<Duration>);

type Scenario = fn(&Settings, &mut Report) -> Result<(), Box<dyn Error>>;

/// All of them, in the order in which they run.
const SCENARIOS: [(&str, Scenario); 7] = [
    ("chain", chain::measure),
    ("keyed", keyed::measure),
    ("ask", ask::measure),
    ("ask-durable", ask_durable::measure),
    ("window", window::measure),
    ("wake", wake::measure),
    ("overload", overload::measure),
];

const ALL: &str = "all";

fn known_scenario(name: &str) -> Result<String, String> {
    let names: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
    match name == ALL || names.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("no such scenario; there are {}, and {ALL}", names.join(", "))),
    }
}

fn interval(words: &str) -> Result<Interval, String> {
    match (words, words.parse()) {
        ("off", _) => Ok(Interval(None)),
        (_, Ok(millis)) if millis > 0 => Ok(Interval(Some(Duration::from_millis(millis)))),
        _ => Err("no interval; give milliseconds, at least 1, or off".to_owned()),
    }
}

/// Measures the scenarios that were asked for.
///
/// # Errors
/// Another benchmark runs, there are too few cores, a file cannot be written, or a job failed; what was measured before has been printed.
pub fn run(args: &LatencyArgs) -> Result<(), Box<dyn Error>> {
    if !args.dir.is_dir() {
        return Err(format!("--dir {}: no such directory", args.dir.display()).into());
    }
    let cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    if cores.len() < 2 {
        return Err(too_few_cores(&cores).into());
    }
    let mut report = Report::new(args.json.as_deref(), args.html.as_deref())?;
    let _alone = lock::take(&std::env::temp_dir().join("millstream-bench.lock"))?;
    let settings = Settings {
        cores,
        dir: args.dir.clone(),
        seconds: args.seconds,
        rates: args.rate.clone(),
        waits: args.wait.clone(),
        checkpoints: args.checkpoint_interval.iter().map(|interval| interval.0).collect(),
    };
    let machine = machine::describe(&settings.cores);
    println!("machine: {machine}");
    println!(
        "microseconds from the time at which a record or call was due; a second in which other programs had more than 30 ms of the cores, \
         or the hypervisor took any, is left out"
    );
    for (name, measure) in SCENARIOS {
        if args.scenario.iter().any(|wanted| wanted == name || wanted == ALL) {
            measure(&settings, &mut report).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    report.write(&machine)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LatencyArgs,
    }

    fn args(words: &[&str]) -> Result<LatencyArgs, String> {
        let words = ["latency"].into_iter().chain(words.iter().copied());
        Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
    }

    fn refused(words: &[&str]) -> String {
        args(words).err().unwrap()
    }

    #[test]
    fn lists_are_read() {
        let args = args(&[
            "--scenario",
            "ask,wake",
            "--rate",
            "5,7",
            "--wait",
            "spin",
            "--checkpoint-interval",
            "off,10",
        ])
        .unwrap();
        assert_eq!((args.scenario, args.rate), (vec!["ask".to_owned(), "wake".to_owned()], vec![5, 7]));
        assert_eq!(args.wait, [Wait::Spin]);
        assert_eq!(args.checkpoint_interval, [Interval(None), Interval(Some(Duration::from_millis(10)))]);
    }

    #[test]
    fn without_arguments_all_is_measured() {
        let args = args(&[]).unwrap();
        assert_eq!(
            (args.scenario.as_slice(), args.seconds, args.rate.len()),
            (&[ALL.to_owned()][..], None, 0)
        );
        assert_eq!(args.wait, [Wait::Spin, Wait::Adaptive]);
        assert_eq!(args.checkpoint_interval, [Interval(None), Interval(Some(Duration::from_millis(100)))]);
    }

    #[test]
    fn bad_input_is_refused_with_what_there_is() {
        assert!(
            refused(&["--scenario", "chian"])
                .contains("there are chain, keyed, ask, ask-durable, window, wake, overload, and all")
        );
        assert!(refused(&["--rate", "0"]).contains("--rate"));
        assert!(refused(&["--seconds", "0"]).contains("--seconds"));
        assert!(refused(&["--wait", "sleep"]).contains("spin, adaptive"));
        assert!(refused(&["--checkpoint-interval", "0"]).contains("at least 1, or off"));
        assert!(refused(&["--checkpoint-interval", "soon"]).contains("at least 1, or off"));
    }

    #[test]
    fn a_missing_directory_and_an_unwritable_file_are_told_before_anything_runs() {
        let missing = args(&["--dir", "/no/such/directory"]).unwrap();
        assert_eq!(run(&missing).unwrap_err().to_string(), "--dir /no/such/directory: no such directory");
        let unwritable = args(&["--html", "/no/such/directory/page.html"]).unwrap();
        assert!(run(&unwritable).unwrap_err().to_string().contains("cannot be written"));
    }
}
