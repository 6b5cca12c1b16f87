//! Keys and their stable hash. The hash decides the shard, the page and the place in the page; it is computed once, upstream,
//! and travels with the record.

use crate::element::KeyHash;
use crate::record::Layout;

/// The seed of a job's key hash: drawn once, kept in the manifest, so that nobody outside can choose keys that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashSeed(pub u64);

/// How a key travels beside its hash, and how it lies in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// The hash is a bijection of the key (integers of at most 64 bits): nothing else travels or is stored.
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

    /// What the key looks like, for comparison with what a checkpoint was written with.
    fn layout() -> Layout;
}
