//! A map per key: an entry costs itself, not the map, as long as there are not many millions under one key.
//!
//! Entries lie by themselves under (key, key of the entry). To show them all, the keys of a map's entries are numbered without gaps: where one
//! is taken out, the last one gets its number.

use std::marker::PhantomData;

use super::kept::{Kept, Parts};
use super::lives::{Lives, Moment, Standing};
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::key::{Key, KeyPart, Sub};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::operator::tables::Tables;
use crate::record::{Record, View};
use crate::state::StateError;

/// Where a map has more entries than so many for each page that may hold some, pages are looked through to clear it, not entries looked up.
const ENTRIES_PER_PAGE: u64 = 8;

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

/// The numbers of a map's tables, of its entries' lives, of the times it was last used, and of its budget.
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
    pub(super) life: Option<usize>,
    pub(super) uses: Option<usize>,
    pub(super) bound: Option<usize>,
}

/// The map of the key at hand: what [`KeyedContext::map`](super::KeyedContext::map) gives.
pub struct MapAt<'a, K: Key + ?Sized, Q, V> {
    pub(super) op: OpId,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) slots: MapSlots,
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) moment: Moment,
    pub(super) types: PhantomData<fn() -> (Q, V)>,
}

impl<K: Key + ?Sized, Q: MapKey, V: Record> MapAt<'_, K, Q, V> {
    /// The value of an entry, if there is one.
    pub fn get(&mut self, of: &Q) -> Option<V> {
        self.view(of, V::owned)
    }

    /// Shows the value of an entry where it lies, if there is one.
    pub fn view<R>(&mut self, of: &Q, show: impl FnOnce(&View<V>) -> R) -> Option<R> {
        let shown = self.try_view(of, show);
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

    /// How many entries there are; among them, those that have expired and have not been taken out yet.
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
        let Parts { tables, arena, .. } = self.kept.parts();
        let size = tables.of::<K, u64>(Some(self.slots.sizes)).get(arena, hash, key, |size| *size)?;
        Ok(size.unwrap_or(0))
    }

    fn try_view<R>(&mut self, of: &Q, show: impl FnOnce(&View<V>) -> R) -> Result<Option<R>, StateError> {
        self.kept.reads(self.slots.bound, &self.moment, self.key)?;
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub_key);
        let entries = (self.slots.values, self.slots.life);
        lives.view::<Sub<K, Q>, V, R>(tables, arena, entries, &self.moment, (sub_hash, sub_key), show)
    }

    fn try_put(&mut self, of: &Q, value: &V) -> Result<bool, StateError> {
        if !self.kept.admits(self.slots.bound, &self.moment, self.key)? {
            return Ok(false);
        }
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub_key);
        let values = tables.of::<Sub<K, Q>, V>(Some(self.slots.values));
        let new = values.insert(arena, sub_hash, sub_key, value)?;
        lives.written(self.slots.life, tables, arena, &self.moment, (sub_hash, sub_key), new)?;
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
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub_key);
        let standing = lives.read(self.slots.life, tables, arena, &self.moment, (sub_hash, sub_key))?;
        if standing == Standing::Expired {
            lives.forget(self.slots.life, tables, arena, (sub_hash, sub_key))?;
        }
        if !self.kept.admits(self.slots.bound, &self.moment, self.key)? {
            return Ok(change(&mut init()));
        }
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let values = tables.of::<Sub<K, Q>, V>(Some(self.slots.values));
        let mut new = false;
        let init = || {
            new = true;
            init()
        };
        let result = values.update(arena, sub_hash, sub_key, init, change)?;
        lives.written(self.slots.life, tables, arena, &self.moment, (sub_hash, sub_key), new)?;
        if new {
            self.number(of, sub_hash)?;
        }
        Ok(result)
    }

    /// Gives a new entry, whose sub-key is at hand, the next number.
    fn number(&mut self, of: &Q, sub_hash: KeyHash) -> Result<(), StateError> {
        let (hash, key) = self.key;
        let slots = self.slots;
        let Parts { tables, arena, sub_key, .. } = self.kept.parts();
        let sizes = tables.of::<K, u64>(Some(slots.sizes));
        let next = |size: &mut u64| {
            *size += 1;
            *size - 1
        };
        let number = sizes.update(arena, hash, key, || 0, next)?;
        tables.of::<Sub<K, Q>, u64>(Some(slots.numbers)).insert(arena, sub_hash, sub_key, &number)?;
        let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
        tables.of::<Sub<K, u64>, Q>(Some(slots.order)).insert(arena, place, sub_key, of).map(drop)
    }

    fn try_remove(&mut self, of: &Q) -> Result<bool, StateError> {
        let (hash, key) = self.key;
        let slots = self.slots;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, of, sub_key);
        let standing = lives.read(slots.life, tables, arena, &self.moment, (sub_hash, sub_key))?;
        if !tables.remove(slots.values, arena, sub_hash, sub_key)? {
            return Ok(false);
        }
        lives.removed(slots.life, tables, arena, (sub_hash, sub_key))?;
        forget_entry::<K, Q>(slots, tables, arena, sub_hash, sub_key)?;
        Ok(standing != Standing::Expired)
    }

    fn try_each(&mut self, mut each: impl FnMut(Q, &View<V>)) -> Result<(), StateError> {
        self.kept.reads(self.slots.bound, &self.moment, self.key)?;
        let (hash, key) = self.key;
        let slots = self.slots;
        let mut number = 0;
        // Where one has expired and goes, the last one takes its number, and is next.
        while number < self.size()? {
            let Parts { tables, arena, sub_key, lives } = self.kept.parts();
            let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
            let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
            let Some(of) = order.get(arena, place, sub_key, Q::owned)? else { break };
            let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &of, sub_key);
            let at = (sub_hash, &sub_key[..]);
            let standing = lives.read(slots.life, tables, arena, &self.moment, at)?;
            if standing != Standing::Expired {
                let values = tables.of::<Sub<K, Q>, V>(Some(slots.values));
                values.get(arena, sub_hash, sub_key, |value| each(of, value))?;
            }
            match standing {
                Standing::Alive => number += 1,
                Standing::Leaving | Standing::Expired => lives.forget(slots.life, tables, arena, at)?,
            }
        }
        Ok(())
    }

    fn try_clear(&mut self) -> Result<(), StateError> {
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        clear_map::<K, Q>(self.slots, (tables, arena, lives), sub_key, self.key)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// Takes out all entries of a key's map.
pub(super) fn clear_map<K: Key + ?Sized, Q: MapKey>(
    slots: MapSlots,
    (tables, arena, lives): (&mut Tables, &mut Arena, &mut Lives),
    sub_key: &mut Vec<u8>,
    (hash, key): (KeyHash, &[u8]),
) -> Result<(), StateError> {
    let size = tables.of::<K, u64>(Some(slots.sizes)).get(arena, hash, key, |size| *size)?.unwrap_or(0);
    if size > ENTRIES_PER_PAGE * tables.pages_of_group(slots.values, hash) as u64 {
        tables.purge::<K, Q>(slots.values, arena, (hash, key))?;
        tables.purge::<K, Q>(slots.numbers, arena, (hash, key))?;
        tables.purge::<K, u64>(slots.order, arena, (hash, key))?;
        lives.removed_all::<K, Q>(slots.life, tables, arena, (hash, key))?;
        tables.remove_from(slots.uses, arena, hash, key)?;
        return tables.remove(slots.sizes, arena, hash, key).map(drop);
    }
    for number in 0..size {
        let place = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
        let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
        let of = order.get(arena, place, sub_key, Q::owned)?;
        order.remove(arena, place, sub_key)?;
        let Some(of) = of else { continue };
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &of, sub_key);
        tables.remove(slots.values, arena, sub_hash, sub_key)?;
        tables.remove(slots.numbers, arena, sub_hash, sub_key)?;
        lives.removed(slots.life, tables, arena, (sub_hash, sub_key))?;
    }
    tables.remove_from(slots.uses, arena, hash, key)?;
    tables.remove(slots.sizes, arena, hash, key).map(drop)
}

/// The value of an entry was taken out: its map forgets its number, which the last entry gets.
pub(super) fn forget_entry<K: Key + ?Sized, Q: MapKey>(
    slots: MapSlots,
    tables: &mut Tables,
    arena: &mut Arena,
    sub_hash: KeyHash,
    sub_key: &[u8],
) -> Result<(), StateError> {
    let (_, hash, key) = Sub::<K, Q>::split(sub_key);
    let sizes = tables.of::<K, u64>(Some(slots.sizes));
    let Some(last) = sizes.get(arena, hash, key, |size| *size - 1)? else { return Ok(()) };
    match last {
        0 => {
            sizes.remove(arena, hash, key)?;
            tables.remove_from(slots.uses, arena, hash, key)?;
        }
        _ => _ = sizes.insert(arena, hash, key, &last)?,
    }
    let numbers = tables.of::<Sub<K, Q>, u64>(Some(slots.numbers));
    let number = numbers.get(arena, sub_hash, sub_key, |number| *number)?.unwrap_or(last);
    numbers.remove(arena, sub_hash, sub_key)?;
    let order = tables.of::<Sub<K, u64>, Q>(Some(slots.order));
    let mut place = Vec::new();
    let place_hash = Sub::<K, u64>::encode_parts(hash, key, &last, &mut place);
    let moved = order.get(arena, place_hash, &place, Q::owned)?.filter(|_| number != last);
    order.remove(arena, place_hash, &place)?;
    if let Some(moved) = moved {
        let place_hash = Sub::<K, u64>::encode_parts(hash, key, &number, &mut place);
        order.insert(arena, place_hash, &place, &moved)?;
        let sub_hash = Sub::<K, Q>::encode_parts(hash, key, &moved, &mut place);
        tables.of::<Sub<K, Q>, u64>(Some(slots.numbers)).insert(arena, sub_hash, &place, &number)?;
    }
    Ok(())
}
