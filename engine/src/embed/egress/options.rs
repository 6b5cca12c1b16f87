//! How an egress behaves.

use std::time::Duration;

/// How an [`Egress`](super::Egress) behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressOptions {
    pub(super) capacity: usize,
    pub(super) drops: bool,
    pub(super) durable: bool,
    pub(super) spin: Duration,
}

impl Default for EgressOptions {
    fn default() -> Self {
        EgressOptions { capacity: 1024, drops: false, durable: false, spin: Duration::ZERO }
    }
}

impl EgressOptions {
    /// Room for 1024 records per shard; where there is none, the job waits. Records are visible at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// For how many records there is room, per shard.
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// Drops records for which there is no room, and counts them ([`Egress::dropped`](super::Egress::dropped)), so that a slow receiver never holds
    /// the job back.
    pub fn drop_newest(mut self) -> Self {
        self.drops = true;
        self
    }

    /// Holds records back until the checkpoint that they belong to is durable: none that was received is ever undone. See
    /// [`Durable`](crate::sink::Durable).
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// How long a thread that waits for a record looks again and again before it sleeps. 0 unless set.
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time;
        self
    }

    /// What is wrong with them, if anything is.
    pub(in crate::embed) fn check(&self) -> Result<(), String> {
        match self.capacity {
            0 => Err("room for 0 records is none; give at least 1 with EgressOptions::capacity".to_owned()),
            _ => Ok(()),
        }
    }

    pub(in crate::embed) fn is_durable(&self) -> bool {
        self.durable
    }
}
