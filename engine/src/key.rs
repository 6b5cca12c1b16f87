//! Keys and their stable hash. The hash decides the shard, the page and the place in the page; it is computed once, upstream,
//! and travels with the record.
//!
//! A key is an integer, `bool`, `char`, `str`, `String`, `[u8]`, `Vec<u8>`, `[u8; N]`, `()`, an `Option` or a tuple of keys, or a
//! type that derives [`Key`]: a struct of keys, or an enum without data.
//!
//! ```
//! use millstream_engine::key::{HashSeed, Key, KeyShape};
//!
//! #[derive(Key, Clone, Debug, PartialEq)]
//! struct Account {
//!     bank: u32,
//!     number: u32,
//! }
//!
//! assert_eq!(Account::SHAPE, KeyShape::InHash); // eight bytes: the hash is all there is to store
//! let account = Account { bank: 7, number: 1234 };
//! let hash = account.hash(HashSeed(42));
//! assert_eq!(Account::decode(hash, &[], HashSeed(42)), account);
//!
//! assert_eq!("ada".hash(HashSeed(42)), "ada".to_owned().hash(HashSeed(42)));
//! ```
//!
//! Floats are not keys (`0.0 == -0.0` and `NaN != NaN` leave no sound answer to which records belong together); round them to an
//! integer, or take `to_bits()`:
//!
//! ```compile_fail
//! # use millstream_engine::Key;
//! #[derive(Key, Clone)]
//! struct Level {
//!     price: f64,
//! }
//! ```
//!
//! # Encoding and hash
//!
//! | key | canonical encoding |
//! | --- | --- |
//! | integers | little endian, in their own width |
//! | `bool`, `char` | one byte 0 or 1, the code point as `u32` |
//! | `str`, `String`, `[u8]`, `Vec<u8>` | the bytes; inside another key after their length as `u32` |
//! | `[u8; N]` | the bytes |
//! | `Option<K>` | one byte 0 or 1, then the key; zeros in place of a key of fixed width |
//! | tuples and structs | their members in order |
//! | enums without data | the discriminant as `i32` |
//!
//! A key whose encoding always has the same length of at most eight bytes is [`KeyShape::InHash`]: its hash is a seeded bijection of
//! these bytes as a little-endian integer (module `hash`). Any other key's hash is XXH3 (64 bit, seeded) of the encoding.

mod bytes;
mod composite;
mod hash;
mod integer;
mod part;
mod sub;

pub use millstream_derive::Key;
#[doc(hidden)]
pub use part::total_width;
pub use part::{KeyPart, KeySink, KeyText};
pub use sub::Sub;
pub(crate) use sub::hash_sub_key;

use crate::element::KeyHash;
use crate::record::{Layout, key_layout};
use crate::schema::{KeySchema, Schema, Type};

/// The seed of a job's key hash: drawn once, kept in the manifest, so that nobody outside can choose keys that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(pub u64);

/// How a key travels beside its hash, and how it lies in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// The hash is a bijection of the key (encodings of at most 64 bits): nothing else travels or is stored.
    InHash,
    /// This many bytes.
    Fixed(usize),
    /// Any number of bytes.
    Var,
}

/// What a stream can be keyed by.
///
/// The canonical encoding decides equality: two keys are the same if and only if their encodings are. `str` and `String`, `[u8]` and
/// `Vec<u8>` encode and hash alike. Floats are not keys.
///
/// # Safety
/// - The same key gives the same hash and encoding on every machine, in every version.
/// - With [`KeyShape::InHash`], `hash` is injective for a given seed and `decode` inverts it; `encode` appends nothing.
/// - With [`KeyShape::Fixed`]`(n)`, `encode` appends exactly `n` bytes.
#[allow(unsafe_code)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key",
    label = "not a key",
    note = "keys are integers, `bool`, `char`, `String`, `[u8; N]`, `Vec<u8>`, `Option`s and tuples of these, and types with \
            `#[derive(Key)]`",
    note = "floats are not keys: round them to an integer, or use `to_bits()`"
)]
pub unsafe trait Key: 'static {
    /// The key as a value of its own.
    type Owned: Clone + 'static;

    /// How it travels.
    const SHAPE: KeyShape;

    /// The stable hash.
    fn hash(&self, seed: HashSeed) -> KeyHash;

    /// Appends the canonical encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// The key that `hash` and its canonical encoding stand for. The bytes were written by [`Key::encode`] of this type.
    fn decode(hash: KeyHash, bytes: &[u8], seed: HashSeed) -> Self::Owned;

    /// The key that `hash` and its canonical encoding stand for, for people to read.
    fn show(hash: KeyHash, bytes: &[u8], seed: HashSeed) -> String;

    /// What the key looks like, for comparison with what a checkpoint was written with.
    fn layout() -> Layout;

    /// The key as data. One that is implemented by hand and says nothing is [opaque](Type::Opaque).
    fn schema() -> KeySchema {
        let Layout { text, fingerprint } = Self::layout();
        KeySchema { key: Schema::of(|_| Type::Opaque { text, fingerprint }), part: None }
    }
}

// Every type that knows its canonical encoding is a key.
// SAFETY: `KeyPart` promises that encodings of the same width are injective, and stable; the mixer is a bijection of the (at most
// eight) bytes, and `WIDTH` is what `put` writes.
#[allow(unsafe_code)]
unsafe impl<K: KeyPart + ?Sized> Key for K {
    type Owned = K::Owned;

    const SHAPE: KeyShape = match K::WIDTH {
        Some(width) if width <= hash::WORD_BYTES => KeyShape::InHash,
        Some(width) => KeyShape::Fixed(width),
        None => KeyShape::Var,
    };

    #[inline]
    fn hash(&self, seed: HashSeed) -> KeyHash {
        if matches!(Self::SHAPE, KeyShape::InHash) {
            let mut word = part::Word::default();
            self.put(&mut word);
            KeyHash(hash::mix(word.value(), seed.0))
        } else {
            self.with_encoding(|bytes| KeyHash(hash::of_bytes(bytes, seed.0)))
        }
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        if !matches!(Self::SHAPE, KeyShape::InHash) {
            self.with_encoding(|bytes| out.extend_from_slice(bytes));
        }
    }

    #[inline]
    fn decode(hash: KeyHash, bytes: &[u8], seed: HashSeed) -> K::Owned {
        if matches!(Self::SHAPE, KeyShape::InHash) {
            K::from_encoding(&hash::unmix(hash.0, seed.0).to_le_bytes())
        } else {
            K::from_encoding(bytes)
        }
    }

    fn show(hash: KeyHash, bytes: &[u8], seed: HashSeed) -> String {
        let mut text = KeyText::default();
        match Self::SHAPE {
            KeyShape::InHash => K::show_encoding(&hash::unmix(hash.0, seed.0).to_le_bytes(), &mut text),
            _ => K::show_encoding(bytes, &mut text),
        }
        text.into_string()
    }

    fn layout() -> Layout {
        key_layout(K::describe)
    }

    fn schema() -> KeySchema {
        KeySchema { key: Schema::of(K::key_type), part: None }
    }
}

/// The hash of a key's canonical encoding, for those who do not have its type.
pub(crate) fn hash_encoding(bytes: &[u8], in_hash: bool, seed: HashSeed) -> KeyHash {
    if !in_hash {
        return KeyHash(hash::of_bytes(bytes, seed.0));
    }
    let mut word = [0; hash::WORD_BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    KeyHash(hash::mix(u64::from_le_bytes(word), seed.0))
}

/// The canonical encoding of a key that lies in its hash, and zeros behind it.
pub(crate) fn word_of(hash: KeyHash, seed: HashSeed) -> [u8; hash::WORD_BYTES] {
    hash::unmix(hash.0, seed.0).to_le_bytes()
}

#[cfg(test)]
mod tests;
