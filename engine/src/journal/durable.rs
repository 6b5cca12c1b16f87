//! Waiting until a record survives a power failure.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{JournalError, Shared};
use crate::waiting::{Bell, wait_for};

/// How far a journal is synced, and who waits for it to go on.
#[derive(Debug)]
pub(super) struct SyncedTo {
    next: AtomicU64,
    bell: Bell,
}

impl SyncedTo {
    pub(super) fn new(next: u64) -> Self {
        SyncedTo { next: AtomicU64::new(next), bell: Bell::default() }
    }

    /// All records below are synced.
    pub(super) fn get(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// All records below this one are synced now.
    pub(super) fn raise(&self, next: u64) {
        self.next.fetch_max(next, Ordering::AcqRel);
        self.bell.ring();
    }

    /// Lets all who wait have another look.
    pub(super) fn wake_all(&self) {
        self.bell.ring();
    }
}

/// Becomes ready when a record of a [`Journal`](super::Journal) survives a power failure, or never will because the journal is broken.
#[must_use = "it does nothing unless it is awaited or waited for"]
pub struct Durable {
    shared: Arc<Shared>,
    seq: u64,
}

impl Durable {
    pub(super) fn new(shared: Arc<Shared>, seq: u64) -> Self {
        Durable { shared, seq }
    }

    /// Blocks until it is ready; `None` where that takes longer than `timeout`.
    pub fn wait(self, timeout: Duration) -> Option<Result<(), JournalError>> {
        wait_for(Duration::ZERO, Some(Instant::now() + timeout), |waker| self.look(waker))
    }

    fn look(&self, waker: Option<&Waker>) -> Poll<Result<(), JournalError>> {
        if let Some(waker) = waker {
            self.shared.durable.bell.arm(waker);
        }
        if self.seq < self.shared.durable.get() {
            return Poll::Ready(Ok(()));
        }
        match self.shared.lock().check(&self.shared) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Future for Durable {
    type Output = Result<(), JournalError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.look(Some(context.waker()))
    }
}
