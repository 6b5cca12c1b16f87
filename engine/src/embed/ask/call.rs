//! A call that is under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::asked::CallId;
use super::desk::Desk;
use super::error::AskError;
use crate::waiting::wait_for;

/// A call that is under way: a future of its reply, for any runtime; or [`Call::wait`] for it. Dropping it gives the reply up; the request may
/// take effect all the same.
#[must_use = "a reply that nobody waits for is forgotten"]
pub struct Call<R: Send + 'static> {
    desk: Arc<Desk<R>>,
    id: CallId,
    /// Whether somebody looks after its deadline.
    watched: bool,
}

impl<R: Send + 'static> Call<R> {
    pub(super) fn new(desk: Arc<Desk<R>>, id: CallId) -> Self {
        Call { desk, id, watched: false }
    }

    /// Which call it is.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Waits for the reply, until the deadline that it was made with.
    ///
    /// # Errors
    /// As [`Ask::call`](super::Ask::call).
    pub fn wait(self) -> Result<R, AskError> {
        match self.desk.deadline(self.id) {
            Some(deadline) => self.wait_until(deadline),
            // The outcome is there.
            None => self.wait_until(Instant::now()),
        }
    }

    pub(super) fn wait_until(self, deadline: Instant) -> Result<R, AskError> {
        let outcome = wait_for(self.desk.options.spin, Some(deadline), |waker| self.look(waker));
        outcome.unwrap_or(Err(AskError::Deadline { sent: true }))
    }

    #[inline]
    pub(super) fn look(&self, waker: Option<&Waker>) -> Poll<Result<R, AskError>> {
        self.desk.look(self.id, waker)
    }

    /// Sees to it that a task that waits for this call is woken at its deadline.
    pub(super) fn watch_deadline(&mut self) {
        if !std::mem::replace(&mut self.watched, true)
            && let Some(deadline) = self.desk.deadline(self.id)
        {
            self.desk.watch_deadline(deadline);
        }
    }
}

impl<R: Send + 'static> Future for Call<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.look(Some(context.waker()));
        if outcome.is_pending() {
            self.watch_deadline();
        }
        outcome
    }
}

impl<R: Send + 'static> Drop for Call<R> {
    fn drop(&mut self) {
        self.desk.close_call(self.id);
    }
}
