//! A bell that wakes whoever waits for it.

use std::sync::PoisonError;
use std::task::Waker;

use super::atomic::{AtomicBool, Mutex, MutexGuard, Ordering, fence};
use crate::runtime::wake::wake_a_stranger;

/// Wakes those who wait for something: threads and tasks of any runtime, by their [`Waker`].
///
/// Whoever waits calls [`Bell::arm`], and looks once more before it sleeps; whoever does what they wait for calls [`Bell::ring`] after
/// that has become visible. Then either the last look sees it, or the ring sees the waker.
#[derive(Debug, Default)]
pub struct Bell {
    armed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        // A waker that panics does so after the lock was given back.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes this waker at the next ring. Called before the last look.
    pub fn arm(&self, waker: &Waker) {
        let mut waiting = self.lock();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        self.armed.store(true, Ordering::Relaxed);
        drop(waiting);
        // Pairs with the fence in `ring`.
        fence(Ordering::SeqCst);
    }

    /// Wakes all who wait. Called after what they wait for was made visible.
    #[inline]
    pub fn ring(&self) {
        // Pairs with the fence in `arm`.
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        let waiting = {
            let mut waiting = self.lock();
            self.armed.store(false, Ordering::Relaxed);
            std::mem::take(&mut *waiting)
        };
        waiting.into_iter().for_each(wake_a_stranger);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize};
    use std::task::{Poll, Wake};
    use std::time::Duration;

    use super::*;
    use crate::waiting::wait_for;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_waker_is_woken_once_for_a_ring() {
        let (bell, count) = (Bell::default(), Arc::new(Count(AtomicUsize::new(0))));
        let waker = Waker::from(count.clone());
        bell.ring();
        bell.arm(&waker);
        bell.arm(&waker);
        bell.ring();
        bell.ring();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_ring_is_lost() {
        let (bell, posted) = (Arc::new(Bell::default()), Arc::new(AtomicU64::new(0)));
        let rounds = 20_000;
        let (of_waiter, seen_by_waiter) = (bell.clone(), posted.clone());
        let waiter = std::thread::spawn(move || {
            let mut seen = 0;
            while seen < rounds {
                let look = |waker: Option<&Waker>| {
                    waker.inspect(|waker| of_waiter.arm(waker));
                    match seen_by_waiter.load(Ordering::Acquire) {
                        now if now > seen => Poll::Ready(now),
                        _ => Poll::Pending,
                    }
                };
                seen = wait_for(Duration::ZERO, None, look).expect("no deadline");
            }
        });
        for i in 1..=rounds {
            posted.store(i, Ordering::Release);
            bell.ring();
        }
        waiter.join().unwrap();
    }
}
