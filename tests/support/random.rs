//! Numbers that look random and come again.

/// SplitMix64, see <https://prng.di.unimi.it/splitmix64.c>.
pub struct Random(u64);

impl Random {
    /// From this seed, or the one in `MILLSTREAM_SEED`; said aloud, so that a failed test can be run again as it was.
    pub fn seeded(default: u64) -> Random {
        let seed =
            std::env::var("MILLSTREAM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default);
        eprintln!("seed {seed} (set MILLSTREAM_SEED for another)");
        Random(seed)
    }

    /// Others, that begin elsewhere.
    pub fn of(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }
}
