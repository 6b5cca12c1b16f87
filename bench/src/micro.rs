//! `micro`: the measures, and the order in which they run.

mod async_immediate;
mod broadcast_rule;
mod chain8;
mod cold_touch;
mod hop;
mod insert;
mod interval_join;
mod keyed_count;
mod keyed_state;
mod loop_gap;
pub mod restore;
mod sessions;
mod sliding_count;
mod timers;
mod tumbling_count;
mod window_fire;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::outcome::{Outcome, header};
use crate::{lock, machine};

/// What `micro` is told.
#[derive(clap::Args)]
pub struct Args {
    /// Also writes everything, every single value included, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs these measures only.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = known_name)]
    only: Vec<String>,
    /// How many rounds the medians are of.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Where state directories are made: a directory on the disk that checkpoints are to be measured on.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Multiplies all times and sizes: to see whether everything works, not to measure.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, hide = true)]
    scale: f64,
}

/// What every measure is told.
#[derive(Clone)]
pub struct Settings {
    pub rounds: usize,
    pub dir: PathBuf,
    pub scale: f64,
    cores: Vec<usize>,
}

impl Settings {
    /// # Errors
    /// They make no sense.
    pub fn new(rounds: u16, dir: &Path, scale: f64) -> Result<Settings, Box<dyn Error>> {
        if !(scale > 0.0 && scale <= 100.0) {
            return Err(format!("--scale {scale} makes no sense; leave it out").into());
        }
        if !dir.is_dir() {
            return Err(format!("--dir {}: no such directory", dir.display()).into());
        }
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Ok(Settings {
            rounds: usize::from(rounds),
            dir: dir.to_owned(),
            scale,
            cores: cores.into_iter().map(|core| core.id).collect(),
        })
    }

    /// All cores that this process may use.
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// A time, scaled.
    pub fn seconds(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.scale)
    }

    /// A size, scaled.
    pub fn size(&self, size: u64) -> u64 {
        ((size as f64 * self.scale) as u64).max(1)
    }

    /// How long a stretch of a throughput measure is, once it is warm.
    pub fn stretch(&self) -> Duration {
        self.seconds(2.0)
    }

    /// How long a run is left to warm up at least.
    pub fn warm_up(&self) -> Duration {
        self.seconds(0.5)
    }

    /// The first cores.
    pub fn cores_for(&self, threads: u16) -> Result<Vec<usize>, String> {
        let cores = self.cores.get(..usize::from(threads));
        cores.map(<[usize]>::to_vec).ok_or_else(|| {
            format!(
                "needs {threads} cores, this process may use {}; choose others with --only",
                self.cores.len()
            )
        })
    }

    /// The first core of those that measure alone.
    pub fn first_core(&self) -> Result<usize, String> {
        Ok(self.cores_for(1)?[0])
    }
}

/// What one run of a measure gives; some give several figures at once.
type Measure = fn(&Settings) -> Result<Vec<Outcome>, Box<dyn Error>>;

/// Every figure with the measure that gives it, in the order in which they run.
const MEASURES: &[(&[&str], Measure)] = &[
    (&["chain8"], chain8::measure),
    (&["async_immediate"], async_immediate::measure),
    (&["keyed_count_1m_1shard"], keyed_count::on_1_shard),
    (&["keyed_count_1m_2shards"], keyed_count::on_2_shards),
    (&["broadcast_rule"], broadcast_rule::measure),
    (&["tumbling_count_10k"], tumbling_count::measure),
    (&["sliding_60s_by_1s"], sliding_count::of_a_minute),
    (&["sliding_24h_by_1s"], sliding_count::of_a_day),
    (&["sessions_10k"], sessions::measure),
    (&["interval_join_10k"], interval_join::measure),
    (&["timers"], timers::measure),
    (&["list_append"], keyed_state::list_append),
    (&["map_update"], keyed_state::map_update),
    (&["value_200_bytes"], keyed_state::value_200_bytes),
    (&["text_200_bytes"], keyed_state::text_200_bytes),
    (&["keyed_count_checkpointed"], keyed_count::with_checkpoints),
    (&["loop_gap_excess_us"], loop_gap::measure),
    (&["fire_1m_step_us", "fire_1m_gap_us"], window_fire::measure),
    (&["insert_10m_max_us"], insert::measure),
    (&["hop_one_way_p50_ns", "hop_one_way_p99_ns"], hop::measure),
    (&["restore_1gb_first_record_ms"], restore::measure),
];

fn known_name(name: &str) -> Result<String, String> {
    let names: Vec<&str> = MEASURES.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("no such measure; there are {}", names.join(", "))),
    }
}

/// Runs the measures that were asked for.
///
/// # Errors
/// Another benchmark runs, or a measure could not be taken; those before it have been printed.
pub fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let settings = Settings::new(args.rounds, &args.dir, args.scale)?;
    let _lock = lock::take(&std::env::temp_dir().join("millstream-bench.lock"))?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let machine = machine::describe(&settings.cores);
    println!("machine: {machine}");
    println!(
        "{} rounds; threads are pinned as each measure says; the control thread of a job is not\n",
        args.rounds
    );
    println!("{}", header());
    let mut outcomes = Vec::new();
    for (names, measure) in MEASURES {
        if !names.iter().any(|name| wanted(name)) {
            continue;
        }
        let stolen = machine::stolen_ticks();
        let given = measure(&settings).map_err(|error| format!("{}: {error}", names.join(", ")))?;
        let stolen = machine::stolen_ticks() - stolen;
        for outcome in given.into_iter().filter(|outcome| wanted(outcome.name)) {
            println!("{outcome}");
            let mut outcome = outcome.to_json();
            outcome["stolen_ticks"] = json!(stolen);
            outcomes.push(outcome);
        }
    }
    let all = json!({
        "machine": machine,
        "rounds": args.rounds,
        "scale": args.scale,
        "measures": outcomes,
    });
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &all))
}

fn write_json(path: &Path, all: &serde_json::Value) -> Result<(), Box<dyn Error>> {
    std::fs::write(path, format!("{all:#}\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_with_those_there_are() {
        assert_eq!(known_name("chain8").unwrap(), "chain8");
        assert!(known_name("chain9").unwrap_err().contains("restore_1gb_first_record_ms"));
    }
}
