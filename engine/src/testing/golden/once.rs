//! A sink in memory that shows each result once, when its checkpoint is durable: what a transactional sink does, without a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::element::{Epoch, Timestamp};
use crate::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

/// A transactional sink in memory. Its clones show the same results, and outlive the jobs that write to them.
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::testing::{golden::Once, script};
///
/// let out = Once::new();
/// let sink = out.clone();
/// Job::new("doubled")
///     .run(move |flow| flow.source("numbers", script([1u64, 2])).map(|n| n * 2).sink("out", sink.clone()))?;
/// assert_eq!(out.results(), [2, 4]);
/// # Ok::<(), JobError>(())
/// ```
#[derive(Clone)]
pub struct Once<O> {
    shared: Arc<Mutex<Shared<O>>>,
    shard: u16,
    written: Vec<O>,
}

struct Shared<O> {
    /// By shard and epoch.
    prepared: BTreeMap<(u16, Epoch), Vec<O>>,
    committed: Vec<O>,
}

impl<O> Default for Once<O> {
    fn default() -> Self {
        Once::new()
    }
}

impl<O> Once<O> {
    /// A sink that shows nothing yet.
    pub fn new() -> Self {
        let shared = Shared { prepared: BTreeMap::new(), committed: Vec::new() };
        Once { shared: Arc::new(Mutex::new(shared)), shard: 0, written: Vec::new() }
    }

    /// What is visible, in the order in which it became so.
    ///
    /// # Panics
    /// Output is left that is not visible: the job did not end, or its last checkpoint did not commit it.
    #[track_caller]
    pub fn results(&self) -> Vec<O>
    where
        O: Clone,
    {
        let shared = self.lock();
        assert!(shared.prepared.is_empty(), "output of {} cuts was never committed", shared.prepared.len());
        shared.committed.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared<O>> {
        // Each change is a single step, so that a panic beside it leaves all whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> Shared<O> {
    /// Committing again changes nothing.
    fn commit(&mut self, which: impl Fn(u16, Epoch) -> bool) {
        let keys: Vec<_> =
            self.prepared.keys().copied().filter(|(shard, epoch)| which(*shard, *epoch)).collect();
        for key in keys {
            self.committed.extend(self.prepared.remove(&key).unwrap_or_default());
        }
    }
}

impl<O: Clone + Send + 'static> Sink<O> for Once<O> {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        self.shard = context.shard.0;
        let mut shared = self.lock();
        shared.commit(|shard, epoch| recovered.iter().any(|cut| (cut.shard.0, cut.epoch) == (shard, epoch)));
        shared.prepared.retain(|(shard, _), _| shard % context.shards != context.shard.0);
        Ok(())
    }

    fn write(&mut self, record: &O, _: Timestamp) -> Result<(), SinkError> {
        self.written.push(record.clone());
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        if !self.written.is_empty() {
            let written = std::mem::take(&mut self.written);
            self.lock().prepared.insert((self.shard, epoch), written);
        }
        Ok(())
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let is_there = self.lock().prepared.contains_key(&(self.shard, epoch));
        Poll::Ready(Ok(is_there.then(Vec::new)))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let this = self.shard;
        self.lock().commit(|shard, of| shard == this && of <= epoch);
        Ok(())
    }
}
