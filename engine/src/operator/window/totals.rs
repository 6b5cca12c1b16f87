//! What the slices of the window at hand add up to, per key.

use super::gathered::Gathered;
use crate::arena::{Arena, StateError, StateName};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;
use crate::state::{Table, TableMeta};

/// A running total per key over a run of slices: what enters the run is merged in, what leaves it is taken out.
pub(super) struct Totals<K: Key + ?Sized, V: Record> {
    pub(super) values: Table<K, V>,
    /// In how many slices of the run the key is: with the last one it leaves the totals.
    parts: Table<K, u32>,
}

impl<K: Key + ?Sized, V: Record + Clone> Totals<K, V> {
    pub(super) fn new(arena: &mut Arena, values: &StateName, parts: &StateName) -> Self {
        Totals { values: Table::new(arena, values), parts: Table::new(arena, parts) }
    }

    pub(super) fn restore(
        arena: &mut Arena,
        (values, parts): (TableMeta, TableMeta),
        names: (&StateName, &StateName),
    ) -> Result<Self, StateError> {
        Ok(Totals {
            values: Table::restore(arena, values, names.0)?,
            parts: Table::restore(arena, parts, names.1)?,
        })
    }

    pub(super) fn meta(&self) -> (TableMeta, TableMeta) {
        (self.values.meta(), self.parts.meta())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn clear(&mut self, arena: &mut Arena) {
        if !self.values.is_empty() {
            self.values.clear(arena);
            self.parts.clear(arena);
        }
    }

    /// Merges entries of a slice in.
    pub(super) fn enter(
        &mut self,
        arena: &mut Arena,
        slice: &Gathered<V>,
        merge: impl Fn(&mut V, &V),
    ) -> Result<(), StateError> {
        merge_all(&mut self.values, arena, slice, merge)?;
        let key = |index: usize| slice.key(index);
        self.parts.update_batch(arena, slice.hashes(), key, |_| 1, |_, parts, new| *parts += u32::from(!new))
    }

    /// A key is in one more slice of the run.
    pub(super) fn add_part(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<(), StateError> {
        self.parts.update(arena, hash, key, || 0, |parts| *parts += 1)
    }

    /// Takes a part of a key out with `retract`. Says whether the total is right then; where it is not, it has to be
    /// [set](Totals::set).
    pub(super) fn leave(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        retract: impl FnOnce(&mut V) -> bool,
    ) -> Result<bool, StateError> {
        let parts = self.parts.modify(arena, hash, key, |parts| {
            *parts -= 1;
            *parts
        })?;
        if parts.is_some_and(|parts| parts > 0) {
            return Ok(self.values.modify(arena, hash, key, retract)? == Some(true));
        }
        self.parts.remove(arena, hash, key)?;
        self.values.remove(arena, hash, key)?;
        Ok(true)
    }

    /// Sets the total of a key.
    pub(super) fn set(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &V,
    ) -> Result<(), StateError> {
        self.values.insert(arena, hash, key, value).map(|_| ())
    }
}

/// Merges entries into a table.
pub(super) fn merge_all<K: Key + ?Sized, V: Record + Clone>(
    table: &mut Table<K, V>,
    arena: &mut Arena,
    entries: &Gathered<V>,
    merge: impl Fn(&mut V, &V),
) -> Result<(), StateError> {
    table.update_batch(
        arena,
        entries.hashes(),
        |index| entries.key(index),
        |index| entries.value(index).clone(),
        |index, acc, new| {
            if !new {
                merge(acc, entries.value(index));
            }
        },
    )
}
