//! Where calls and replies meet. It outlives the job's restarts.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::asked::CallId;
use super::call::Call;
use super::deadlines::Deadlines;
use super::error::AskError;
use super::options::{AskOptions, Level};
use super::slot::Slot;
use crate::embed::closing::Closing;
use crate::job::JobStatus;
use crate::waiting::Bell;

/// See the [module](self).
pub(in crate::embed) struct Desk<R> {
    /// Tells its calls from those of any other desk, of this process or an earlier one.
    id: u64,
    pub(super) options: AskOptions,
    slots: Box<[Slot<R>]>,
    free: Mutex<Vec<u32>>,
    /// Rung when a slot is free.
    freed: Bell,
    closing: Closing,
    /// Whether the job makes no checkpoints, so that no reply is ever durable.
    never_durable: AtomicBool,
    deadlines: Arc<Deadlines>,
}

impl<R: Send + 'static> Desk<R> {
    pub(in crate::embed) fn new(options: AskOptions) -> Self {
        let slots = (0..options.in_flight).map(|_| Slot::new()).collect();
        // Those that were used last are used first: they are in the cache.
        let free = (0..options.in_flight as u32).rev().collect();
        Desk {
            id: crate::job::random(),
            options,
            slots,
            free: Mutex::new(free),
            freed: Bell::default(),
            closing: Closing::default(),
            never_durable: AtomicBool::new(false),
            deadlines: Arc::default(),
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call, where one more can be under way; else `waker` is woken when that may be so.
    pub(super) fn open(
        self: &Arc<Self>,
        level: Level,
        deadline: Instant,
        waker: Option<&Waker>,
    ) -> Poll<Result<Call<R>, AskError>> {
        if let Some(status) = self.closing.status() {
            return Poll::Ready(Err(AskError::JobOver { status }));
        }
        if level == Level::Durable && self.never_durable.load(Ordering::Relaxed) {
            let why = "a durable reply waits for a checkpoint, and a job without a state directory makes none; give it one with \
                       Job::state_dir, or ask at Level::Computed";
            return Poll::Ready(Err(AskError::NotSent { why: why.to_owned() }));
        }
        let mut free = self.free().pop();
        if free.is_none()
            && let Some(waker) = waker
        {
            self.freed.arm(waker);
            free = self.free().pop();
        }
        let Some(slot) = free else { return Poll::Pending };
        let generation = self.slots[slot as usize].open(level, deadline);
        let call = Call::new(self.clone(), CallId { desk: self.id, slot, generation });
        // The job may have come to its end meanwhile; then nobody else will say so.
        match self.closing.status() {
            Some(status) => Poll::Ready(Err(AskError::JobOver { status })),
            None => Poll::Ready(Ok(call)),
        }
    }

    /// The same for a task, which waits until the deadline at most.
    pub(super) fn open_by(
        self: &Arc<Self>,
        level: Level,
        deadline: Instant,
        waker: &Waker,
    ) -> Poll<Result<Call<R>, AskError>> {
        let call = self.open(level, deadline, Some(waker));
        if call.is_pending() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(AskError::Deadline { sent: false }));
            }
            self.watch_deadline(deadline);
        }
        call
    }

    /// A call is over.
    pub(super) fn close_call(&self, call: CallId) {
        self.slots[call.slot as usize].close();
        self.free().push(call.slot);
        self.freed.ring();
    }

    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free().len()
    }

    fn slot(&self, call: CallId) -> Option<&Slot<R>> {
        if call.desk == self.id { self.slots.get(call.slot as usize) } else { None }
    }

    /// The level of the reply that a call waits for; none where nobody waits.
    pub(super) fn level(&self, call: CallId) -> Option<Level> {
        self.slot(call)?.level(call.generation)
    }

    /// The reply to a call. Where nobody waits for it, it is forgotten.
    pub(super) fn reply(&self, call: CallId, reply: R) {
        if let Some(slot) = self.slot(call) {
            slot.settle(call.generation, Ok(reply));
        }
    }

    /// What a call has come to.
    pub(super) fn look(&self, call: CallId, waker: Option<&Waker>) -> Poll<Result<R, AskError>> {
        self.slots[call.slot as usize].look(call.generation, waker)
    }

    /// The job's reader is gone: of all requests that it took, none of which is among these, nobody knows what has become.
    pub(super) fn interrupt_all_but(&self, waiting: &HashSet<CallId>) {
        for (number, slot) in self.slots.iter().enumerate() {
            let call = |generation| CallId { desk: self.id, slot: number as u32, generation };
            slot.settle_if(|generation, _| !waiting.contains(&call(generation)), || AskError::Interrupted);
        }
    }

    /// Ends the calls that have waited too long, and says when the next one will have.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        // Tasks that wait for a slot look at the clock themselves.
        self.freed.ring();
        self.slots
            .iter()
            .filter_map(|slot| {
                let is_over = |_, deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
                slot.settle_if(is_over, || AskError::Deadline { sent: true });
                slot.deadline()
            })
            .min()
    }

    /// A task waits for a call, and has no clock of its own.
    pub(super) fn watch_deadline(self: &Arc<Self>, deadline: Instant) {
        self.deadlines.note(deadline, self);
    }

    pub(super) fn deadline(&self, call: CallId) -> Option<Instant> {
        self.slots[call.slot as usize].deadline()
    }

    /// The job makes no checkpoints.
    pub(in crate::embed) fn is_never_durable(&self) {
        self.never_durable.store(true, Ordering::Relaxed);
    }

    /// The job is over: no call has a reply any more.
    pub(in crate::embed) fn close(&self, status: JobStatus) {
        self.closing.close(status);
        for slot in &self.slots {
            slot.settle_if(|_, _| true, || AskError::Interrupted);
        }
        self.freed.ring();
    }
}

impl<R> Drop for Desk<R> {
    fn drop(&mut self) {
        self.deadlines.close();
    }
}
