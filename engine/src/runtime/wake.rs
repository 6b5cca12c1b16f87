//! Waking a shard that went to sleep because it had nothing to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

/// Wakes one shard, from any thread. Cheap where the shard is awake: one fence and one load.
///
/// A call is never lost: one that comes while the shard is awake keeps it from its next sleep, since the shard may have looked already
/// at what the call is about.
#[derive(Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    state: AtomicU32,
    thread: std::sync::OnceLock<Thread>,
}

/// It was not called since it last woke up.
const AWAKE: u32 = 0;
/// It sleeps, or is about to.
const PARKED: u32 = 1;
/// It was called, and has another look before it sleeps.
const NOTIFIED: u32 = 2;

impl Waker {
    /// The waker of a shard that has not been bound to a thread yet.
    pub fn new() -> Self {
        Waker {
            shared: Arc::new(Shared { state: AtomicU32::new(AWAKE), thread: std::sync::OnceLock::new() }),
        }
    }

    /// Says that the calling thread is the shard's. Called once, before the first [`Waker::park`].
    pub fn bind_to_current_thread(&self) {
        // A second binding would be a driver's mistake; the first one stands.
        let _ = self.shared.thread.set(std::thread::current());
    }

    /// Makes sure that the shard takes another look at its inputs. To be called after the input was made visible.
    #[inline]
    pub fn wake(&self) {
        // Pairs with the fence in `look_again`: either we see that it has begun another look, or that look sees our input.
        fence(Ordering::SeqCst);
        if self.shared.state.load(Ordering::Relaxed) != NOTIFIED {
            self.notify();
        }
    }

    #[cold]
    fn notify(&self) {
        if self.shared.state.swap(NOTIFIED, Ordering::SeqCst) == PARKED
            && let Some(thread) = self.shared.thread.get()
        {
            thread.unpark();
        }
    }

    /// Forgets the calls so far: whoever calls this looks at everything now.
    fn look_again(&self) {
        self.shared.state.store(AWAKE, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Says that the shard wants to sleep. False where it was called since it last woke up.
    fn wants_to_sleep(&self) -> bool {
        let swapped = self.shared.state.compare_exchange(AWAKE, PARKED, Ordering::SeqCst, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        swapped.is_ok()
    }

    /// The first half of [`Waker::park`], for a shard that is simulated: its wish to sleep is known from here on. The simulator asks
    /// for input once more, and lets it sleep until [`Waker::is_notified`].
    pub(crate) fn begin_sleep(&self) {
        self.wants_to_sleep();
    }

    /// Whether a shard that began to sleep was woken.
    pub(crate) fn is_notified(&self) -> bool {
        self.shared.state.load(Ordering::SeqCst) == NOTIFIED
    }

    /// The end of a simulated sleep.
    pub(crate) fn end_sleep(&self) {
        self.look_again();
    }

    /// Sleeps until woken or for `timeout`; not at all where it was woken since it last slept. `nothing_to_do` is asked once more after the
    /// wish to sleep has been made known; where it says no, there is no sleep. Called by the shard's own thread only.
    pub fn park(&self, timeout: Option<Duration>, nothing_to_do: impl FnOnce() -> bool) {
        if self.wants_to_sleep() && nothing_to_do() && self.shared.state.load(Ordering::Relaxed) == PARKED {
            match timeout {
                Some(timeout) => std::thread::park_timeout(timeout),
                None => std::thread::park(),
            }
        }
        self.look_again();
    }
}

impl Default for Waker {
    fn default() -> Self {
        Waker::new()
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waker").field("state", &self.shared.state.load(Ordering::Relaxed)).finish()
    }
}

/// Wakes whoever polls a future of the engine's. A waker is the host's code: that it panics is its own affair, not that of the thread that has
/// brought the news.
pub(crate) fn wake_a_stranger(waker: std::task::Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        tracing::warn!("a waker of the program's panicked; whoever waits for it may wait for ever");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_call_while_awake_keeps_the_shard_from_one_sleep() {
        let waker = Waker::new();
        waker.bind_to_current_thread();
        waker.wake();
        waker.wake();
        // Returns at once, although there is nothing to see.
        waker.park(None, || true);
        let begin = std::time::Instant::now();
        let sleep = Duration::from_millis(20);
        waker.park(Some(sleep), || true);
        assert!(begin.elapsed() >= sleep, "one call is good for one look");
    }

    #[test]
    fn no_call_is_lost_that_the_sleeper_cannot_see_the_reason_of() {
        let waker = Waker::new();
        let posted = Arc::new(AtomicU64::new(0));
        let (sender_waker, sender_posted) = (waker.clone(), posted.clone());
        let rounds = 20_000u64;
        let sleeper = std::thread::spawn(move || {
            waker.bind_to_current_thread();
            while posted.load(Ordering::Acquire) < rounds {
                // It looks before it sleeps, and has nothing to ask once more.
                waker.park(None, || true);
            }
        });
        for i in 1..=rounds {
            sender_posted.store(i, Ordering::Release);
            sender_waker.wake();
        }
        sleeper.join().unwrap();
    }

    #[test]
    fn no_wake_is_lost() {
        let waker = Waker::new();
        let posted = Arc::new(AtomicU64::new(0));
        let (sender_waker, sender_posted) = (waker.clone(), posted.clone());
        let rounds = 20_000u64;
        let sleeper = std::thread::spawn(move || {
            waker.bind_to_current_thread();
            let mut seen = 0;
            while seen < rounds {
                let now = posted.load(Ordering::Acquire);
                if now == seen {
                    waker.park(None, || posted.load(Ordering::Acquire) == seen);
                }
                seen = posted.load(Ordering::Acquire);
            }
        });
        for i in 1..=rounds {
            sender_posted.store(i, Ordering::Release);
            sender_waker.wake();
        }
        sleeper.join().unwrap();
    }
}
