//! The handles that receive.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::super::error::RecvError;
use super::outlets::Shared;
use crate::waiting::wait_for;

/// Receives records from a job, in any thread and in the tasks of any runtime. Made by [`Job::egress`](crate::job::Job::egress); the job
/// writes it with [`Stream::egress`](crate::stream::Stream::egress).
///
/// Records of one shard come in order. Clones share the records between them: each goes to one of them. When all handles are gone, the
/// job goes on, and its records are dropped and counted.
///
/// What is received is plain output, visible at once: after a failure of the job, records since its last checkpoint come again. See
/// [`EgressOptions::durable`](super::EgressOptions::durable).
pub struct Egress<T: Send> {
    outlets: Shared<T>,
}

impl<T: Send> Egress<T> {
    pub(in crate::embed) fn new(outlets: Shared<T>) -> Self {
        outlets.handles.fetch_add(1, Ordering::AcqRel);
        Egress { outlets }
    }

    /// The name of the egress.
    pub fn name(&self) -> &str {
        &self.outlets.name
    }

    /// Waits for the next record.
    ///
    /// # Errors
    /// The job is over, and all was received.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        let received = wait_for(self.outlets.options.spin, None, |waker| self.look(waker));
        received.expect("there is no deadline")
    }

    /// Waits for the next record, at most this long.
    ///
    /// # Errors
    /// As [`Egress::recv`]; [`RecvError::Empty`] where none came.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        let deadline = Some(Instant::now() + timeout);
        let received = wait_for(self.outlets.options.spin, deadline, |waker| self.look(waker));
        received.unwrap_or_else(|| Err(self.empty()))
    }

    /// The next record, if there is one now.
    ///
    /// # Errors
    /// As [`Egress::recv`]; [`RecvError::Empty`] where there is none.
    pub fn try_recv(&mut self) -> Result<T, RecvError> {
        match self.look(None) {
            Poll::Ready(received) => received,
            Poll::Pending => Err(self.empty()),
        }
    }

    /// The next record, for a task of any runtime. A future that is dropped before it is ready has taken nothing.
    pub fn recv_async(&mut self) -> Recv<'_, T> {
        Recv(self)
    }

    /// The next record, as the `Stream` trait of the futures crate has it: `None` at the end. For
    /// `futures::stream::poll_fn(|context| egress.poll_next(context))`.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.look(Some(context.waker())).map(Result::ok)
    }

    /// How many records were dropped because there was no room, or nobody to receive them.
    pub fn dropped(&self) -> u64 {
        self.outlets.dropped.load(Ordering::Acquire)
    }

    fn empty(&self) -> RecvError {
        RecvError::Empty { egress: self.outlets.name.clone() }
    }

    fn look(&self, waker: Option<&Waker>) -> Poll<Result<T, RecvError>> {
        if let Some(waker) = waker {
            self.outlets.arrived.arm(waker);
        }
        if let Some(record) = self.outlets.take() {
            return Poll::Ready(Ok(record));
        }
        match self.outlets.is_over() {
            Some(status) => Poll::Ready(Err(RecvError::Closed { egress: self.outlets.name.clone(), status })),
            None => Poll::Pending,
        }
    }
}

impl<T: Send> Iterator for Egress<T> {
    type Item = T;

    /// Waits for the next record; `None` when the job is over.
    fn next(&mut self) -> Option<T> {
        self.recv().ok()
    }
}

impl<T: Send> Clone for Egress<T> {
    /// Another handle, that shares the records with this one.
    fn clone(&self) -> Self {
        Egress::new(self.outlets.clone())
    }
}

impl<T: Send> Drop for Egress<T> {
    fn drop(&mut self) {
        self.outlets.remove_handle();
    }
}

impl<T: Send> std::fmt::Debug for Egress<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").field("name", &self.outlets.name).finish_non_exhaustive()
    }
}

/// The next record of an [`Egress`], as a future.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Recv<'a, T: Send>(&'a mut Egress<T>);

impl<T: Send> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.look(Some(context.waker()))
    }
}
