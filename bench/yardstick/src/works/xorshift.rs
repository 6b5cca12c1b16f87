//! Marsaglia's xorshift of 64 bits (13, 7, 17).

/// A sequence of random numbers, the same in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xorshift(u64);

impl Xorshift {
    /// The sequence of a partition.
    pub fn of_partition(partition: u64) -> Xorshift {
        Xorshift(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(partition + 1))
    }

    /// Goes on from a state that was kept.
    pub fn at(state: u64) -> Xorshift {
        Xorshift(state)
    }

    /// From which it goes on.
    pub fn state(&self) -> u64 {
        self.0
    }

    /// The next number.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        let mut x = self.0;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0 = x;
        x
    }
}

/// A number below `bound`, uniform, of the lower 63 bits: the product that Java has, too.
#[inline(always)]
pub fn below(bound: u64, random: u64) -> u64 {
    ((u128::from(random & (u64::MAX >> 1)) * (u128::from(bound) << 1)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_their_bound_and_reach_all() {
        let mut random = Xorshift::of_partition(0);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[below(10, random.next()) as usize] += 1;
        }
        assert!(seen.iter().all(|times| (800..1200).contains(times)), "{seen:?}");
        assert_eq!(below(10, u64::MAX), 9);
        assert_eq!(below(10, 1 << 63), 0);
    }

    #[test]
    fn a_kept_state_goes_on() {
        let mut random = Xorshift::of_partition(3);
        random.next();
        let mut again = Xorshift::at(random.state());
        assert_eq!(again.next(), random.next());
    }
}
