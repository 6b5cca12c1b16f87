//! Whether a key function gives the same key for the same record.

use super::KeyFn;
use crate::element::KeyHash;
use crate::key::{HashSeed, Key, KeyShape};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};

/// A key function has given two keys for one record.
///
/// Records of one key would then meet on several shards, or not at all. The engine asks for the key a second time where a batch begins;
/// with debug assertions it does so for every record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key function before `{operator}` is not deterministic: it gives the key {first} for a record, and {second} when it is called again \
     for the same one; let it depend on the record alone, not on a clock, on randomness or on the order of a hash map"
)]
pub struct KeyChanged {
    /// The operator that the records are keyed for.
    pub operator: String,
    /// The key that the record was to be sent by.
    pub first: String,
    /// The key that the second call gave.
    pub second: String,
}

/// Calls the key function again for a record, and fails the job where it gives another key than `first`.
///
/// Inlined up to where it fails: a record that is passed on by reference would have to lie in memory, in a loop that wants it in registers.
#[inline(always)]
pub(super) fn check<R: ?Sized, F: KeyFn<R>>(
    key: &F,
    record: &R,
    op: OpId,
    operator: &str,
    (first, hash): (&F::Key, KeyHash),
    seed: HashSeed,
) {
    key.with_key(record, op, |second| {
        let again = second.hash(seed);
        if again != hash {
            changed(op, operator, (first, hash), (second, again), seed);
        }
    });
}

#[cold]
#[inline(never)]
fn changed<K: Key + ?Sized>(
    op: OpId,
    operator: &str,
    (first, hash): (&K, KeyHash),
    (second, again): (&K, KeyHash),
    seed: HashSeed,
) -> ! {
    let (first, second) = (shown(first, hash, seed), shown(second, again, seed));
    raise(op, Cause::fatal(KeyChanged { operator: operator.to_owned(), first, second }))
}

fn shown<K: Key + ?Sized>(key: &K, hash: KeyHash, seed: HashSeed) -> String {
    let mut bytes = Vec::new();
    if !matches!(K::SHAPE, KeyShape::InHash) {
        key.encode(&mut bytes);
    }
    K::show(hash, &bytes, seed)
}
