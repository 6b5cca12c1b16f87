//! How a job ended: waited for by a thread, or by whatever polls futures.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{JobError, Summary};
use crate::runtime::wake::wake_a_stranger;

/// Where the control thread puts the result.
#[derive(Default)]
pub(super) struct ResultSlot {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    result: Option<Result<Summary, JobError>>,
    /// Somebody has got it.
    taken: bool,
    waker: Option<Waker>,
}

impl State {
    fn take(&mut self) -> Option<Result<Summary, JobError>> {
        if self.taken {
            let message = "the result of the job has been given to somebody else already".to_owned();
            return Some(Err(JobError::Engine { message }));
        }
        let result = self.result.take();
        self.taken = result.is_some();
        result
    }
}

impl ResultSlot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing runs under it that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job has ended.
    pub(super) fn put(&self, result: Result<Summary, JobError>) {
        let mut state = self.lock();
        state.result = Some(result);
        let waker = state.waker.take();
        drop(state);
        self.arrived.notify_all();
        waker.into_iter().for_each(wake_a_stranger);
    }

    /// Blocks until it has.
    pub(super) fn wait(&self) -> Result<Summary, JobError> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.take() {
                return result;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The end of a job, as a future that any executor can poll: what [`JobHandle::result`](super::JobHandle::result) gives.
#[must_use = "a future does nothing unless it is awaited; the job runs anyway"]
pub struct JobResult(pub(super) Arc<ResultSlot>);

impl Future for JobResult {
    type Output = Result<Summary, JobError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match state.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
