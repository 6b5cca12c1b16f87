//! What a shard reports of the records that came too late for an operator.

use super::ShowKey;
use crate::key::HashSeed;
use crate::window::{LateLedger, LateSample};

/// An operator's late ledger on one shard, or on several together, with what its keys need to be read by people.
#[derive(Clone, Debug)]
pub struct LateReport {
    pub(crate) ledger: LateLedger,
    pub(crate) show_key: ShowKey,
    pub(crate) seed: HashSeed,
}

impl LateReport {
    /// Together with what another shard reports of the same operator.
    pub(crate) fn with(mut self, other: LateReport) -> LateReport {
        self.ledger.absorb(other.ledger);
        self
    }

    /// The last late records, oldest first, each with its key for people to read.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (String, &LateSample)> {
        self.ledger.samples().map(|sample| {
            let (hash, bytes) = sample.encoded_key();
            ((self.show_key)(hash, bytes, self.seed), sample)
        })
    }
}
