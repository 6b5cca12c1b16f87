//! What a run is asked to do.

use std::fmt;

use clap::{Args, ValueEnum};

/// How long a window is.
pub const WINDOW_MS: i64 = 1000;

/// One of the works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Work {
    /// Bids whose price is changed.
    Passthrough,
    /// Lines, split into words; each word's running count.
    Wordcount,
    /// The running count of each bid's auction.
    Keyed,
    /// The count of each auction in every second of event time, out of order by up to 100 ms.
    Window,
}

impl Work {
    fn keys_unless_said(self) -> u64 {
        match self {
            Work::Passthrough | Work::Keyed => 1_000_000,
            Work::Wordcount | Work::Window => 10_000,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Passthrough => "passthrough",
            Work::Wordcount => "wordcount",
            Work::Keyed => "keyed",
            Work::Window => "window",
        })
    }
}

/// One run: what every program is told alike.
#[derive(Args, Clone, Debug)]
pub struct Task {
    /// What is done with the records.
    #[arg(long)]
    pub work: Work,
    /// How many different keys, or words, there are: 1 M keys, 10 k words or 10 k keys in windows unless said otherwise.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    keys: Option<u64>,
    /// How many shards, workers or threads; the records come from as many partitions.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,
    /// How many records are measured, of all partitions together.
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(4..=1 << 50))]
    pub events: u64,
    /// How many records come before those, not measured.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 50))]
    pub warm_up: u64,
    /// Whether records are handed to the thread of their key.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub exchange: bool,
}

impl Task {
    /// As given on a command line.
    pub fn new(work: Work, keys: Option<u64>, shards: u16, events: u64, warm_up: u64) -> Task {
        Task { work, keys, shards, events, warm_up, exchange: true }
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.keys.unwrap_or_else(|| self.work.keys_unless_said())
    }

    /// All records, those before the measured ones included.
    pub fn records(&self) -> u64 {
        self.warm_up + self.events
    }
}

/// What [`Work::Passthrough`] makes of a price.
#[inline(always)]
pub fn discounted(price: i64) -> i64 {
    (price as f64 * 0.908) as i64
}
