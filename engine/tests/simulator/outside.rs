//! The world outside of the job: a transactional system that survives its crashes, and the sink that writes to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use millstream_engine::element::{Epoch, ShardId, Timestamp};
use millstream_engine::runtime::Waker;
use millstream_engine::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

use crate::random::Random;
use crate::topology::Event;

/// A record that came out.
pub type Output = (Event, Timestamp);

/// The number of a transaction.
type TransactionId = u64;

struct Transaction {
    shard: ShardId,
    epoch: Epoch,
    records: Vec<Output>,
    /// Whether it survives a crash.
    safe: bool,
}

/// Something the system has been asked to do.
struct Request {
    turns_left: u64,
    done: Arc<AtomicBool>,
    waker: Waker,
}

#[derive(Default)]
struct State {
    next: TransactionId,
    pending: BTreeMap<TransactionId, Transaction>,
    committed: BTreeMap<TransactionId, Epoch>,
    visible: Vec<Output>,
    requests: Vec<Request>,
    /// What no correct job makes happen.
    wrongs: Vec<String>,
}

/// The outside system. Clones are the same.
#[derive(Clone, Default)]
pub struct Outside {
    state: Arc<Mutex<State>>,
}

impl Outside {
    /// The job's process died: what was not safe may be gone.
    pub fn crash(&self, random: &mut Random) {
        let mut state = self.state.lock().unwrap();
        state.pending.retain(|_, transaction| transaction.safe || random.one_in(2));
        state.requests.clear();
    }

    /// Goes on with what was asked for, and wakes the shards that wait for it.
    pub fn turn(&self) {
        self.state.lock().unwrap().requests.retain_mut(|request| {
            request.turns_left = request.turns_left.saturating_sub(1);
            if request.turns_left == 0 {
                request.done.store(true, Ordering::Relaxed);
                request.waker.wake();
            }
            request.turns_left > 0
        });
    }

    fn ask(&self, turns: u64, waker: &Waker) -> Arc<AtomicBool> {
        let done = Arc::new(AtomicBool::new(turns == 0));
        if turns > 0 {
            let request = Request { turns_left: turns, done: done.clone(), waker: waker.clone() };
            self.state.lock().unwrap().requests.push(request);
        }
        done
    }

    /// What can be seen.
    pub fn visible(&self) -> Vec<Output> {
        self.state.lock().unwrap().visible.clone()
    }

    pub fn wrongs(&self) -> Vec<String> {
        self.state.lock().unwrap().wrongs.clone()
    }

    /// Transactions that were neither committed nor removed.
    pub fn pending(&self) -> usize {
        self.state.lock().unwrap().pending.len()
    }

    /// A sink of one shard. `delay` is how many of the system's turns a pre-commit or commit takes at most.
    pub fn sink(&self, seed: u64, delay: u64) -> OutsideSink {
        OutsideSink {
            outside: self.clone(),
            random: Random(seed),
            delay,
            shard: ShardId(0),
            buffer: Vec::new(),
            cuts: Vec::new(),
            committing: Arc::default(),
            waker: Waker::new(),
        }
    }
}

impl State {
    fn commit(&mut self, id: TransactionId, epoch: Epoch) {
        match self.pending.remove(&id) {
            Some(transaction) => {
                self.visible.extend(transaction.records);
                self.committed.insert(id, epoch);
            }
            None if self.committed.contains_key(&id) => {}
            None => self
                .wrongs
                .push(format!("transaction {id} of epoch {epoch} is to be committed and does not exist")),
        }
    }
}

/// Writes to an [`Outside`], as a sink for a transactional data base would.
pub struct OutsideSink {
    outside: Outside,
    random: Random,
    delay: u64,
    shard: ShardId,
    buffer: Vec<Output>,
    /// Cuts not committed yet: epoch, transaction (none for an empty cut), whether it is safe.
    cuts: Vec<(Epoch, Option<TransactionId>, Arc<AtomicBool>)>,
    committing: Arc<AtomicBool>,
    waker: Waker,
}

impl Sink<Event> for OutsideSink {
    fn delivery(&self) -> Delivery {
        Delivery::Transactional
    }

    fn open(&mut self, context: &SinkContext, recovered: &[Committable]) -> Result<(), SinkError> {
        self.shard = context.shard;
        self.waker = context.waker.clone();
        let mut state = self.outside.state.lock().unwrap();
        for cut in recovered {
            if cut.epoch > context.restored {
                state
                    .wrongs
                    .push(format!("a cut of epoch {} is recovered at epoch {}", cut.epoch, context.restored));
            }
            let id = TransactionId::from_le_bytes(cut.bytes.as_slice().try_into().unwrap());
            state.commit(id, cut.epoch);
        }
        let mine = |of: ShardId| of.0 % context.shards == context.shard.0;
        state.pending.retain(|_, transaction| !mine(transaction.shard));
        Ok(())
    }

    fn ready(&mut self) -> bool {
        self.delay == 0 || !self.random.one_in(8)
    }

    fn write(&mut self, record: &Event, at: Timestamp) -> Result<(), SinkError> {
        self.buffer.push((*record, at));
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let records = std::mem::take(&mut self.buffer);
        let id = if records.is_empty() {
            None
        } else {
            let mut state = self.outside.state.lock().unwrap();
            state.next += 1;
            let id = state.next;
            state.pending.insert(id, Transaction { shard: self.shard, epoch, records, safe: false });
            Some(id)
        };
        let safe = self.outside.ask(self.random.below(self.delay + 1), &self.waker);
        self.cuts.push((epoch, id, safe));
        Ok(())
    }

    fn poll_prepared(&mut self, epoch: Epoch) -> Poll<Result<Option<Vec<u8>>, SinkError>> {
        let cut = self.cuts.iter().find(|(of, ..)| *of == epoch).expect("what is polled was prepared");
        if !cut.2.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let Some(id) = cut.1 else { return Poll::Ready(Ok(None)) };
        let mut state = self.outside.state.lock().unwrap();
        let transaction = state.pending.get_mut(&id).expect("it is pending until it is committed");
        assert_eq!(transaction.epoch, epoch);
        transaction.safe = true;
        Poll::Ready(Ok(Some(id.to_le_bytes().to_vec())))
    }

    fn commit(&mut self, _: Epoch) -> Result<(), SinkError> {
        self.committing = self.outside.ask(self.random.below(self.delay + 1), &self.waker);
        Ok(())
    }

    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        if !self.committing.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut state = self.outside.state.lock().unwrap();
        for (of, id, _) in self.cuts.extract_if(.., |(of, ..)| *of <= epoch) {
            if let Some(id) = id {
                state.commit(id, of);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self) -> Result<(), SinkError> {
        if !self.buffer.is_empty() || !self.cuts.is_empty() {
            let wrong = format!(
                "shard {} closes with {} records, {} cuts",
                self.shard,
                self.buffer.len(),
                self.cuts.len()
            );
            self.outside.state.lock().unwrap().wrongs.push(wrong);
        }
        Ok(())
    }
}
