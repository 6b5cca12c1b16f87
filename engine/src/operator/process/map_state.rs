//! A map per key: an entry costs itself, whatever the size of the map.
//!
//! Entries lie by themselves under (key, key of the entry). To show them all, the keys of a map's entries are numbered without gaps: where one
//! is taken out, the last one gets its number.

use std::marker::PhantomData;

use super::states::Kept;
use crate::element::KeyHash;
use crate::key::{Key, KeyPart, Sub};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::record::{Record, View};
use crate::state::StateError;

/// What entries of a map are found by: a record that is a key, such as a number, a text, or a type that derives both.
pub trait MapKey: KeyPart + Record {}

impl<Q: KeyPart + Record> MapKey for Q {}

/// A map per key (Flink's `MapState`): what [`States::map`](super::States::map) gives, to be kept in a field of the function.
pub struct MapState<Q, V> {
    pub(super) slots: Option<MapSlots>,
    pub(super) types: PhantomData<fn() -> (Q, V)>,
}

impl<Q, V> Default for MapState<Q, V> {
    /// Not declared yet.
    fn default() -> Self {
        MapState { slots: None, types: PhantomData }
    }
}

/// The numbers of a map's tables.
#[derive(Clone, Copy)]
pub(super) struct MapSlots {
    /// The values, by (key, key of the entry).
    pub(super) values: usize,
    /// The entries' numbers, by the same.
    pub(super) numbers: usize,
    /// The keys of the entries, by (key, number).
    pub(super) order: usize,
    /// How many entries there are, by key.
    pub(super) sizes: usize,
}

/// The map of the key at hand: what [`KeyedContext::map`](super::KeyedContext::map) gives.
pub struct MapAt<'a, K: Key + ?Sized, Q, V> {
    pub(super) op: OpId,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) slots: MapSlots,
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) types: PhantomData<fn() -> (Q, V)>,
}

impl<K: Key + ?Sized, Q: MapKey, V: Record> MapAt<'_, K, Q, V> {
    /// The value of an entry, if there is one.
    pub fn get(&mut self, of: &Q) -> Option<V> {
        self.view(of, V::owned)
    }

    /// Shows the value of an entry where it lies, if there is one.
    pub fn view<R>(&mut self, of: &Q, show: impl FnOnce(&View<V>) -> R) -> Option<R> {
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub);
        let shown = tables.of::<Sub<K, Q>, V>(Some(self.slots.values)).get(arena, sub_hash, sub, show);
        self.check(shown)
    }

    /// Whether there is an entry.
    pub fn contains(&mut self, of: &Q) -> bool {
        self.view(of, |_| ()).is_some()
    }

    /// Puts an entry in, in the place of the one there is. Says whether it is new.
    pub fn put(&mut self, of: &Q, value: &V) -> bool {
        let put = self.try_put(of, value);
        self.check(put)
    }

    /// Changes the value of an entry, which is put in as `init` gives it where there is none, and gives back what `change` does.
    pub fn update<R>(&mut self, of: &Q, init: impl FnOnce() -> V, change: impl FnOnce(&mut V) -> R) -> R {
        let updated = self.try_update(of, init, change);
        self.check(updated)
    }

    /// Takes an entry out. Says whether there was one.
    pub fn remove(&mut self, of: &Q) -> bool {
        let removed = self.try_remove(of);
        self.check(removed)
    }

    /// Shows all entries, in an order that changes with entries that are put in or taken out only.
    pub fn each(&mut self, each: impl FnMut(Q, &View<V>)) {
        let shown = self.try_each(each);
        self.check(shown);
    }

    /// All entries, in the order of [`MapAt::each`].
    pub fn entries(&mut self) -> Vec<(Q, V)> {
        let mut all = Vec::new();
        self.each(|of, value| all.push((of, V::owned(value))));
        all
    }

    /// The keys of all entries, in the order of [`MapAt::each`].
    pub fn keys(&mut self) -> Vec<Q> {
        let mut all = Vec::new();
        self.each(|of, _| all.push(of));
        all
    }

    /// The values of all entries, in the order of [`MapAt::each`].
    pub fn values(&mut self) -> Vec<V> {
        let mut all = Vec::new();
        self.each(|_, value| all.push(V::owned(value)));
        all
    }

    /// How many entries there are.
    pub fn len(&mut self) -> u64 {
        let size = self.size();
        self.check(size)
    }

    /// Whether there are none.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// Takes all entries out; their memory is free again. Costs as much as there are.
    pub fn clear(&mut self) {
        let cleared = self.try_clear();
        self.check(cleared);
    }

    fn size(&mut self) -> Result<u64, StateError> {
        let (hash, key) = self.key;
        let (tables, arena, _) = self.kept.parts();
        let size = tables.of::<K, u64>(Some(self.slots.sizes)).get(arena, hash, key, |size| *size)?;
        Ok(size.unwrap_or(0))
    }

    fn try_put(&mut self, of: &Q, value: &V) -> Result<bool, StateError> {
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub);
        let values = tables.of::<Sub<K, Q>, V>(Some(self.slots.values));
        let new = values.insert(arena, sub_hash, sub, value)?;
        if new {
            self.number(of, sub_hash)?;
        }
        Ok(new)
    }

    fn try_update<R>(
        &mut self,
        of: &Q,
        init: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub);
        let values = tables.of::<Sub<K, Q>, V>(Some(self.slots.values));
        let mut new = false;
        let init = || {
            new = true;
            init()
        };
        let result = values.update(arena, sub_hash, sub, init, change)?;
        if new {
            self.number(of, sub_hash)?;
        }
        Ok(result)
    }

    /// Gives a new entry, whose sub-key is at hand, the next number.
    fn number(&mut self, of: &Q, sub_hash: KeyHash) -> Result<(), StateError> {
        let (hash, key) = self.key;
        let slots = self.slots;
        let (tables, arena, sub) = self.kept.parts();
        let sizes = tables.of::<K, u64>(Some(slots.sizes));
        let number = sizes.update(
            arena,
            hash,
            key,
            || 0,
            |size| {
                *size += 1;
                *size - 1
            },
        )?;
        tables.of::<Sub<K, Q>, u64>(Some(slots.numbers)).insert(arena, sub_hash, sub, &number)?;
        let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
        tables.of::<Sub<K, u64>, Q>(Some(slots.order)).insert(arena, place, sub, of)?;
        Ok(())
    }

    fn try_remove(&mut self, of: &Q) -> Result<bool, StateError> {
        let (hash, key) = self.key;
        let slots = self.slots;
        let last = self.size()?.saturating_sub(1);
        let (tables, arena, sub) = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub);
        if !tables.remove(slots.values, arena, sub_hash, sub)? {
            return Ok(false);
        }
        let numbers = tables.of::<Sub<K, Q>, u64>(Some(slots.numbers));
        let number = numbers.get(arena, sub_hash, sub, |number| *number)?.unwrap_or(last);
        numbers.remove(arena, sub_hash, sub)?;
        let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
        let place = Sub::<K, u64>::encode_parts(hash, key, &last, sub);
        let moved = order.get(arena, place, sub, Q::owned)?.filter(|_| number != last);
        order.remove(arena, place, sub)?;
        if let Some(moved) = moved {
            let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
            order.insert(arena, place, sub, &moved)?;
            let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &moved, sub);
            tables.of::<Sub<K, Q>, u64>(Some(slots.numbers)).insert(arena, sub_hash, sub, &number)?;
        }
        let sizes = tables.of::<K, u64>(Some(slots.sizes));
        match last {
            0 => sizes.remove(arena, hash, key)?,
            _ => sizes.insert(arena, hash, key, &last)?,
        };
        Ok(true)
    }

    fn try_each(&mut self, mut each: impl FnMut(Q, &View<V>)) -> Result<(), StateError> {
        let size = self.size()?;
        let (hash, key) = self.key;
        let slots = self.slots;
        let (tables, arena, sub) = self.kept.parts();
        for number in 0..size {
            let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
            let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
            let Some(of) = order.get(arena, place, sub, Q::owned)? else { continue };
            let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &of, sub);
            let values = tables.of::<Sub<K, Q>, V>(Some(slots.values));
            values.get(arena, sub_hash, sub, |value| each(of, value))?;
        }
        Ok(())
    }

    fn try_clear(&mut self) -> Result<(), StateError> {
        let size = self.size()?;
        let (hash, key) = self.key;
        let slots = self.slots;
        let (tables, arena, sub) = self.kept.parts();
        for number in 0..size {
            let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
            let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
            let of = order.get(arena, place, sub, Q::owned)?;
            order.remove(arena, place, sub)?;
            let Some(of) = of else { continue };
            let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &of, sub);
            tables.remove(slots.values, arena, sub_hash, sub)?;
            tables.remove(slots.numbers, arena, sub_hash, sub)?;
        }
        tables.remove(slots.sizes, arena, hash, key).map(drop)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}
