//! Who takes what is sent: a shard, another one after a restart, or for a while nobody.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};

use crate::runtime::Waker;

/// The shard that is to be woken.
#[derive(Debug, Default)]
pub(super) struct Listener {
    generation: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// What a sender knows of the listener, so that it need not ask each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    generation: u64,
    waker: Option<Waker>,
}

impl Listener {
    /// This shard listens from now on. It looks at everything after this.
    pub(super) fn attach(&self, waker: Waker) {
        self.replace(Some(waker));
    }

    /// Nobody listens any more.
    pub(super) fn detach(&self) {
        self.replace(None);
    }

    fn replace(&self, waker: Option<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
        self.generation.fetch_add(1, Ordering::SeqCst);
        // Either the first look of the new listener sees what was sent, or the sender sees the new generation.
        fence(Ordering::SeqCst);
    }

    /// Wakes the listener, after something was made visible to it.
    #[inline]
    pub(super) fn wake(&self, known: &mut Known) {
        if self.generation.load(Ordering::SeqCst) != known.generation {
            self.learn(known);
        }
        if let Some(waker) = &known.waker {
            waker.wake();
        }
    }

    #[cold]
    fn learn(&self, known: &mut Known) {
        // The generation first: a waker that is newer than it says is learned once more.
        known.generation = self.generation.load(Ordering::SeqCst);
        known.waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
    }
}
