//! How a query is run.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::generator::Config;

/// The time between two checkpoints, in milliseconds, unless it is said: of a run that is measured, and of one that is compared.
const INTERVAL_MEASURED_MS: u64 = 1000;
const INTERVAL_COMPARED_MS: u64 = 5;

/// How a query is run.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// How many events there are.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub events: Option<u64>,
    /// How many shards, each on a core.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub shards: u16,
    /// The time between two checkpoints, in milliseconds; 0 for none. 1000 unless said, 5 where rows are compared.
    #[arg(long, value_name = "MS")]
    pub checkpoint_interval: Option<u64>,
    /// Events come by the clock, so many a second, and it is measured how long after its due time a row is there.
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// How many events there are in a second of event time.
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub event_rate: u32,
    /// Of so many events that follow each other the order is mixed.
    #[arg(long, value_name = "EVENTS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub out_of_order: u64,
    /// Where state and files of a run lie.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub dir: PathBuf,
}

/// What a process that runs one query is told.
#[derive(Args, Clone, Debug)]
pub struct ChildArgs {
    #[arg(long)]
    pub number: u8,
    #[arg(long, value_delimiter = ',')]
    pub cores: Vec<usize>,
    #[command(flatten)]
    pub run: RunArgs,
}

impl RunArgs {
    /// Refuses what cannot be run on so many cores.
    ///
    /// # Errors
    /// Says what, and what to do.
    pub fn check(&self, cores: usize) -> Result<(), String> {
        if usize::from(self.shards) > cores {
            return Err(format!(
                "--shards {}: this process may use {cores} cores, and a shard takes one; give --shards {cores} or less",
                self.shards
            ));
        }
        if !self.dir.is_dir() {
            return Err(format!("--dir {}: no such directory", self.dir.display()));
        }
        let late_ms = self.out_of_order * 1000 / u64::from(self.event_rate);
        if late_ms >= super::query::OUT_OF_ORDER_MAX.0.cast_unsigned() {
            return Err(format!(
                "--out-of-order {} at --event-rate {}: events would be up to {late_ms} ms out of order, where the queries wait for {} ms; give \
                 fewer events",
                self.out_of_order,
                self.event_rate,
                super::query::OUT_OF_ORDER_MAX.0
            ));
        }
        Ok(())
    }

    /// Which events there are.
    pub fn config(&self) -> Config {
        Config::default().rate(self.event_rate).out_of_order(self.out_of_order)
    }

    /// The time between two checkpoints of a run that is measured; none without.
    pub fn interval_measured(&self) -> Option<Duration> {
        let millis = self.checkpoint_interval.unwrap_or(INTERVAL_MEASURED_MS);
        (millis > 0).then(|| Duration::from_millis(millis))
    }

    /// The same of a run whose rows are compared, which has checkpoints in any case.
    pub fn interval_compared(&self) -> Duration {
        Duration::from_millis(self.checkpoint_interval.unwrap_or(INTERVAL_COMPARED_MS).max(1))
    }

    /// The same as words of a command line.
    pub fn to_words(&self, events: u64) -> Vec<String> {
        let mut words = vec![
            format!("--events={events}"),
            format!("--shards={}", self.shards),
            format!("--event-rate={}", self.event_rate),
            format!("--out-of-order={}", self.out_of_order),
            format!("--dir={}", self.dir.display()),
        ];
        words.extend(self.checkpoint_interval.map(|millis| format!("--checkpoint-interval={millis}")));
        words.extend(self.rate.map(|rate| format!("--rate={rate}")));
        words
    }

    /// For programs: the settings of a run that is measured.
    pub fn to_json(&self) -> Value {
        json!({
            "events": self.events,
            "shards": self.shards,
            "checkpoint_interval_ms": self.interval_measured().map(|interval| interval.as_millis() as u64),
            "rate": self.rate,
            "event_rate": self.event_rate,
            "out_of_order": self.out_of_order,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parsed(words: &[&str]) -> RunArgs {
        Program::parse_from(["program"].iter().chain(words)).run
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        assert_eq!(parsed(&["--shards", "2"]).check(2), Ok(()));
        let refused = parsed(&["--shards", "3"]).check(2).unwrap_err();
        assert!(refused.contains("may use 2 cores") && refused.contains("--shards 2 or less"), "{refused}");
        let refused = parsed(&["--dir", "/no/such/place"]).check(2).unwrap_err();
        assert_eq!(refused, "--dir /no/such/place: no such directory");
        assert_eq!(parsed(&["--out-of-order", "39999"]).check(1), Ok(()));
        let refused = parsed(&["--out-of-order", "40000"]).check(1).unwrap_err();
        assert!(refused.contains("up to 4000 ms out of order"), "{refused}");
    }

    #[test]
    fn a_child_is_told_the_same() {
        let run =
            parsed(&["--shards", "2", "--rate", "5", "--out-of-order", "7", "--checkpoint-interval", "0"]);
        let words = run.to_words(9);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let child = parsed(&words);
        assert_eq!((child.events, child.to_json()["rate"].as_u64()), (Some(9), Some(5)));
        assert_eq!(child.interval_measured(), None);
        assert_eq!((child.shards, child.checkpoint_interval, child.out_of_order), (2, Some(0), 7));
    }
}
