//! Sub-keys: what lies in a table once per key of the stream and something more, such as a timer's timestamp, a window, or the
//! number of an element.
//!
//! # Stored bytes
//!
//! ```text
//! 0            w          w + 8
//! +-----------+-----------+--------------------------------------------+
//! | part      | hash (8)  | the key's encoding, if it is not its hash  |
//! +-----------+-----------+--------------------------------------------+
//! ```
//!
//! The part has a fixed width `w`, or tells by itself where it ends. The hash is that of the stream's key, so that its other state is reached without hashing again.
//!
//! # Hash
//!
//! The leading bits, those of the key group, are those of the stream's key: sub-keys lie on the shard of their key, and ranges of
//! hashes hold the same keys in every table. All other bits depend on the part and on the whole hash of the key: the sub-keys of one
//! key spread over the pages of its key group.
#![allow(unsafe_code)] // the promises of `Key` are made here

use super::hash::{mix, of_bytes};
use super::part::{KeyText, cut_array};
use super::{HashSeed, Key, KeyPart, KeyShape, KeySink};
use crate::element::{KEY_GROUPS, KeyHash};
use crate::record::{Layout, key_layout};
use crate::schema::{KeySchema, Schema};

/// How many leading bits of a hash name its key group.
const GROUP_BITS: u32 = KEY_GROUPS.trailing_zeros();
const HASH_BYTES: usize = 8;

/// A key `K` of the stream together with a part `S`, whose encoding is not empty.
///
/// Tables of sub-keys are used through [`Sub::encode_parts`] and [`Sub::split`], with keys as they travel: a hash and an encoding.
///
/// ```
/// use millstream_engine::key::{HashSeed, Key, Sub};
///
/// let hash = "ada".hash(HashSeed(42));
/// let mut bytes = Vec::new();
/// let sub_hash = Sub::<str, i64>::encode_parts(hash, b"ada", &1700, &mut bytes);
///
/// assert_eq!(sub_hash.group(), hash.group());
/// assert_eq!(Sub::<str, i64>::split(&bytes), (1700, hash, &b"ada"[..]));
/// assert_eq!(Sub::<str, i64>::decode(sub_hash, &bytes, HashSeed(42)), (hash, "ada".to_owned(), 1700));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sub<K: ?Sized, S> {
    hash: KeyHash,
    part: S,
    key: K,
}

impl<K: Key, S: KeyPart> Sub<K, S> {
    /// The sub-key of a key, under the job's seed.
    pub fn new(key: K, part: S, seed: HashSeed) -> Self {
        Sub { hash: key.hash(seed), part, key }
    }
}

impl<K: Key + ?Sized, S: KeyPart> Sub<K, S> {
    /// The width of the part, where it is fixed.
    const PART_BYTES: Option<usize> = match S::WIDTH {
        Some(0) => panic!("the part of a sub-key has at least one byte"),
        width => width,
    };

    /// Puts the stored bytes into `out`, in place of what is there, and gives the sub-key's hash. `hash` and `key` are those of the
    /// stream's key, as they travel in frames.
    #[inline]
    pub fn encode_parts(hash: KeyHash, key: &[u8], part: &S, out: &mut Vec<u8>) -> KeyHash {
        out.clear();
        part.put(out);
        debug_assert!(Self::PART_BYTES.is_none_or(|width| out.len() == width));
        out.extend_from_slice(&hash.0.to_le_bytes());
        out.extend_from_slice(key);
        Self::hash_parts(hash, part)
    }

    /// The hash of a sub-key.
    #[inline]
    pub fn hash_parts(hash: KeyHash, part: &S) -> KeyHash {
        const { assert!(!matches!(Self::PART_BYTES, Some(0))) };
        let mut words = Words { hash: hash.0, word: 0, bits: 0 };
        part.put(&mut words);
        words.with_group_of(hash)
    }

    /// What [`Sub::encode_parts`] was given: the part, and hash and encoding of the stream's key.
    #[inline]
    pub fn split(mut bytes: &[u8]) -> (S::Owned, KeyHash, &[u8]) {
        let part = S::take(&mut bytes);
        let hash = KeyHash(u64::from_le_bytes(cut_array(&mut bytes)));
        (part, hash, bytes)
    }

    /// Whether stored bytes are those of a sub-key of this key of the stream.
    #[inline]
    pub fn is_of(bytes: &[u8], hash: KeyHash, key: &[u8]) -> bool {
        let ends = bytes.strip_suffix(key).is_some_and(|rest| rest.ends_with(&hash.0.to_le_bytes()));
        // A key of variable width may end as another one does together with its hash.
        ends && (!matches!(K::SHAPE, KeyShape::Var) || {
            let (_, of_hash, of_key) = Self::split(bytes);
            (of_hash, of_key) == (hash, key)
        })
    }

    /// The part of stored bytes alone.
    #[inline]
    pub fn part(mut bytes: &[u8]) -> S::Owned {
        S::take(&mut bytes)
    }
}

/// Mixes the words of an encoding into a hash, one after the other: each is hashed with what came before it as the seed.
struct Words {
    hash: u64,
    word: u64,
    bits: u32,
}

impl Words {
    #[inline]
    fn finish(self) -> u64 {
        if self.bits > 0 { mix(self.word, self.hash) } else { self.hash }
    }

    /// The hash, in the key group of a key's.
    #[inline]
    fn with_group_of(self, hash: KeyHash) -> KeyHash {
        let below = u64::MAX >> GROUP_BITS;
        KeyHash((hash.0 & !below) | (self.finish() >> GROUP_BITS))
    }
}

impl KeySink for Words {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.bits == 0
            && let Ok(word) = bytes.try_into()
        {
            self.hash = mix(u64::from_le_bytes(word), self.hash);
            return;
        }
        for &byte in bytes {
            self.word |= u64::from(byte) << self.bits;
            self.bits += 8;
            if self.bits == u64::BITS {
                *self = Words { hash: mix(self.word, self.hash), word: 0, bits: 0 };
            }
        }
    }
}

// SAFETY: the part has a fixed width, or no encoding of it is the beginning of another one; so the stored bytes tell part, hash and key apart, and with them the sub-key is given; where the
// key's encoding is empty, its hash is a bijection of it. The width is that of the three together. Hash and bytes are functions of
// part, key and seed that are the same everywhere.
unsafe impl<K: Key + ?Sized, S: KeyPart> Key for Sub<K, S> {
    type Owned = (KeyHash, K::Owned, S::Owned);

    const SHAPE: KeyShape = match (K::SHAPE, Self::PART_BYTES) {
        (KeyShape::InHash, Some(part)) => KeyShape::Fixed(part + HASH_BYTES),
        (KeyShape::Fixed(width), Some(part)) => KeyShape::Fixed(part + HASH_BYTES + width),
        (KeyShape::Var, _) | (_, None) => KeyShape::Var,
    };

    /// The seed is the one that the sub-key was made with.
    #[inline]
    fn hash(&self, _: HashSeed) -> KeyHash {
        Self::hash_parts(self.hash, &self.part)
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.part.put(out);
        out.extend_from_slice(&self.hash.0.to_le_bytes());
        self.key.encode(out);
    }

    #[inline]
    fn decode(_: KeyHash, bytes: &[u8], seed: HashSeed) -> Self::Owned {
        let (part, hash, key) = Self::split(bytes);
        (hash, K::decode(hash, key, seed), part)
    }

    fn show(_: KeyHash, bytes: &[u8], seed: HashSeed) -> String {
        let mut part = KeyText::default();
        S::show(&mut &bytes[..], &mut part);
        let (_, hash, key) = Self::split(bytes);
        format!("{} with {}", K::show(hash, key, seed), part.into_string())
    }

    fn layout() -> Layout {
        let (key, part) = (K::layout(), key_layout(S::describe));
        let fingerprint = of_bytes(&part.fingerprint.to_le_bytes(), key.fingerprint);
        Layout { text: format!("{} with {}", key.text, part.text), fingerprint }
    }

    fn schema() -> KeySchema {
        KeySchema { key: K::schema().key, part: Some(Schema::of(S::key_type)) }
    }
}

/// The hash of a sub-key, for those who have only the encoding of its part.
pub(crate) fn hash_sub_key(hash: KeyHash, part: &[u8]) -> KeyHash {
    let mut words = Words { hash: hash.0, word: 0, bits: 0 };
    words.put(part);
    words.with_group_of(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::arena::{Arena, ArenaConfig, StateName};
    use crate::state::Table;

    const SEED: HashSeed = HashSeed(0x5EED);

    /// A sub-key made from parts is the same as one made from values.
    fn round_trip<K, S>(key: K, part: S)
    where
        K: Key + Clone,
        K::Owned: PartialEq + std::fmt::Debug,
        S: KeyPart + Clone,
        S::Owned: PartialEq + std::fmt::Debug,
    {
        let hash = key.hash(SEED);
        let (mut key_bytes, mut bytes, mut encoded) = (Vec::new(), vec![1, 2, 3], Vec::new());
        key.encode(&mut key_bytes);
        let sub_hash = Sub::<K, S>::encode_parts(hash, &key_bytes, &part, &mut bytes);
        assert_eq!(sub_hash.group(), hash.group());

        let sub = Sub::new(key.clone(), part.clone(), SEED);
        sub.encode(&mut encoded);
        assert_eq!((sub.hash(SEED), &encoded), (sub_hash, &bytes));
        if let KeyShape::Fixed(width) = Sub::<K, S>::SHAPE {
            assert_eq!(bytes.len(), width);
        }
        let (of_part, of_hash, of_key) = Sub::<K, S>::split(&bytes);
        assert_eq!((of_hash, of_key), (hash, &key_bytes[..]));
        assert_eq!(of_part, Sub::<K, S>::part(&bytes));
        assert!(Sub::<K, S>::is_of(&bytes, hash, &key_bytes));
        assert!(!Sub::<K, S>::is_of(&bytes, KeyHash(!hash.0), &key_bytes));
        let decoded = Sub::<K, S>::decode(sub_hash, &bytes, SEED);
        assert_eq!(decoded, (hash, K::decode(hash, &key_bytes, SEED), of_part));
    }

    proptest! {
        #[test]
        fn parts_and_values_make_the_same_sub_key(
            word: u64, wide: [u8; 16], text: String, at: i64, window: (i64, i64), number: u32, name: u16,
        ) {
            round_trip(word, at);
            round_trip(wide, window);
            round_trip(text.clone(), number);
            round_trip((text.clone(), word), (at, name));
            round_trip(word, text.clone());
            round_trip(text.clone(), (text, number));
        }
    }

    #[test]
    fn a_key_that_ends_as_another_one_is_not_that_one() {
        let (hash, key) = ("ada".hash(SEED), b"ada");
        let longer = [&b"grace"[..], &hash.0.to_le_bytes(), key].concat();
        let mut bytes = Vec::new();
        Sub::<[u8], u64>::encode_parts(longer.hash(SEED), &longer, &7, &mut bytes);
        assert!(!Sub::<[u8], u64>::is_of(&bytes, hash, key));
        assert!(Sub::<[u8], u64>::is_of(&bytes, longer.hash(SEED), &longer));
    }

    #[test]
    fn hashes_are_pinned() {
        let hash = |of: u64, part: i64| Sub::<u64, i64>::hash_parts(KeyHash(of), &part).0;
        let wide = |of: u64, part: (i64, i64)| Sub::<u64, (i64, i64)>::hash_parts(KeyHash(of), &part).0;
        let actual = [hash(0, 0), hash(0x1234_5678_9abc_def0, -1), wide(7, (1, 2)), wide(7, (2, 1))];
        let expected = [0, 0x123b_b6f8_5c22_0165, 0x0003_266c_e43f_bf56, 0x0003_420a_fec6_0ca9];
        assert_eq!(actual, expected, "{actual:x?}");
    }

    #[test]
    fn the_layout_tells_key_and_part() {
        let layout = Sub::<String, (i64, u16)>::layout();
        assert_eq!(layout.text, "String with (i64, u16)");
        assert_ne!(layout.fingerprint, Sub::<String, (i64, i16)>::layout().fingerprint);
        assert_ne!(layout.fingerprint, Sub::<u64, (i64, u16)>::layout().fingerprint);
    }

    #[test]
    fn the_sub_keys_of_one_key_spread_over_pages() {
        let mut arena = Arena::new(ArenaConfig::new("test")).unwrap();
        let mut table = Table::<Sub<u64, u32>, u64>::new(&mut arena, &StateName::new("test", "list"));
        let hash = 42u64.hash(SEED);
        let (mut bytes, mut hashes) = (Vec::new(), HashSet::new());
        let count = 20_000;
        for n in 0..count {
            let sub_hash = Sub::<u64, u32>::encode_parts(hash, &[], &n, &mut bytes);
            assert!(hashes.insert(sub_hash));
            table.insert(&mut arena, sub_hash, &bytes, &u64::from(n)).unwrap();
        }
        // Entries of 32 bytes, pages two thirds full.
        assert!(arena.pages_in_use() < 260, "{}", arena.pages_in_use());
        let overfull = (0..=26).rev().find(|depth| {
            let prefixes: HashSet<u64> = hashes.iter().map(|hash| hash.0 >> (64 - depth)).collect();
            prefixes.len() < 100
        });
        assert!(overfull.is_some_and(|depth| depth >= 18), "the first 18 bits tell few apart: {overfull:?}");
    }
}
