//! What the shards of a job share of event time: a few atomics, read when a program asks for what needs them.

use super::alignment::Alignment;
use super::all_idle::AllIdle;
use crate::runtime::Waker;

/// Shared by all shards of one attempt at a job.
#[derive(Debug)]
pub(crate) struct JobTime {
    /// One for each source.
    pub(super) alignments: Vec<Alignment>,
    pub(super) all_idle: AllIdle,
}

impl JobTime {
    /// For a job with so many sources, and a shard for each waker.
    pub(crate) fn new(sources: usize, wakers: &[Waker]) -> Self {
        JobTime {
            alignments: (0..sources).map(|_| Alignment::new(wakers)).collect(),
            all_idle: AllIdle::new(sources * wakers.len(), wakers),
        }
    }
}
