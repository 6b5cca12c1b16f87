//! Which records are picked where some are to be.

/// A stream of pseudo-random choices (Marsaglia's xorshift).
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// Another seed makes other choices.
    pub(super) fn new(seed: u64) -> Self {
        // Never 0, where it would stay.
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// True with this probability.
    pub(super) fn takes(&mut self, share: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // 53 bits are what a float can tell apart.
        ((self.0 >> 11) as f64) < share * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_as_many_as_it_is_told() {
        for (share, least, most) in [(0.0, 0, 0), (0.1, 900, 1100), (0.5, 4800, 5200), (1.0, 10_000, 10_000)]
        {
            let mut chance = Chance::new(7);
            let taken = (0..10_000).filter(|_| chance.takes(share)).count();
            assert!((least..=most).contains(&taken), "{taken} of 10000 at {share}");
        }
    }
}
