//! The clock of tasks that wait for replies: futures have none of their own, and the runtime that polls them may be any.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::desk::Desk;
use crate::runtime::beside::spawn_beside;

/// A thread that sleeps until the next call has waited too long. There is none before a task waits.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When the thread looks next; none: when it is told.
    next: Option<Instant>,
    runs: bool,
    closed: bool,
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is to be over by then.
    pub(super) fn note<R: Send + 'static>(self: &Arc<Self>, deadline: Instant, desk: &Arc<Desk<R>>) {
        let mut state = self.lock();
        if !state.runs {
            let (clock, desk) = (self.clone(), Arc::downgrade(desk));
            let run = move || clock.run(|now| desk.upgrade().map(|desk| desk.expire(now)));
            match spawn_beside("mill-deadlines", run) {
                Ok(_) => state.runs = true,
                // Replies come all the same; the next call tries again.
                Err(error) => {
                    tracing::error!("cannot start the thread that ends calls at their deadlines: {error}")
                }
            }
        }
        if state.next.is_none_or(|next| deadline < next) {
            state.next = Some(deadline);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// The thread. `expire` ends what is over and says when it is to be called again; `None` where the desk is gone.
    fn run(&self, expire: impl Fn(Instant) -> Option<Option<Instant>>) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            match state.next {
                Some(next) if next <= now => {
                    state.next = None;
                    drop(state);
                    let Some(next) = expire(now) else { return };
                    state = self.lock();
                    // What was noted meanwhile counts, too.
                    state.next = state.next.into_iter().chain(next).min();
                }
                Some(next) => {
                    let waited = self.changed.wait_timeout(state, next - now);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}
