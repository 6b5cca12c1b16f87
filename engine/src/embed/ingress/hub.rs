//! Where the handles of an ingress and the reader in the job meet. It outlives both: handles come and go, and a job that restarts has
//! another reader each time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::Overload;
use super::super::apart::Apart;
use super::super::closing::Closing;
use super::super::lane::{LaneAccount, LaneSender, lane};
use super::super::ledger::Ledger;
use super::super::listener::Listener;
use super::super::ready::{LANES_MAX, ReadySet};
use super::lane_intake::InLane;
use super::options::IngressOptions;
use super::queue::Queue;
use super::refill;
use crate::element::Timestamp;
use crate::job::{JobError, JobStatus};
use crate::journal::Journal;
use crate::record::Record;

/// How many lanes of handles that are gone are kept for handles to come.
const SPARE_LANES: usize = 64;

/// What goes through a lane.
pub(super) enum Message<T> {
    /// A record, and its event time where the caller knows it.
    Record(T, Timestamp),
    /// No more records of this time or an earlier one come from this handle.
    Watermark(Timestamp),
    /// Nothing is to be expected from this handle for a while.
    Idle,
}

/// See the [module](self).
pub(in crate::embed) struct Hub<T> {
    pub(super) name: String,
    pub(super) options: IngressOptions,
    pub(super) closing: Closing,
    pub(super) listener: Listener,
    /// Which lanes have something.
    pub(super) ready: ReadySet,
    lanes: Mutex<Lanes<T>>,
    /// Whether there are lanes that no reader has.
    fresh: AtomicBool,
    handles: AtomicUsize,
    /// How many records readers have handed out; written by the reader.
    pub(super) taken: Apart<AtomicU64>,
    /// What all handles share, where they do.
    pub(super) queue: Option<Queue<T>>,
}

struct Lanes<T> {
    /// The lanes that no reader has.
    fresh: Vec<(usize, InLane<T>)>,
    /// What was sent through each lane; none where the number is free.
    accounts: Vec<Option<Arc<LaneAccount>>>,
    /// Lanes whose handles are gone.
    spare: Vec<Lane<T>>,
    /// What was sent through lanes that are no more.
    retired: Ledger,
}

/// A handle's lane.
pub(super) struct Lane<T> {
    pub(super) number: usize,
    pub(super) sender: LaneSender<Message<T>>,
}

impl<T: Record + Send> Hub<T> {
    pub(in crate::embed) fn new(name: String, options: IngressOptions) -> Self {
        let queue = options.shares_a_queue().then(|| Queue::new(&options));
        let lanes =
            Lanes { fresh: Vec::new(), accounts: Vec::new(), spare: Vec::new(), retired: Ledger::default() };
        Hub {
            name,
            options,
            closing: Closing::default(),
            listener: Listener::default(),
            ready: ReadySet::default(),
            lanes: Mutex::new(lanes),
            fresh: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            taken: Apart::default(),
            queue,
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<T>> {
        // Nothing under it panics halfway.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another handle. `None` where handles share a queue, or there are too many.
    pub(super) fn add_handle(&self) -> Option<Lane<T>> {
        self.handles.fetch_add(1, Ordering::AcqRel);
        if self.queue.is_some() {
            return None;
        }
        let mut lanes = self.lanes();
        if let Some(spare) = lanes.spare.pop() {
            return Some(spare);
        }
        let number = lanes.accounts.iter().position(Option::is_none).unwrap_or(lanes.accounts.len());
        if number == LANES_MAX {
            return None;
        }
        let (sender, receiver) = lane(self.options.capacity);
        if number == lanes.accounts.len() {
            lanes.accounts.push(None);
        }
        lanes.accounts[number] = Some(sender.account.clone());
        lanes.fresh.push((number, InLane::new(receiver)));
        drop(lanes);
        self.fresh.store(true, Ordering::Release);
        Some(Lane { number, sender })
    }

    /// A handle is gone; its lane may serve another one.
    pub(super) fn remove_handle(&self, lane: Option<Lane<T>>) {
        if let Some(mut lane) = lane {
            let number = lane.number;
            // Event time does not wait for it. Where this has no place any more, the reader sees that the lane is left.
            let said = lane.sender.push(Message::Idle).is_ok();
            let mut lanes = self.lanes();
            if said && lanes.spare.len() < SPARE_LANES && self.closing.status().is_none() {
                lanes.spare.push(lane);
            } else {
                drop(lanes);
                drop(lane);
            }
            self.ready.add(number);
        }
        self.handles.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether all handles are gone, so that nothing more comes.
    pub(super) fn is_left(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
    }

    /// Whether there are lanes that no reader has.
    #[inline]
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.load(Ordering::Acquire)
    }

    /// The lanes that no reader has. The shard does not wait where a handle is being made this moment.
    pub(super) fn take_fresh(&self) -> Vec<(usize, InLane<T>)> {
        match self.lanes.try_lock() {
            Ok(mut lanes) => {
                self.fresh.store(false, Ordering::Relaxed);
                std::mem::take(&mut lanes.fresh)
            }
            Err(TryLockError::Poisoned(_)) => std::mem::take(&mut self.lanes().fresh),
            Err(TryLockError::WouldBlock) => Vec::new(),
        }
    }

    /// A reader leaves; the next one goes on with its lanes.
    pub(super) fn give_back(&self, of_reader: impl Iterator<Item = (usize, InLane<T>)>) {
        self.lanes().fresh.extend(of_reader);
        self.fresh.store(true, Ordering::Release);
    }

    /// A lane that was left has been emptied. False where that could not be noted this moment.
    pub(super) fn retire(&self, number: usize) -> bool {
        let Ok(mut lanes) = self.lanes.try_lock() else { return false };
        if let Some(account) = lanes.accounts[number].take() {
            account.add_to(&mut lanes.retired);
        }
        true
    }

    /// How many lanes there are.
    #[cfg(test)]
    pub(super) fn lanes_in_use(&self) -> usize {
        self.lanes().accounts.iter().flatten().count()
    }

    /// What became of all that was sent.
    pub(super) fn ledger(&self) -> Ledger {
        let processed = self.taken.load(Ordering::Acquire);
        let mut ledger = match &self.queue {
            Some(queue) => queue.ledger(),
            None => {
                let lanes = self.lanes();
                let mut ledger = lanes.retired;
                lanes.accounts.iter().flatten().for_each(|account| account.add_to(&mut ledger));
                ledger
            }
        };
        ledger.balance(processed);
        ledger
    }

    /// The job is about to run: opens what its handles need.
    pub(in crate::embed) fn start(self: Arc<Self>, state_dir: Option<&Path>) -> Result<(), JobError> {
        let wrong = |problem: String| JobError::Setting { setting: "ingress", problem };
        let Some(queue) = &self.queue else { return Ok(()) };
        if let Some(options) = &self.options.journal {
            let dir = options.place(&self.name, state_dir).map_err(|error| wrong(error.to_string()))?;
            let journal = Journal::open(&dir, options.journal_settings());
            let journal = journal.map_err(|error| wrong(format!("`{}`: {error}", self.name)))?;
            queue.keep_in(Arc::new(journal));
        }
        if let Overload::Spill { .. } = &self.options.overload {
            refill::spawn(self.clone()).map_err(|error| {
                wrong(format!(
                    "`{}`: cannot start a thread for spilled records: {error}; raise the limit on threads (ulimit -u)",
                    self.name
                ))
            })?;
        }
        Ok(())
    }

    /// The job is over: nothing more is taken, and whoever waits for room is told.
    pub(in crate::embed) fn close(&self, status: JobStatus) {
        self.closing.close(status);
        let mut lanes = self.lanes();
        lanes.spare.clear();
        lanes.accounts.iter().flatten().for_each(|account| account.room.ring());
        drop(lanes);
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}
