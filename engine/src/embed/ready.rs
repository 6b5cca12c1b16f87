//! Which of many lanes have something, told without a lock.

use crate::waiting::atomic::{AtomicU64, Ordering, fence};

const BITS: usize = 64;

/// How many lanes a set can tell apart.
pub const LANES_MAX: usize = BITS * BITS;

/// A set of lane numbers that many threads add to and one thread empties. Two levels of bits, so that an empty set is one load.
pub struct ReadySet {
    /// A bit for each word that may have bits.
    summary: AtomicU64,
    words: [AtomicU64; BITS],
}

impl Default for ReadySet {
    fn default() -> Self {
        ReadySet { summary: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl ReadySet {
    /// Adds a lane, after something was put into it.
    #[inline]
    pub fn add(&self, lane: usize) {
        let (word, bit) = (lane / BITS, 1 << (lane % BITS));
        // Either the reader, which empties the set before it looks into the lanes, sees what was put in, or we see that it has.
        fence(Ordering::SeqCst);
        if self.words[word].load(Ordering::SeqCst) & bit == 0 {
            self.words[word].fetch_or(bit, Ordering::SeqCst);
        }
        // The word may be another lane's already, whose adder is yet to say so here.
        if self.summary.load(Ordering::SeqCst) & 1 << word == 0 {
            self.summary.fetch_or(1 << word, Ordering::SeqCst);
        }
    }

    /// Whether it may hold any.
    #[inline]
    pub fn any(&self) -> bool {
        self.summary.load(Ordering::Relaxed) != 0
    }

    /// Takes all lanes out, in order.
    #[inline]
    pub fn take(&self, mut each: impl FnMut(usize)) {
        if !self.any() {
            return;
        }
        let mut words = self.summary.swap(0, Ordering::SeqCst);
        while words != 0 {
            let word = words.trailing_zeros() as usize;
            words &= words - 1;
            let mut bits = self.words[word].swap(0, Ordering::SeqCst);
            while bits != 0 {
                each(word * BITS + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
        // Pairs with the one in `add`.
        fence(Ordering::SeqCst);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec(proptest::option::weighted(0.8, 0..LANES_MAX), 0..200)) {
            let (set, mut model) = (ReadySet::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Some(lane) => {
                        set.add(lane);
                        model.insert(lane);
                    }
                    None => {
                        let mut taken = Vec::new();
                        set.take(|lane| taken.push(lane));
                        prop_assert_eq!(taken, std::mem::take(&mut model).into_iter().collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!(set.any(), !model.is_empty());
            }
        }
    }
}
