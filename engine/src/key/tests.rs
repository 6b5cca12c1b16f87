//! Every kind of key: round trips, injectivity, and the pinned hashes.

use std::collections::HashMap;
use std::fmt::Debug;

use proptest::prelude::*;

use super::hash::{mix, of_bytes, unmix};
use super::{HashSeed, Key, KeyShape, Sub};
use crate::element::KeyHash;

const SEED: HashSeed = HashSeed(0x5EED);

#[derive(Key, Clone, Debug, PartialEq)]
struct Account {
    bank: u16,
    number: u32,
    kind: Kind,
}

#[derive(Key, Clone, Copy, Debug, PartialEq)]
enum Kind {
    Giro = -1,
    Savings = 70_000,
}

#[derive(Key, Clone, Debug, PartialEq)]
struct UserId(u64);

#[derive(Key, Clone, Debug, PartialEq)]
struct Tagged<T> {
    tag: String,
    id: T,
}

fn encoded<K: Key + ?Sized>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode(&mut out);
    out
}

fn round_trip<K: Key<Owned = K> + PartialEq + Debug>(key: &K, seed: HashSeed) {
    let bytes = encoded(key);
    match K::SHAPE {
        KeyShape::InHash => assert!(bytes.is_empty()),
        KeyShape::Fixed(width) => assert_eq!(bytes.len(), width),
        KeyShape::Var => (),
    }
    assert_eq!(K::decode(key.hash(seed), &bytes, seed), *key);
}

/// Keys are the same where, and only where, hash and encoding are.
fn distinguishes<K: Key + PartialEq + Debug>(one: &K, other: &K) {
    let same = encoded(one) == encoded(other) && one.hash(SEED) == other.hash(SEED);
    assert_eq!(same, one == other, "{one:?} {other:?}");
}

type Mixed = (String, Option<u32>, (Vec<u8>, u8), Option<String>);

proptest! {
    #[test]
    fn the_mixer_is_a_bijection(word: u64, seed: u64) {
        prop_assert_eq!(unmix(mix(word, seed), seed), word);
        prop_assert_eq!(mix(unmix(word, seed), seed), word);
    }

    #[test]
    fn keys_come_back(
        seed: u64, word: u64, int: i32, wide: u128, letter: char, flag: bool, text in ".{0,100}", bytes: [u8; 12], mixed: Mixed,
    ) {
        let seed = HashSeed(seed);
        round_trip(&word, seed);
        round_trip(&(word as u8), seed);
        round_trip(&int, seed);
        round_trip(&(word as i64), seed);
        round_trip(&wide, seed);
        round_trip(&(wide as i128), seed);
        round_trip(&letter, seed);
        round_trip(&flag, seed);
        round_trip(&(), seed);
        round_trip(&text, seed);
        round_trip(&text.clone().into_bytes(), seed);
        round_trip(&bytes, seed);
        round_trip(&mixed, seed);
        round_trip(&(word, int), seed);
        round_trip(&(int, int as u8, flag), seed);
        round_trip(&Some(int), seed);
        round_trip(&None::<i32>, seed);
        let kind = if flag { Kind::Giro } else { Kind::Savings };
        round_trip(&Account { bank: word as u16, number: int as u32, kind }, seed);
        round_trip(&UserId(word), seed);
        round_trip(&Tagged { tag: text, id: (word, letter) }, seed);
    }

    #[test]
    fn only_equal_keys_are_equal(one: Mixed, other: Mixed, a in "[ab]{0,3}", b in "[ab]{0,3}", c in "[ab]{0,3}", d in "[ab]{0,3}") {
        distinguishes(&one, &other);
        distinguishes(&one, &one.clone());
        distinguishes(&(a.clone(), b.clone()), &(c.clone(), d.clone()));
        distinguishes(&(Some(a.clone()), Some(b.clone())), &(Some(c), Some(d)));
        distinguishes(&(None, Some(a.clone())), &(Some(a), None));
        distinguishes(&Some(0u32), &None);
    }

    #[test]
    fn borrowed_and_owned_keys_are_the_same(text in ".{0,80}", seed: u64) {
        let seed = HashSeed(seed);
        let (borrowed, bytes): (&str, &[u8]) = (&text, text.as_bytes());
        prop_assert_eq!(str::hash(borrowed, seed), text.hash(seed));
        prop_assert_eq!(encoded(borrowed), encoded(&text));
        prop_assert_eq!(<[u8]>::hash(bytes, seed), bytes.to_vec().hash(seed));
        prop_assert_eq!(encoded(bytes), encoded(&bytes.to_vec()));
    }
}

#[test]
fn shapes_follow_from_widths() {
    assert_eq!(u64::SHAPE, KeyShape::InHash);
    assert_eq!(<(u32, i32)>::SHAPE, KeyShape::InHash);
    assert_eq!(UserId::SHAPE, KeyShape::InHash);
    assert_eq!(Kind::SHAPE, KeyShape::InHash);
    assert_eq!(<[u8; 8]>::SHAPE, KeyShape::InHash);
    assert_eq!(Option::<u64>::SHAPE, KeyShape::Fixed(9));
    assert_eq!(u128::SHAPE, KeyShape::Fixed(16));
    assert_eq!(Account::SHAPE, KeyShape::Fixed(10));
    assert_eq!(<[u8; 20]>::SHAPE, KeyShape::Fixed(20));
    assert_eq!(String::SHAPE, KeyShape::Var);
    assert_eq!(<(u8, String)>::SHAPE, KeyShape::Var);
    assert_eq!(<&'static str>::SHAPE, KeyShape::Var);
}

#[test]
fn encodings_are_pinned() {
    let account = Account { bank: 0x0102, number: 0x0304_0506, kind: Kind::Giro };
    assert_eq!(encoded(&account), [2, 1, 6, 5, 4, 3, 255, 255, 255, 255]);
    assert_eq!(encoded(&("ab".to_owned(), 1u16)), [2, 0, 0, 0, b'a', b'b', 1, 0]);
    assert_eq!(encoded("ab"), *b"ab");
    assert_eq!(encoded(&Some("ab".to_owned())), [1, 2, 0, 0, 0, b'a', b'b']);
    assert_eq!(encoded(&None::<u128>), [0; 17]);
}

/// These values lie in users' checkpoints: they can never change.
#[test]
fn hashes_are_pinned() {
    assert_eq!(0u64.hash(HashSeed(0)), KeyHash(0));
    let integers: Vec<u64> =
        [0u64, 1, 2, u64::MAX, 0x0123_4567_89AB_CDEF].map(|word| mix(word, 0x5EED)).to_vec();
    assert_eq!(
        integers,
        [
            11744749745963988271,
            10766697159055594794,
            14682693980277962913,
            4000307512886240406,
            4417847490129109560
        ]
    );
    // An integer's hash is that of its bytes, whatever its width.
    assert_eq!(7u8.hash(SEED), 7u64.hash(SEED));
    assert_eq!((7u32, 9u32).hash(SEED), (7u64 | 9 << 32).hash(SEED));
    assert_eq!((-1i32).hash(SEED), 0xFFFF_FFFFu64.hash(SEED));
    assert_eq!('a'.hash(SEED), 97u64.hash(SEED));
    // XXH3's own vectors: the empty input is in its specification's test suite.
    assert_eq!(of_bytes(b"", 0), 0x2D06_8005_38D3_94C2);
    let long: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let texts = [&b""[..], b"a", b"millstream", &long[..100], &long[..200], &long];
    let texts: Vec<u64> = texts.map(|text| of_bytes(text, 0x5EED)).to_vec();
    assert_eq!(
        texts,
        [
            5954553201876474630,
            7242808480342274579,
            13890458995904434128,
            1706515804817501060,
            16855115406566793191,
            1549532100455266514
        ]
    );
}

#[test]
fn every_bit_of_an_integer_changes_half_of_the_hash() {
    const SAMPLES: u64 = 4096;
    let mut flips = vec![[0u32; 64]; 64];
    for sample in 0..SAMPLES {
        // Sequential integers are what keys are like.
        for seed in [0, 0x5EED] {
            let hash = mix(sample, seed);
            for (bit, flips) in flips.iter_mut().enumerate() {
                let changed = hash ^ mix(sample ^ (1 << bit), seed);
                for (out, flips) in flips.iter_mut().enumerate() {
                    *flips += (changed >> out & 1) as u32;
                }
            }
        }
    }
    for (bit, flips) in flips.iter().enumerate() {
        for (out, &flips) in flips.iter().enumerate() {
            let share = f64::from(flips) / (2 * SAMPLES) as f64;
            assert!((0.4..0.6).contains(&share), "input bit {bit} changes output bit {out} in {share}");
        }
    }
}

/// The chi-squared statistic of how `hashes` fall into `buckets`, in standard deviations from its mean.
fn unevenness(hashes: impl Iterator<Item = u64>, buckets: usize) -> f64 {
    let mut counts = vec![0u32; buckets];
    let mut total = 0f64;
    for bucket in hashes {
        counts[bucket as usize] += 1;
        total += 1.0;
    }
    let expected = total / buckets as f64;
    let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    let freedom = (buckets - 1) as f64;
    (chi - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn regular_keys_spread_evenly_over_shards_groups_and_tags() {
    const KEYS: u64 = 200_000;
    for (stride, seed) in [(1, 0), (1, 1), (8, 2), (1 << 12, 3), (1 << 32, 4), (1 << 44, 5), (1000, 6)] {
        let hashes = || (0..KEYS).map(move |key| (key * stride).hash(HashSeed(seed)));
        let shards = unevenness(hashes().map(|hash| u64::from(hash.shard(7).0)), 7);
        let groups = unevenness(hashes().map(|hash| u64::from(hash.group().0)), 4096);
        let tags = unevenness(hashes().map(|hash| hash.0 & 0xFF), 256);
        for (what, unevenness) in [("shards", shards), ("groups", groups), ("tags", tags)] {
            assert!(unevenness < 5.0, "{what}, stride {stride}: {unevenness} deviations from even");
        }
    }
}

#[test]
fn tuple_hashes_do_not_collide() {
    let mut seen = HashMap::new();
    for a in 0..300u64 {
        for b in 0..300u64 {
            assert_eq!(seen.insert((a, b).hash(SEED), (a, b)), None);
        }
    }
}

#[test]
fn layouts_tell_keys_apart() {
    assert_eq!(
        Account::layout().text,
        "Account { bank: u16, number: u32, kind: Kind } with Kind { Giro = -1 | Savings = 70000 }"
    );
    assert_eq!(str::layout(), String::layout());
    assert_ne!(u64::layout().fingerprint, i64::layout().fingerprint);
    assert_eq!(
        [u64::layout().fingerprint, Account::layout().fingerprint],
        [10035510022810807093, 3966055759836807692]
    );
}

#[test]
fn keys_can_be_read_by_people() {
    #[derive(crate::Key, Clone)]
    struct Account {
        bank: String,
        number: (u32, Option<char>),
    }
    #[derive(crate::Key, Clone)]
    #[allow(dead_code)]
    enum Side {
        Buy,
        Sell = 7,
    }
    #[track_caller]
    fn shows<K: Key + ?Sized>(key: &K, text: &str) {
        let seed = HashSeed(42);
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(K::show(key.hash(seed), &bytes, seed), text);
    }
    shows(&7u64, "7");
    shows("a\"b", r#""a\"b""#);
    shows(&vec![1u8, 2], "[1, 2]");
    shows(&(true, None::<i64>, Some(-1i128)), "(true, None, Some(-1))");
    shows(&(), "()");
    shows(&Side::Sell, "Sell");
    let account = Account { bank: "ing".to_owned(), number: (3, Some('x')) };
    shows(&account, "Account { bank: \"ing\", number: (3, Some('x')) }");
    shows(&Sub::new("ada".to_owned(), 1700i64, HashSeed(42)), "\"ada\" with 1700");
}
