//! Work that blocks, on threads beside the shard: for clients that are not asynchronous.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::surroundings::Surroundings;
use crate::runtime::beside::spawn_beside;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// Threads that come when there is work and go when there has been none for a while.
pub(super) struct Pool {
    shared: Arc<Shared>,
    most: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                work();
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, wait) =
                self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.work.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl Pool {
    /// At most so many threads.
    pub(super) fn new(most: usize) -> Self {
        Pool { shared: Arc::default(), most }
    }

    /// Has work done.
    fn submit(&self, work: Work) {
        let mut state = self.shared.lock();
        state.work.push_back(work);
        if state.idle >= state.work.len() || state.threads >= self.most {
            self.shared.changed.notify_one();
            return;
        }
        let shared = self.shared.clone();
        match spawn_beside("mill-blocking", move || shared.run()) {
            Ok(_) => state.threads += 1,
            // Those that are there will come to it.
            Err(_) if state.threads > 0 => {}
            Err(error) => panic!("no thread can be started for work that blocks: {error}"),
        }
    }
}

impl Drop for Pool {
    /// Work that has not begun is not done. That which has is not waited for.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.work.clear();
        self.shared.changed.notify_all();
    }
}

/// Does work that blocks on a thread beside the shard, for a client that knows no futures: the call of an asynchronous operator in which this is
/// awaited goes on with the result. An operator has as many threads on a shard as its capacity allows calls; they come when they are needed.
///
/// A panic in the work is one in the call. Work that has begun is not broken off: when the job stops, or the time of the record is over, it goes on
/// and its result is forgotten.
///
/// ```
/// # use millstream_engine::prelude::*;
/// # use millstream_engine::operator::async_io::blocking;
/// # fn program(flow: &Flow, paths: impl Source<Item = String>) {
/// flow.source("paths", paths)
///     .ordered_wait()
///     .try_call(|path| blocking(move || std::fs::read_to_string(path)))
///     .discard();
/// # }
/// ```
///
/// # Panics
/// It is polled outside of a call of [`ordered_wait`](crate::stream::Stream::ordered_wait) or
/// [`unordered_wait`](crate::stream::Stream::unordered_wait).
pub fn blocking<R, F>(work: F) -> Blocking<F, R>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    Blocking { work: Some(work), handoff: Arc::new(Mutex::new(Handoff { result: None, waker: None })) }
}

/// What [`blocking`] gives.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Blocking<F, R> {
    /// Until it has begun.
    work: Option<F>,
    handoff: Arc<Mutex<Handoff<R>>>,
}

struct Handoff<R> {
    result: Option<Result<R, Box<dyn Any + Send>>>,
    waker: Option<Waker>,
}

// Nothing in it is ever pinned.
impl<F, R> Unpin for Blocking<F, R> {}

impl<R, F> Future for Blocking<F, R>
where
    R: Send + 'static,
    F: FnOnce() -> R + Send + 'static,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let lock = |handoff: &Arc<Mutex<Handoff<R>>>| {
            let mut handoff = handoff.lock().unwrap_or_else(PoisonError::into_inner);
            handoff.waker = Some(context.waker().clone());
            handoff.result.take()
        };
        match lock(&self.handoff) {
            Some(Ok(result)) => return Poll::Ready(result),
            Some(Err(panic)) => resume_unwind(panic),
            None => {}
        }
        if let Some(work) = self.work.take() {
            let handoff = self.handoff.clone();
            Surroundings::at_work("blocking(..)").pool().submit(Box::new(move || {
                let result = catch_unwind(AssertUnwindSafe(work));
                let waker = {
                    let mut handoff = handoff.lock().unwrap_or_else(PoisonError::into_inner);
                    handoff.result = Some(result);
                    handoff.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn threads_come_with_the_work_up_to_as_many_as_may_be() {
        let pool = Pool::new(3);
        let (begun, begins) = channel();
        let (go, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for number in 0..5 {
            let (begun, gate) = (begun.clone(), gate.clone());
            pool.submit(Box::new(move || {
                begun.send(number).unwrap();
                let _ = gate.lock().unwrap().recv();
            }));
        }
        let mut first: Vec<i32> = begins.iter().take(3).collect();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(pool.shared.lock().threads, 3);
        assert!(begins.try_recv().is_err());
        (0..5).for_each(|_| go.send(()).unwrap());
        assert_eq!(begins.iter().take(2).count(), 2);
    }

    #[test]
    fn threads_go_when_the_pool_does() {
        let pool = Pool::new(2);
        let (done, is_done) = channel();
        pool.submit(Box::new(move || done.send(()).unwrap()));
        is_done.recv().unwrap();
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        while shared.upgrade().is_some() {
            std::thread::yield_now();
        }
    }
}
