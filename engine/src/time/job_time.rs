//! What the shards of a job share of event time: a few atomics, read when a program asks for what needs them.

use super::alignment::Alignment;
use super::all_idle::AllIdle;
use crate::graph::ShardRange;
use crate::runtime::Waker;

/// Shared by all shards of one attempt at a job.
#[derive(Debug)]
pub(crate) struct JobTime {
    /// One for each source.
    pub(super) alignments: Vec<Alignment>,
    pub(super) all_idle: AllIdle,
}

impl JobTime {
    /// For a job with sources on these shards, and a shard for each waker.
    pub(crate) fn new(sources: &[ShardRange], wakers: &[Waker]) -> Self {
        let instances = sources.iter().map(|on| on.len()).sum();
        JobTime {
            alignments: sources.iter().map(|on| Alignment::new(*on, wakers)).collect(),
            all_idle: AllIdle::new(instances, wakers),
        }
    }
}
