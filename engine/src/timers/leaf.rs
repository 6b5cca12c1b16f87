//! One leaf of the index: the timers of a range of time, in a table of their own.

use super::front::Front;
use crate::arena::{Arena, StateError};
use crate::element::KeyHash;
use crate::key::{Key, KeyPart, Sub};
use crate::state::Table;

/// What the timers of an index are told apart by beside their key. Its encoding begins with the timestamp.
pub(super) trait When: KeyPart<Owned = Self> + Copy {
    /// When the timer is due.
    fn at(self) -> i64;
}

impl When for i64 {
    #[inline]
    fn at(self) -> i64 {
        self
    }
}

/// A timestamp, and the number of a name.
impl When for (i64, u16) {
    #[inline]
    fn at(self) -> i64 {
        self.0
    }
}

/// The table of a leaf: all that it has to say is in its keys.
pub(super) type LeafTable<K, W> = Table<Sub<K, W>, ()>;

/// The timers from the leaf's start, which is its place in the index, to the start of the next leaf.
pub(super) struct Leaf<K: Key + ?Sized, W: When> {
    pub(super) table: LeafTable<K, W>,
    /// No timer of the leaf is later.
    pub(super) last: i64,
    /// Where the next piece of a leaf of one tick is read from.
    pub(super) resume: KeyHash,
}

impl<K: Key + ?Sized, W: When> Leaf<K, W> {
    pub(super) fn new(table: LeafTable<K, W>, last: i64) -> Self {
        Leaf { table, last, resume: KeyHash::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.table.len()
    }

    /// Appends the timers of about `pages_max` pages to `into`, from the hash `from` on. Gives the hash to go on from.
    pub(super) fn read(
        &self,
        arena: &mut Arena,
        from: KeyHash,
        pages_max: usize,
        into: &mut Front,
    ) -> Result<Option<KeyHash>, StateError> {
        self.table.walk_raw(arena, from, KeyHash(u64::MAX), pages_max, |hash, key, _| {
            into.push(Sub::<K, W>::part(key).at(), hash, key);
        })
    }

    /// Reads all of it.
    pub(super) fn read_all(&self, arena: &mut Arena, into: &mut Front) -> Result<(), StateError> {
        let rest = self.read(arena, KeyHash::default(), usize::MAX, into)?;
        debug_assert!(rest.is_none());
        Ok(())
    }
}
