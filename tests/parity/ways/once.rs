//! A sink in memory that shows each result once, when its checkpoint is durable: what a transactional sink does, without a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use millstream::element::Epoch;
use millstream::prelude::*;
use millstream::sink::{Committable, Delivery, SinkContext, SinkError};

/// One instance per shard; clones share what they have committed. Outlives the jobs that write to it.
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

impl<O> Once<O> {
    pub fn new() -> Self {
        let shared = Shared { prepared: BTreeMap::new(), committed: Vec::new() };
        Once { shared: Arc::new(Mutex::new(shared)), shard: 0, written: Vec::new() }
    }

    /// What is visible. Nothing may be left that is not.
    #[track_caller]
    pub fn results(&self) -> Vec<O>
    where
        O: Clone,
    {
        let shared = self.shared.lock().unwrap();
        assert!(shared.prepared.is_empty(), "output of {} cuts was never committed", shared.prepared.len());
        shared.committed.clone()
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
        let mut shared = self.shared.lock().unwrap();
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
            self.shared.lock().unwrap().prepared.insert((self.shard, epoch), written);
        }
        Ok(())
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let is_there = self.shared.lock().unwrap().prepared.contains_key(&(self.shard, epoch));
        Poll::Ready(Ok(is_there.then(Vec::new)))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let this = self.shard;
        self.shared.lock().unwrap().commit(|shard, of| shard == this && of <= epoch);
        Ok(())
    }
}
