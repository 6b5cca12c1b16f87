//! How a job is asked.

use std::time::Duration;

use crate::journal::JournalOptions;

/// When a reply is given to whoever asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// As soon as the job has made it. What it was made of may be undone by a failure that follows.
    #[default]
    Computed,
    /// When a checkpoint that holds what the job did for it is durable: nothing that the caller goes by is ever undone. Takes about the
    /// interval of checkpoints, which can be 1 ms.
    Durable,
}

/// How an [`Ask`](super::Ask) behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskOptions {
    pub(in crate::embed) in_flight: usize,
    pub(super) level: Level,
    pub(super) spin: Duration,
    pub(in crate::embed) journal: Option<JournalOptions>,
}

impl Default for AskOptions {
    fn default() -> Self {
        AskOptions { in_flight: 1024, level: Level::Computed, spin: Duration::ZERO, journal: None }
    }
}

impl AskOptions {
    /// Up to 1024 calls at a time, by all handles together; replies as soon as they are made; no journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many calls can be under way, by all handles together.
    pub fn in_flight(mut self, calls: usize) -> Self {
        self.in_flight = calls;
        self
    }

    /// When replies are given, unless a handle says otherwise.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// How long a thread that waits for a reply looks again and again before it sleeps. 0 unless set; a sleep and its wake-up take some
    /// 5 to 50 us.
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time;
        self
    }

    /// Keeps every request in a local log before the job sees it: after a failure it is processed again, and answered if its caller
    /// still waits.
    pub fn journal(mut self, options: JournalOptions) -> Self {
        self.journal = Some(options);
        self
    }

    /// Whether replies wait for checkpoints.
    pub(in crate::embed) fn needs_checkpoints(&self) -> bool {
        self.level == Level::Durable
    }

    /// What is wrong with them, if anything is.
    pub(in crate::embed) fn check(&self) -> Result<(), String> {
        match self.in_flight {
            0 => Err("room for 0 calls is none; give at least 1 with AskOptions::in_flight".to_owned()),
            calls if u32::try_from(calls).is_err() => Err(format!(
                "room for {calls} calls is more than can be told apart; give at most {}",
                u32::MAX
            )),
            _ => Ok(()),
        }
    }
}
