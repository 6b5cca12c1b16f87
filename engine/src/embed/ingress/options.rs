//! How an ingress behaves.

use std::time::Duration;

use super::super::Overload;
use crate::journal::JournalOptions;

/// How an [`Ingress`](super::Ingress) behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressOptions {
    pub(super) capacity: usize,
    pub(super) overload: Overload,
    pub(super) journal: Option<JournalOptions>,
    pub(super) spin: Duration,
}

impl Default for IngressOptions {
    fn default() -> Self {
        IngressOptions { capacity: 1024, overload: Overload::Block, journal: None, spin: Duration::ZERO }
    }
}

impl IngressOptions {
    /// Room for 1024 records per handle; callers wait where there is none. No journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// For how many records there is room: of each handle by itself; with a journal, [`Overload::Spill`] or [`Overload::DropOldest`], of all
    /// handles together.
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self
    }

    /// What is done with a record for which there is no room.
    pub fn overload(mut self, policy: Overload) -> Self {
        self.overload = policy;
        self
    }

    /// Keeps every record in a local log before the job sees it, so that none is lost in a crash: what the last checkpoint does not cover
    /// is given again.
    pub fn journal(mut self, options: JournalOptions) -> Self {
        self.journal = Some(options);
        self
    }

    /// How long a thread that waits for room looks again and again before it sleeps. 0 unless set.
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time;
        self
    }

    /// What is wrong with them, if anything is.
    pub(in crate::embed) fn check(&self) -> Result<(), String> {
        if self.capacity == 0 {
            return Err(
                "room for 0 records is none; give at least 1 with IngressOptions::capacity".to_owned()
            );
        }
        self.overload.check(self.journal.is_some())
    }

    /// Whether all handles share one queue: where there has to be one order of all records, or records are to be taken out again.
    pub(super) fn shares_a_queue(&self) -> bool {
        self.journal.is_some() || matches!(self.overload, Overload::Spill { .. } | Overload::DropOldest)
    }
}
