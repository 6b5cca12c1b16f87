//! What came out of a run, whatever the order and the thread.

use std::ops::AddAssign;

/// How many results there were, and a sum over all of them. A count that is lost or told twice changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// How many.
    pub count: u64,
    /// Wraps around.
    pub sum: u64,
}

impl Results {
    #[inline(always)]
    fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// A bid went through.
    #[inline(always)]
    pub fn bid(&mut self, price: i64) {
        self.add(price as u64);
    }

    /// A key has been seen so many times.
    #[inline(always)]
    pub fn keyed(&mut self, key: i64, times: u64) {
        self.add((key as u64 + 1).wrapping_mul(times));
    }

    /// A word has been seen so many times.
    #[inline(always)]
    pub fn word(&mut self, word: &[u8], times: u64) {
        self.add(hash(word).wrapping_mul(times));
    }

    /// A key has been seen so many times in the window that begins then.
    #[inline(always)]
    pub fn window(&mut self, key: i64, start_ms: i64, times: u64) {
        self.add((key as u64 + 1).wrapping_mul(times).wrapping_add(start_ms as u64));
    }
}

impl AddAssign for Results {
    fn add_assign(&mut self, other: Results) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// That of Java's strings, in 32 bits, which Java keeps beside a string.
#[inline(always)]
fn hash(word: &[u8]) -> u64 {
    let hash = word.iter().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(*byte)));
    i64::from(hash) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_javas() {
        // What "hello".hashCode() and "polygenelubricants".hashCode() are in Java.
        assert_eq!(hash(b"hello"), 99_162_322);
        assert_eq!(hash(b"polygenelubricants") as i64, i64::from(i32::MIN));
    }

    #[test]
    fn the_order_does_not_matter_and_a_wrong_count_does() {
        let of = |counts: &[(i64, u64)]| {
            let mut results = Results::default();
            counts.iter().for_each(|(key, times)| results.keyed(*key, *times));
            results
        };
        assert_eq!(of(&[(1, 1), (2, 1), (1, 2)]), of(&[(2, 1), (1, 1), (1, 2)]));
        assert_ne!(of(&[(1, 1), (2, 1), (1, 2)]), of(&[(1, 1), (2, 1), (1, 1)]));
        assert_ne!(of(&[(1, 1), (2, 1), (1, 2)]), of(&[(1, 1), (2, 1), (2, 2)]));
    }
}
