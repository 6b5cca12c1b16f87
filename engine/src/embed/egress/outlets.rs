//! Where the shards that write an egress and the handles that receive meet. It outlives both.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::apart::Apart;
use super::super::closing::Closing;
use super::super::lane::{LaneReceiver, LaneSender, lane};
use super::options::EgressOptions;
use crate::job::JobStatus;
use crate::runtime::Waker;
use crate::waiting::Bell;

/// See the [module](self).
pub(in crate::embed) struct Outlets<T> {
    pub(in crate::embed) name: String,
    pub(in crate::embed) options: EgressOptions,
    pub(super) closing: Closing,
    /// Rung when something was written, and when nothing more will be.
    pub(super) arrived: Bell,
    lanes: Apart<Mutex<Lanes<T>>>,
    pub(super) handles: AtomicUsize,
    pub(super) dropped: AtomicU64,
}

/// The lanes of the shards, as the receivers take turns at them.
struct Lanes<T> {
    open: Vec<OutLane<T>>,
    /// Whose turn it is.
    turn: usize,
    /// What shards that have ended had no room for. Each was full then, so that its lane is emptied before.
    rest: VecDeque<T>,
}

struct OutLane<T> {
    receiver: LaneReceiver<T>,
    /// The shard that waits for room.
    shard: Waker,
}

impl<T: Send> Outlets<T> {
    pub(in crate::embed) fn new(name: String, options: EgressOptions) -> Self {
        Outlets {
            name,
            options,
            closing: Closing::default(),
            arrived: Bell::default(),
            lanes: Apart(Mutex::new(Lanes { open: Vec::new(), turn: 0, rest: VecDeque::new() })),
            handles: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane for a shard.
    pub(super) fn open(&self, shard: Waker) -> LaneSender<T> {
        let (sender, receiver) = lane(self.options.capacity);
        self.lanes().open.push(OutLane { receiver, shard });
        sender
    }

    /// The next record, of each shard in turn.
    pub(super) fn take(&self) -> Option<T> {
        let mut lanes = self.lanes();
        let Lanes { open, turn, rest } = &mut *lanes;
        for _ in 0..open.len() {
            *turn = (*turn + 1) % open.len();
            let lane = &mut open[*turn];
            if let Some(record) = lane.receiver.pop() {
                lane.receiver.made_room();
                // A shard that is awake costs a fence and a load.
                lane.shard.wake();
                return Some(record);
            }
        }
        // A lane that its shard has left is dropped once it is seen to be empty after that.
        open.retain(|lane| !lane.receiver.is_abandoned() || lane.receiver.has_any());
        rest.pop_front()
    }

    /// Whether all has been received that ever will be: how the job ended then.
    pub(super) fn is_over(&self) -> Option<JobStatus> {
        let status = self.closing.status()?;
        // Asked after the status: shards are gone when it is set, and what they wrote is here.
        let lanes = self.lanes();
        (lanes.rest.is_empty() && lanes.open.iter().all(|lane| !lane.receiver.has_any())).then_some(status)
    }

    /// What a shard that has ended had no room for.
    pub(super) fn add_rest(&self, rest: VecDeque<T>) {
        self.lanes().rest.extend(rest);
    }

    /// Whether nobody receives.
    pub(super) fn is_left(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
    }

    /// A handle is gone. A shard that waits for it to make room need not any more.
    pub(super) fn remove_handle(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.lanes().open.iter().for_each(|lane| lane.shard.wake());
        }
    }

    /// The job is over.
    pub(in crate::embed) fn close(&self, status: JobStatus) {
        self.closing.close(status);
        self.arrived.ring();
    }
}

/// Shared by handles and sinks.
pub(super) type Shared<T> = Arc<Outlets<T>>;
