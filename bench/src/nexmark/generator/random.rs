//! The random numbers of `java.util.Random`: a linear congruential generator of 48 bits (Knuth, volume 2, section 3.2.1), as its documentation gives it.

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const ADDEND: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;

const STEPS: usize = 256;

/// What so many steps come to: a multiplier and an addend.
const AFTER: [(u64, u64); STEPS] = {
    let mut after = [(1u64, 0u64); STEPS];
    let mut step = 1;
    while step < STEPS {
        let (multiplier, addend) = after[step - 1];
        after[step] = (
            multiplier.wrapping_mul(MULTIPLIER) & MASK,
            addend.wrapping_mul(MULTIPLIER).wrapping_add(ADDEND) & MASK,
        );
        step += 1;
    }
    after
};

/// Gives the numbers that `java.util.Random` gives for the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    #[inline(always)]
    pub fn of(seed: u64) -> Random {
        Random((seed ^ MULTIPLIER) & MASK)
    }

    /// One that goes on where another one was.
    #[inline(always)]
    pub fn at(state: u64) -> Random {
        Random(state & MASK)
    }

    /// Where it is: 48 bits.
    #[inline(always)]
    pub fn state(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn bits(&mut self, bits: u32) -> u32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(ADDEND) & MASK;
        (self.0 >> (48 - bits)) as u32
    }

    /// `nextInt()`.
    #[inline(always)]
    pub fn int(&mut self) -> i32 {
        self.bits(32).cast_signed()
    }

    /// `nextInt(bound)`, for a bound above 0.
    #[inline(always)]
    pub fn below(&mut self, bound: i32) -> i32 {
        let bound = bound.cast_unsigned();
        let mut bits = self.bits(31);
        if bound.is_power_of_two() {
            return ((u64::from(bound) * u64::from(bits)) >> 31) as i32;
        }
        loop {
            let value = bits % bound;
            // The last stretch of numbers is not as long as the bound, and is not used.
            if (bits - value + (bound - 1)).cast_signed() >= 0 {
                return value.cast_signed();
            }
            bits = self.bits(31);
        }
    }

    /// `nextLong()`.
    #[inline(always)]
    pub fn long(&mut self) -> i64 {
        let high = i64::from(self.int()) << 32;
        high.wrapping_add(i64::from(self.int()))
    }

    /// `nextDouble()`.
    #[inline(always)]
    pub fn double(&mut self) -> f64 {
        let high = u64::from(self.bits(26)) << 27;
        (high + u64::from(self.bits(27))) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// The next numbers of [`int`](Random::int). None has to wait for the one before.
    #[inline(always)]
    pub fn ints<const N: usize>(self) -> [i32; N] {
        const { assert!(N < STEPS) };
        std::array::from_fn(|number| {
            let (multiplier, addend) = AFTER[number + 1];
            let state = self.0.wrapping_mul(multiplier).wrapping_add(addend) & MASK;
            ((state >> 16) as u32).cast_signed()
        })
    }

    /// Passes over so many numbers of [`int`](Random::int).
    #[inline]
    pub fn skip(&mut self, numbers: usize) {
        let mut left = numbers;
        while left > 0 {
            let steps = left.min(STEPS - 1);
            let (multiplier, addend) = AFTER[steps];
            self.0 = self.0.wrapping_mul(multiplier).wrapping_add(addend) & MASK;
            left -= steps;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `new java.util.Random(42)`.
    #[test]
    fn numbers_are_those_of_java() {
        let mut random = Random::of(42);
        assert_eq!([random.int(), random.int()], [-1_170_105_035, 234_785_527]);
        assert_eq!([Random::of(42).below(10), Random::of(42).below(16)], [0, 11]);
        assert_eq!(Random::of(42).long(), -5_025_562_857_975_149_833);
        assert_eq!(Random::of(42).double(), 0.727_563_680_032_868_1);
    }

    #[test]
    fn skipping_is_drawing() {
        for numbers in [0, 1, 2, 7, 255, 256, 1000] {
            let (mut drawn, mut skipped) = (Random::of(7), Random::of(7));
            (0..numbers).for_each(|_| {
                drawn.int();
            });
            skipped.skip(numbers);
            assert_eq!(drawn, skipped, "{numbers}");
        }
    }

    #[test]
    fn numbers_at_once_are_those_one_by_one() {
        let mut random = Random::of(7);
        assert_eq!(random.ints::<14>(), std::array::from_fn(|_| random.int()));
    }
}
