//! Random numbers that are the same each time.

/// Throws for one thing of a generator: a pure function of the generator's seed and the thing's number (SplitMix64, Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64, thing: u64) -> Self {
        let mut dice = Dice(seed);
        Dice(dice.next() ^ thing.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least) as u64 + 1) as i64
    }

    /// Whether something happens that happens one time in so many.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number from 0 up to 1, which is left out.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_are_even_and_depend_on_the_seed_and_the_thing() {
        let mut counts = [0; 6];
        for thing in 0..6000 {
            counts[Dice::of(1, thing).below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        let throws = |seed, thing| {
            let mut dice = Dice::of(seed, thing);
            [dice.between(-5, 5), dice.between(-5, 5), dice.between(-5, 5), dice.between(-5, 5)]
        };
        assert_eq!(throws(1, 2), throws(1, 2));
        assert_ne!(throws(1, 2), throws(2, 2));
        assert_ne!(throws(1, 2), throws(1, 3));
        assert!(throws(3, 3).iter().all(|throw| (-5..=5).contains(throw)));
        assert!((0..100).all(|thing| (0.0..1.0).contains(&Dice::of(1, thing).fraction())));
    }
}
