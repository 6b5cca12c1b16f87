//! The newest change of a watched key, on its way to whoever watches it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::WatchError;
use crate::element::Epoch;
use crate::runtime::wake::wake_a_stranger;

/// A checkpoint, and what it has for the key, archived.
pub(super) type RawChange = (Epoch, Option<Vec<u8>>);

/// What comes next: a change, an error, or nothing any more.
pub(super) type Next = Option<Result<RawChange, WatchError>>;

/// Holds one change at most: a newer one takes the place of one that nobody has taken.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What whoever watches was given last. Nothing, before the first time.
    given: Option<Vec<u8>>,
    /// What has come since, if it is something else.
    waiting: Option<RawChange>,
    /// Why there will be no more, where that is worth a word.
    error: Option<WatchError>,
    over: bool,
    waker: Option<Waker>,
}

impl State {
    fn next(&mut self) -> Poll<Next> {
        if let Some((epoch, value)) = self.waiting.take() {
            self.given.clone_from(&value);
            return Poll::Ready(Some(Ok((epoch, value))));
        }
        match self.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None if self.over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing runs under it that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A checkpoint has this for the key.
    pub(super) fn put(&self, epoch: Epoch, value: Option<Vec<u8>>) {
        let mut state = self.lock();
        if state.over || state.waiting.as_ref().is_some_and(|(_, waiting)| *waiting == value) {
            return;
        }
        state.waiting = (state.given != value).then_some((epoch, value));
        if state.waiting.is_some() {
            self.tell(state);
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&self, error: Option<WatchError>) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            state.error = error;
            self.tell(state);
        }
    }

    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        waker.into_iter().for_each(wake_a_stranger);
    }

    /// What comes next, if it is there; otherwise `waker` is woken when it is.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Next> {
        let mut state = self.lock();
        let next = state.next();
        if next.is_pending() {
            state.waker = Some(waker.clone());
        }
        next
    }

    /// Waits for what comes next: so long, or for ever. None where the time is over.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<Next> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Poll::Ready(next) = state.next() {
                return Some(next);
            }
            let waited = match end {
                None => self.changed.wait(state).map_err(PoisonError::into_inner),
                Some(end) => {
                    let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    let waited = self.changed.wait_timeout(state, left);
                    waited.map(|(state, _)| state).map_err(|poisoned| poisoned.into_inner().0)
                }
            };
            state = waited.unwrap_or_else(|state| state);
        }
    }

    /// Whether all has been given that there was.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.over && state.waiting.is_none() && state.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Errors can be compared by their words only.
    fn said(next: Poll<Next>) -> Poll<Option<Result<(u64, Option<u8>), String>>> {
        next.map_ok(|(epoch, value)| (epoch.0, value.map(|value| value[0])))
            .map_err(|error| error.to_string())
    }

    fn change(epoch: u64, value: Option<u8>) -> Poll<Option<Result<(u64, Option<u8>), String>>> {
        Poll::Ready(Some(Ok((epoch, value))))
    }

    #[test]
    fn the_newest_change_is_given_and_what_is_the_same_is_none() {
        let (slot, waker) = (Slot::default(), Waker::noop());
        let put = |epoch, value: Option<u8>| slot.put(Epoch(epoch), value.map(|value| vec![value]));
        put(1, None);
        assert_eq!(said(slot.poll(waker)), Poll::Pending, "it was not there before either");
        put(2, Some(5));
        put(3, Some(5));
        assert_eq!(said(slot.poll(waker)), change(2, Some(5)), "since then it is so");
        put(4, Some(6));
        put(5, None);
        assert_eq!(said(slot.poll(waker)), change(5, None));
        put(6, Some(7));
        put(7, None);
        assert_eq!(said(slot.poll(waker)), Poll::Pending, "it is what was given last");
    }

    #[test]
    fn the_last_change_comes_before_the_end_and_the_error() {
        let (slot, waker) = (Slot::default(), Waker::noop());
        slot.put(Epoch(1), Some(vec![1]));
        slot.end(Some(WatchError::BatchMode));
        slot.end(None);
        slot.put(Epoch(2), Some(vec![2]));
        assert!(!slot.is_over());
        assert_eq!(said(slot.poll(waker)), change(1, Some(1)));
        assert_eq!(said(slot.poll(waker)), Poll::Ready(Some(Err(WatchError::BatchMode.to_string()))));
        assert!(slot.is_over());
        assert!(matches!((slot.poll(waker), slot.wait(None)), (Poll::Ready(None), Some(None))));
    }

    #[test]
    fn whoever_waits_is_woken_once_for_each_thing_that_comes() {
        let (slot, counts) = (Slot::default(), Arc::new(Counts::default()));
        let waker = Waker::from(counts.clone());
        assert_eq!(said(slot.poll(&waker)), Poll::Pending);
        slot.put(Epoch(1), None);
        assert_eq!(counts.0.load(Ordering::Relaxed), 0, "there is nothing to be had");
        slot.put(Epoch(1), Some(vec![1]));
        slot.put(Epoch(2), Some(vec![2]));
        assert_eq!(counts.0.load(Ordering::Relaxed), 1, "it has not come back since");
        assert_eq!(said(slot.poll(&waker)), change(2, Some(2)));
        assert_eq!(said(slot.poll(&waker)), Poll::Pending);
        slot.end(None);
        assert_eq!(counts.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_thread_waits_so_long_or_until_something_comes() {
        let slot = Slot::default();
        assert!(slot.wait(Some(Duration::from_millis(1))).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.wait(None));
            slot.put(Epoch(1), Some(vec![1]));
            assert_eq!(said(Poll::Ready(waiting.join().unwrap().unwrap())), change(1, Some(1)));
        });
    }
}
