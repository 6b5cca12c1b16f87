//! The queue that all handles of an ingress share where their records have one order: with a journal, or where records may have to be taken
//! out again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;

use super::super::Overload;
use super::super::ledger::{Ledger, Shed};
use super::chance::Chance;
use super::entry::Form;
use super::options::IngressOptions;
use super::spill::Spill;
use crate::element::Timestamp;
use crate::journal::{Journal, JournalError};
use crate::record::{Record, RecordBuf};
use crate::waiting::Bell;

/// A record that waits.
pub(super) struct Item<T> {
    /// Its number in the journal, where there is one.
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) record: T,
}

/// See the [module](self).
pub(super) struct Queue<T> {
    /// Who sends, one after the other. Held while the disk is written to, and so taken by a shard only when it opens its reader.
    order: Mutex<Order>,
    /// What waits in memory. Held for moments only.
    items: Mutex<VecDeque<Item<T>>>,
    /// How many wait in memory: what a shard looks at.
    len: AtomicUsize,
    /// Rung when there is room, and when there never will be.
    room: Bell,
    capacity: usize,
    form: Form<T>,
    /// Whether the reader is to say when half the room is free: there is more in the file.
    spilled: AtomicBool,
    /// Rung then.
    refill: Bell,
    failed: AtomicBool,
    failure: Mutex<Option<JournalError>>,
    sent: AtomicU64,
    newest: AtomicU64,
    oldest: AtomicU64,
    sampled: AtomicU64,
    rejected: AtomicU64,
}

/// What those who send have in common.
struct Order {
    journal: Option<Arc<Journal>>,
    spill: Option<Spill>,
    buffer: RecordBuf,
}

/// What became of a record that was offered.
pub(super) enum Put<T> {
    /// It waits; with its number in the journal.
    In(Option<u64>),
    /// It is lost.
    Lost(Shed, T),
    /// There is no room, and the caller is to wait for it.
    Full(T),
    /// The disk does not take it.
    Refused(JournalError, T),
}

impl<T: Record + Send> Queue<T> {
    pub(super) fn new(options: &IngressOptions) -> Self {
        let spill = match &options.overload {
            Overload::Spill { dir, max_bytes } => Some(Spill::new(dir.clone(), *max_bytes)),
            _ => None,
        };
        Queue {
            order: Mutex::new(Order { journal: None, spill, buffer: RecordBuf::new() }),
            items: Mutex::default(),
            len: AtomicUsize::new(0),
            room: Bell::default(),
            capacity: options.capacity,
            form: Form::new(),
            spilled: AtomicBool::new(false),
            refill: Bell::default(),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            sent: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            oldest: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // What a panic may have left in the buffer is cleared before it is used.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<Item<T>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal is open.
    pub(super) fn keep_in(&self, journal: Arc<Journal>) {
        self.order().journal = Some(journal);
    }

    /// The journal, once it is open.
    pub(super) fn journal(&self) -> Option<Arc<Journal>> {
        self.order().journal.clone()
    }

    /// Offers a record. `arm` is woken when there is room, where there is none.
    pub(super) fn put(
        &self,
        record: T,
        at: Timestamp,
        overload: &Overload,
        chance: &mut Chance,
        arm: Option<&Waker>,
    ) -> Put<T> {
        let mut order = self.order();
        let mut waiting = self.len.load(Ordering::Acquire);
        let spills = order.spill.as_ref().is_some_and(|spill| !spill.is_empty());
        if (spills || waiting >= self.capacity)
            && let Some(waker) = arm
        {
            // Room in memory that is made from here on rings; room in the file is made under the lock that is held here.
            self.room.arm(waker);
            waiting = self.len.load(Ordering::Acquire);
        }
        if spills || waiting >= self.capacity {
            match overload {
                Overload::Block => return Put::Full(record),
                Overload::Spill { .. } => return self.spill(&mut order, record, at),
                Overload::DropNewest => return self.lose(Shed::Newest, record),
                Overload::Reject => return self.lose(Shed::Rejected, record),
                Overload::Sample(_) => return self.lose(Shed::Sampled, record),
                Overload::DropOldest => {
                    let mut items = self.items();
                    if items.pop_front().is_some() {
                        self.oldest.fetch_add(1, Ordering::Release);
                    }
                    self.len.store(items.len(), Ordering::Release);
                }
            }
        } else if let Overload::Sample(share) = overload
            && waiting >= self.capacity / 2
            && !chance.takes(*share)
        {
            return self.lose(Shed::Sampled, record);
        }
        let seq = match order.keep(&self.form, &record, at) {
            Ok(seq) => seq,
            Err(cause) => return Put::Refused(cause, record),
        };
        self.sent.fetch_add(1, Ordering::Release);
        let mut items = self.items();
        items.push_back(Item { seq: seq.unwrap_or(0), at, record });
        self.len.store(items.len(), Ordering::Release);
        Put::In(seq)
    }

    fn lose(&self, to: Shed, record: T) -> Put<T> {
        let count = match to {
            Shed::Newest => &self.newest,
            Shed::Oldest => &self.oldest,
            Shed::Sampled => &self.sampled,
            Shed::Rejected => &self.rejected,
        };
        self.sent.fetch_add(1, Ordering::Release);
        count.fetch_add(1, Ordering::Release);
        Put::Lost(to, record)
    }

    fn spill(&self, order: &mut Order, record: T, at: Timestamp) -> Put<T> {
        let Order { spill: Some(spill), buffer, .. } = order else { return Put::Full(record) };
        self.form.encode(&record, at, buffer);
        match spill.push(buffer) {
            Ok(true) => {
                self.sent.fetch_add(1, Ordering::Release);
                self.spilled.store(true, Ordering::Release);
                // The reader may have made room before it could know.
                self.refill.ring();
                Put::In(None)
            }
            Ok(false) => Put::Full(record),
            Err(cause) => Put::Refused(cause, record),
        }
    }

    /// How many records wait in memory.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether more waits in the file.
    pub(super) fn has_spilled(&self) -> bool {
        self.spilled.load(Ordering::Acquire)
    }

    /// Takes out up to `most` records whose numbers are below `below`. The shard does not wait where a record is being put in this moment.
    pub(super) fn take(&self, most: usize, below: u64, into: &mut VecDeque<Item<T>>) {
        let mut items = match self.items.try_lock() {
            Ok(items) => items,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let most = most.min(items.len());
        let ready = match items.get(most.wrapping_sub(1)) {
            // Numbers rise: where the last one is below, all are.
            Some(last) if last.seq >= below => items.partition_point(|item| item.seq < below),
            _ => most,
        };
        into.extend(items.drain(..ready));
        let left = items.len();
        self.len.store(left, Ordering::Release);
        drop(items);
        if ready > 0 {
            self.room.ring();
            if left <= self.capacity / 2 && self.has_spilled() {
                self.refill.ring();
            }
        }
    }

    /// Gives records back that were taken out and not handed out: they are the first again.
    pub(super) fn give_back(&self, taken: VecDeque<Item<T>>) {
        let mut items = self.items();
        taken.into_iter().rev().for_each(|item| items.push_front(item));
        self.len.store(items.len(), Ordering::Release);
    }

    /// Under the lock that keeps everybody from sending: says from which record of the journal on the job goes on, which first forgets what
    /// waits of earlier ones; and gives the number of the first that waits, or will.
    pub(super) fn resume<E>(&self, from: impl FnOnce(&Journal) -> Result<u64, E>) -> Result<[u64; 2], E> {
        let order = self.order();
        let journal = order.journal.as_ref().expect("the journal is opened before the job's shards are");
        let from = from(journal)?;
        let mut items = self.items();
        while items.front().is_some_and(|item| item.seq < from) {
            items.pop_front();
        }
        self.len.store(items.len(), Ordering::Release);
        Ok([from, items.front().map_or(journal.next(), |item| item.seq)])
    }

    /// Moves records from the file back into memory, as far as there is room, and says how many. `arm` is woken when there may be more to
    /// move.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn refill(&self, arm: &Waker) -> Result<usize, JournalError> {
        self.refill.arm(arm);
        let mut order = self.order();
        let Order { spill: Some(spill), .. } = &mut *order else { return Ok(0) };
        let mut batch = Vec::new();
        spill.pop(self.capacity.saturating_sub(self.len()), |bytes| {
            let (at, record) = self.form.decode(bytes)?;
            batch.push(Item { seq: 0, at, record });
            Ok(())
        })?;
        let moved = batch.len();
        let mut items = self.items();
        items.extend(batch);
        self.len.store(items.len(), Ordering::Release);
        drop(items);
        // Last: whoever sees this sees the records.
        self.spilled.store(!spill.is_empty(), Ordering::Release);
        if moved > 0 {
            // There is room in the file.
            self.room.ring();
        }
        Ok(moved)
    }

    /// Spilled records cannot be read back.
    pub(super) fn fail(&self, error: JournalError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.failed.store(true, Ordering::Release);
    }

    /// Why spilled records cannot be read back, if they cannot. Said once.
    pub(super) fn failure(&self) -> Option<JournalError> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What was sent and lost; what was taken is to be added.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger {
            dropped_newest: self.newest.load(Ordering::Acquire),
            dropped_oldest: self.oldest.load(Ordering::Acquire),
            sampled_out: self.sampled.load(Ordering::Acquire),
            rejected: self.rejected.load(Ordering::Acquire),
            sent: self.sent.load(Ordering::Acquire),
            ..Ledger::default()
        }
    }

    /// Nothing is taken out any more.
    pub(super) fn close(&self) {
        // With it goes its lock; another job may open it.
        self.order().journal = None;
        self.room.ring();
        self.refill.ring();
    }
}

impl Order {
    /// Appends a record to the journal, where there is one.
    fn keep<T: Record>(
        &mut self,
        form: &Form<T>,
        record: &T,
        at: Timestamp,
    ) -> Result<Option<u64>, JournalError> {
        let Some(journal) = &self.journal else { return Ok(None) };
        form.encode(record, at, &mut self.buffer);
        journal.append(&self.buffer).map(Some)
    }
}
