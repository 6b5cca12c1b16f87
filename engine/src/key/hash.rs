//! The two hashes of keys. Both are part of the format: checkpoints hold them, and the tests pin them with fixed vectors.
//!
//! - [`mix`], for encodings of at most eight bytes: Pelle Evensen's *moremur* finaliser (2019; after Stafford's variants of
//!   MurmurHash3's fmix64), with the seed added before the first and before the second multiplication. It is a bijection, and all
//!   output bits, the top ones that choose the shard and the low byte that tags a place in a page, depend on all input bits.
//! - [`of_bytes`], for all others: XXH3 with 64 bits and a seed, whose output is stable since xxHash 0.8.0
//!   (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The widest encoding that the bijection takes.
pub(super) const WORD_BYTES: usize = 8;

const FIRST: u64 = 0x3C79_AC49_2BA7_B653;
const SECOND: u64 = 0x1C69_B3F7_4AC4_AE35;
const FIRST_INVERSE: u64 = inverse(FIRST);
const SECOND_INVERSE: u64 = inverse(SECOND);

/// The seeded bijection.
#[inline]
pub(super) const fn mix(word: u64, seed: u64) -> u64 {
    let mut x = word ^ seed;
    x ^= x >> 27;
    x = x.wrapping_mul(FIRST);
    x ^= x >> 33;
    x ^= second_seed(seed);
    x = x.wrapping_mul(SECOND);
    x ^ (x >> 27)
}

/// The inverse of [`mix`] under the same seed.
#[inline]
pub(super) const fn unmix(hash: u64, seed: u64) -> u64 {
    let mut x = unshift_27(hash);
    x = x.wrapping_mul(SECOND_INVERSE);
    x ^= second_seed(seed);
    x ^= x >> 33;
    x = x.wrapping_mul(FIRST_INVERSE);
    unshift_27(x) ^ seed
}

/// The hash of an encoding of any length.
#[inline]
pub(super) fn of_bytes(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

/// The seed's second use: keys that are made to agree up to here must not agree further without knowing the seed.
#[inline]
const fn second_seed(seed: u64) -> u64 {
    seed.rotate_left(32)
}

/// The inverse of `x ^ (x >> 27)`.
#[inline]
const fn unshift_27(x: u64) -> u64 {
    x ^ (x >> 27) ^ (x >> 54)
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the number of right bits.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut step = 0;
    while step < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        step += 1;
    }
    x
}

const _: () = assert!(FIRST.wrapping_mul(FIRST_INVERSE) == 1 && SECOND.wrapping_mul(SECOND_INVERSE) == 1);
