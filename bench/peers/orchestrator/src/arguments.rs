//! What the command is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use millstream_yardstick::works;

/// Runs Millstream and its peers by turns on the same works, and prints medians and spreads.
#[derive(Parser)]
#[command(name = "run.sh")]
pub struct Arguments {
    /// What is measured; `all` is the five works, not Nexmark.
    #[arg(long, value_delimiter = ',', required = true)]
    work: Vec<What>,
    /// Which queries of Nexmark: their numbers, by commas, or `all`.
    #[arg(long, default_value = "all", value_parser = queries)]
    pub query: Queries,
    /// How many rounds the medians are of.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Writes everything, every single run included, to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Runs these systems only.
    #[arg(long, value_delimiter = ',')]
    only: Vec<System>,
    /// How many shards, workers or slots; a run for each (1 and 2 unless said otherwise).
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Vec<u16>,
    /// How many events of Nexmark are measured.
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub events: u64,
    /// How many events of Nexmark come in a second of event time.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// Where the texts of the queries are, as q00.sql and so on.
    #[arg(long, value_name = "DIR", default_value_os_t = crate::build::root().join("bench/src/nexmark/queries"))]
    pub sql: PathBuf,
    /// What Java may take for its heap.
    #[arg(long, default_value = "4g")]
    pub heap: String,
    /// Where checkpoints are written: a directory on the disk that they are to be measured on.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
    /// How long one run may take, in seconds.
    #[arg(long, default_value_t = 900)]
    timeout: u64,
    /// Multiplies how many records there are: to see whether everything works, not to measure.
    #[arg(long, default_value_t = 1.0, hide = true)]
    pub scale: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Passthrough,
    Wordcount,
    Keyed,
    Window,
    All,
    Nexmark,
    Generator,
}

/// One thing that systems are compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A work with so many keys.
    Work(works::Work, u64),
    /// The queries of Nexmark.
    Nexmark,
    /// Nexmark's generator alone.
    Generator,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum System {
    Millstream,
    Plain,
    Timely,
    Renoir,
    Flink,
}

impl System {
    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            System::Millstream => "millstream",
            System::Plain => "plain",
            System::Timely => "timely",
            System::Renoir => "renoir",
            System::Flink => "flink",
        }
    }
}

/// Numbers of queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries(pub Vec<u8>);

/// The highest number of a query.
const LAST_QUERY: u8 = 22;

fn queries(text: &str) -> Result<Queries, String> {
    if text == "all" {
        return Ok(Queries((0..=LAST_QUERY).collect()));
    }
    let number = |part: &str| part.parse().ok().filter(|number| *number <= LAST_QUERY);
    let numbers = text.split(',').map(number).collect::<Option<Vec<u8>>>();
    numbers.map(Queries).ok_or_else(|| format!("queries have the numbers 0 to {LAST_QUERY}"))
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Arguments {
    /// How long one run may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Whether a system takes part.
    pub fn wants(&self, system: System) -> bool {
        self.only.is_empty() || self.only.contains(&system)
    }

    /// With how many shards everything runs.
    ///
    /// # Errors
    /// More than there are cores were asked for.
    pub fn shards(&self) -> Result<Vec<u16>, String> {
        let cores = cores();
        if let Some(many) = self.shards.iter().find(|shards| usize::from(**shards) > cores) {
            return Err(format!("--shards {many} needs as many cores, this process may use {cores}"));
        }
        if self.shards.is_empty() && cores == 1 {
            println!("this process may use one core: what needs two shards is left out");
        }
        let usual = [1, 2].into_iter().filter(|shards| usize::from(*shards) <= cores);
        Ok(if self.shards.is_empty() { usual.collect() } else { self.shards.clone() })
    }

    /// What is compared, in order.
    pub fn subjects(&self) -> Vec<Subject> {
        let mut subjects = Vec::new();
        for what in &self.work {
            let every = *what == What::All;
            let mut add = |one: What, subject| {
                if (every || *what == one) && !subjects.contains(&subject) {
                    subjects.push(subject);
                }
            };
            add(What::Passthrough, Subject::Work(works::Work::Passthrough, 1_000_000));
            add(What::Wordcount, Subject::Work(works::Work::Wordcount, 10_000));
            add(What::Keyed, Subject::Work(works::Work::Keyed, 1_000_000));
            add(What::Keyed, Subject::Work(works::Work::Keyed, 1000));
            add(What::Window, Subject::Work(works::Work::Window, 10_000));
            match what {
                What::Nexmark => subjects.push(Subject::Nexmark),
                What::Generator => subjects.push(Subject::Generator),
                _ => {}
            }
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_numbers_or_all() {
        assert_eq!(queries("0,7,22"), Ok(Queries(vec![0, 7, 22])));
        assert_eq!(queries("all").unwrap().0.len(), 23);
        assert!(queries("23").is_err() && queries("q1").is_err() && queries("").is_err());
    }

    #[test]
    fn keyed_is_of_many_keys_and_of_few() {
        let arguments = Arguments::parse_from(["run.sh", "--work", "keyed,window", "--only", "flink,timely"]);
        let keys: Vec<u64> = arguments
            .subjects()
            .into_iter()
            .map(|subject| match subject {
                Subject::Work(_, keys) => keys,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys, [1_000_000, 1000, 10_000]);
        assert!(arguments.wants(System::Flink) && !arguments.wants(System::Millstream));
    }

    #[test]
    fn all_is_five_works() {
        assert_eq!(Arguments::parse_from(["run.sh", "--work", "all"]).subjects().len(), 5);
    }
}
