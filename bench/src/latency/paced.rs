//! A source that keeps a schedule, where no core is left for a host's thread.

use std::time::Duration;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

use super::probe::{KEYS, Probe};
use super::schedule::{Dues, Plan};
use crate::clock::monotonic_nanos;

/// Gives each record of a plan when it is due, and ends with the last.
pub struct Paced(pub Plan);

impl Source for Paced {
    type Item = Probe;
    type Reader = PacedReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("0".to_owned())])
    }

    fn open(&self, _: &PartitionId, _: Option<&[u8]>, _: &ReaderContext) -> Result<PacedReader, SourceError> {
        Ok(PacedReader { dues: self.0.dues(), given: 0 })
    }

    fn replay(&self) -> Replay {
        Replay::No { because: "probes measure the present".to_owned() }
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads a [`Paced`].
pub struct PacedReader {
    dues: Dues,
    given: u64,
}

impl Reader for PacedReader {
    type Item = Probe;

    fn poll(&mut self, now: Nanos, out: &mut Records<Probe>) -> Result<SourcePoll, SourceError> {
        let time = monotonic_nanos();
        while out.room() > 0
            && let Some(due) = self.dues.due(time)
        {
            out.push(Probe::new(self.given, KEYS, due));
            self.given += 1;
            self.dues.advance();
        }
        Ok(match self.dues.peek() {
            None => SourcePoll::End,
            Some(due) if due <= time => SourcePoll::More,
            // The shard's clock begins elsewhere, and goes as fast.
            Some(due) => SourcePoll::Idle { until: Some(now.after(Duration::from_nanos(due - time))) },
        })
    }

    fn offset(&self, _: &mut Vec<u8>) {}

    fn place(&self, index: usize) -> String {
        format!("probe {}", self.given + index as u64)
    }
}
