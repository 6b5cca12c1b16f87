//! Which calls have been woken: a bit for each, which any thread may set and the shard takes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Wake, Waker};

use crate::runtime::Waker as ShardWaker;

/// See the [module](self).
pub(super) struct Woken {
    shared: Arc<Shared>,
    words: Vec<Arc<Word>>,
}

struct Shared {
    /// Whether there may be a bit somewhere.
    any: AtomicBool,
    shard: ShardWaker,
}

/// The bits of 64 calls.
struct Word {
    bits: AtomicU64,
    shared: Arc<Shared>,
}

/// Sets the bit of one call, and wakes the shard.
struct CallWaker {
    word: Arc<Word>,
    bit: u64,
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Where the bit is set already, whoever set it does the rest.
        if self.word.bits.fetch_or(self.bit, Ordering::AcqRel) & self.bit == 0 {
            self.word.shared.any.store(true, Ordering::Release);
            self.word.shared.shard.wake();
        }
    }
}

impl Woken {
    /// Bits for the calls of an operator on this shard.
    pub(super) fn new(shard: ShardWaker) -> Self {
        Woken { shared: Arc::new(Shared { any: AtomicBool::new(false), shard }), words: Vec::new() }
    }

    /// What wakes the call with this number, which are given one after the other.
    pub(super) fn waker(&mut self, number: usize) -> Waker {
        if number / 64 == self.words.len() {
            let word = Word { bits: AtomicU64::new(0), shared: self.shared.clone() };
            self.words.push(Arc::new(word));
        }
        Waker::from(Arc::new(CallWaker { word: self.words[number / 64].clone(), bit: 1 << (number % 64) }))
    }

    /// Takes back all bits, and notes whose they were.
    pub(super) fn take(&mut self, woken: &mut Vec<usize>) {
        // Read first: mostly there is nothing, and then the line stays shared.
        if !self.shared.any.load(Ordering::Acquire) || !self.shared.any.swap(false, Ordering::AcqRel) {
            return;
        }
        for (number, word) in self.words.iter().enumerate() {
            let mut bits = word.bits.swap(0, Ordering::AcqRel);
            while bits != 0 {
                woken.push(number * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_woken_once_however_often_it_was_called() {
        let mut woken = Woken::new(ShardWaker::new());
        let wakers: Vec<Waker> = (0..130).map(|number| woken.waker(number)).collect();
        let mut taken = Vec::new();
        woken.take(&mut taken);
        assert!(taken.is_empty());
        for number in [129, 0, 64, 0, 129] {
            wakers[number].wake_by_ref();
        }
        woken.take(&mut taken);
        assert_eq!(taken, [0, 64, 129]);
        taken.clear();
        woken.take(&mut taken);
        assert!(taken.is_empty());
    }

    #[test]
    fn no_call_from_another_thread_is_lost() {
        let shard = ShardWaker::new();
        let mut woken = Woken::new(shard.clone());
        let wakers: Vec<Waker> = (0..100).map(|number| woken.waker(number)).collect();
        shard.bind_to_current_thread();
        let waking = std::thread::spawn(move || wakers.iter().for_each(Waker::wake_by_ref));
        let (mut seen, mut taken) = (vec![false; 100], Vec::new());
        while seen.iter().any(|seen| !seen) {
            shard.park(None, || true);
            woken.take(&mut taken);
            taken.drain(..).for_each(|number| seen[number] = true);
        }
        waking.join().unwrap();
    }
}
