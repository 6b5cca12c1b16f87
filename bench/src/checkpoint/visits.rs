//! The job that is measured: visits of keys, each of which keeps a value of about a hundred bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream::element::Nanos;
use millstream::prelude::*;
use millstream::source::{PartitionId, Reader, ReaderContext, Records, Replay, SourceError, SourcePoll};

use super::Settings;
use crate::bids::Tally;

/// Bytes of a key and its value.
pub const ENTRY_BYTES: u64 = 104;

/// What is kept for a key: a count and twelve words, of which one changes.
pub type Kept = [u64; 12];

/// The keys: all of them come once, then some of them again and again.
#[derive(Clone)]
pub struct Visits {
    /// How many keys there are.
    pub keys: u64,
    /// How many of them come again.
    pub hot: u64,
    /// Counts what comes again.
    pub again: Tally,
    /// Counts what comes first.
    pub filled: Tally,
}

/// The keys of a state of so many megabytes.
pub fn keys_of(megabytes: u64) -> u64 {
    (megabytes * 1_000_000 / ENTRY_BYTES).max(1)
}

impl Visits {
    /// Of these, none has come yet.
    pub fn new(keys: u64, hot: u64) -> Visits {
        Visits { keys, hot: hot.clamp(1, keys), again: Tally::new(1), filled: Tally::new(1) }
    }

    /// Whether all keys have come.
    pub fn are_filled(&self) -> bool {
        self.filled.total() >= self.keys
    }

    /// A job with this source and a state directory or none.
    pub fn start(
        &self,
        settings: &Settings,
        checkpoints: Option<(&Path, Duration)>,
    ) -> Result<JobHandle, JobError> {
        let mut job = job(settings);
        if let Some((dir, interval)) = checkpoints {
            job = job.state_dir(dir).checkpoint_interval(interval);
        }
        self.spawn(job)
    }

    /// A job that begins with a savepoint of another one, and makes no checkpoints.
    pub fn go_on(&self, settings: &Settings, savepoint: &Path) -> Result<JobHandle, JobError> {
        self.spawn(job(settings).from_savepoint(savepoint))
    }

    fn spawn(&self, job: Job) -> Result<JobHandle, JobError> {
        let visits = Arc::new(self.clone());
        job.spawn(move |flow| {
            flow.source("visits", (*visits).clone())
                .key_by(|key| *key)
                .fold([0u64; 12], |kept: &mut Kept, key| {
                    kept[0] += 1;
                    kept[(*key % 11) as usize + 1] += key;
                })
                .discard();
        })
    }
}

fn job(settings: &Settings) -> Job {
    Job::new("visits").shards(1).cores([settings.core]).wait(WaitPolicy::Spin)
}

impl Source for Visits {
    type Item = u64;
    type Reader = VisitReader;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId("visits".to_owned())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<VisitReader, SourceError> {
        let next = match offset {
            None => 0,
            Some(bytes) => u64::from_le_bytes(
                bytes
                    .try_into()
                    .map_err(|_| SourceError::fatal("an offset of the visits has eight bytes"))?,
            ),
        };
        Ok(VisitReader { visits: self.clone(), next, random: 0x9E37_79B9_7F4A_7C15 })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        false
    }
}

/// Reads [`Visits`].
pub struct VisitReader {
    visits: Visits,
    next: u64,
    random: u64,
}

impl Reader for VisitReader {
    type Item = u64;

    fn poll(&mut self, _: Nanos, out: &mut Records<u64>) -> Result<SourcePoll, SourceError> {
        let room = out.room() as u64;
        if self.next < self.visits.keys {
            let end = self.visits.keys.min(self.next + room);
            out.extend(self.next..end);
            self.visits.filled.add(0, end - self.next);
            self.next = end;
            return Ok(SourcePoll::More);
        }
        let (hot, mut random) = (self.visits.hot, self.random);
        out.extend((0..room).map(|_| {
            // Marsaglia, "Xorshift RNGs", 2003.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            ((u128::from(random) * u128::from(hot)) >> 64) as u64
        }));
        self.random = random;
        self.visits.again.add(0, room);
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn place(&self, index: usize) -> String {
        format!("visit {index} of the last poll, before key {}", self.next)
    }
}
