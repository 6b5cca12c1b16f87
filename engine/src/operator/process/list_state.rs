//! A list per key: appending costs the element, not the list, as long as there are not many millions under one key.
//!
//! Elements lie together in chunks of two kilobytes: the last one, to which is appended, beside the list's head, those before it by themselves
//! under (key, number). An element that is to expire is a chunk by itself, and leaves its number unused when it goes.

use std::marker::PhantomData;

use super::kept::{Kept, Parts};
use super::lives::{Lives, Moment};
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::key::{Key, Sub};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::operator::tables::Tables;
use crate::record::{Record, View};
use crate::state::{Chunk, List, StateError};

/// How many pages are walked through at once.
const PAGES_PER_PIECE: usize = 4;

/// A list per key (Flink's `ListState`): what [`States::list`](super::States::list) gives, to be kept in a field of the function.
pub struct ListState<T> {
    pub(super) slots: Option<ListSlots>,
    pub(super) element: PhantomData<fn() -> T>,
}

impl<T> Default for ListState<T> {
    /// Not declared yet.
    fn default() -> Self {
        ListState { slots: None, element: PhantomData }
    }
}

/// The numbers of a list's tables, of its chunks' lives, of the times it was last used, and of its budget.
#[derive(Clone, Copy)]
pub(super) struct ListSlots {
    /// Heads with the last chunk of each list, by key.
    pub(super) lists: usize,
    /// The other chunks, by (key, number).
    pub(super) chunks: usize,
    pub(super) life: Option<usize>,
    pub(super) uses: Option<usize>,
    pub(super) bound: Option<usize>,
}

/// The list of the key at hand: what [`KeyedContext::list`](super::KeyedContext::list) gives.
pub struct ListAt<'a, K: Key + ?Sized, T> {
    pub(super) op: OpId,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) slots: ListSlots,
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) moment: Moment,
    pub(super) element: PhantomData<fn() -> T>,
}

impl<K: Key + ?Sized, T: Record> ListAt<'_, K, T> {
    /// Appends an element.
    pub fn add(&mut self, element: &T) {
        let added = self.try_add(element);
        self.check(added);
    }

    /// Appends elements.
    pub fn add_all(&mut self, elements: impl IntoIterator<Item = T>) {
        elements.into_iter().for_each(|element| self.add(&element));
    }

    /// Puts other elements in the place of all there are (Flink's `update`).
    pub fn replace(&mut self, elements: impl IntoIterator<Item = T>) {
        self.clear();
        self.add_all(elements);
    }

    /// Shows the elements, in the order in which they were added.
    pub fn each(&mut self, each: impl FnMut(&View<T>)) {
        let shown = self.try_each(each);
        self.check(shown);
    }

    /// The elements, in the order in which they were added.
    pub fn to_vec(&mut self) -> Vec<T> {
        let mut all = Vec::new();
        self.each(|element| all.push(T::owned(element)));
        all
    }

    /// How many elements there are; among them, those that have expired and have not been taken out yet.
    pub fn len(&mut self) -> u64 {
        let len = self.of_list(View::<List<T>>::len);
        self.check(len).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// Forgets all elements; their memory is free again. Costs a look-up for each chunk of two kilobytes; for each element, where they expire.
    pub fn clear(&mut self) {
        let cleared = self.try_clear();
        self.check(cleared);
    }

    /// What there is to be said of the list, if there is one.
    fn of_list<R>(&mut self, say: impl FnOnce(&View<List<T>>) -> R) -> Result<Option<R>, StateError> {
        let (hash, key) = self.key;
        let Parts { tables, arena, .. } = self.kept.parts();
        tables.of::<K, List<T>>(Some(self.slots.lists)).get(arena, hash, key, say)
    }

    #[inline]
    fn try_add(&mut self, element: &T) -> Result<(), StateError> {
        if !self.kept.admits(self.slots.bound, &self.moment, self.key)? {
            return Ok(());
        }
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let lists = tables.of::<K, List<T>>(Some(self.slots.lists));
        let pushed = lists.push(arena, hash, key, element)?;
        if self.slots.life.is_some() {
            if let Some(sub_hash) = cut::<K, T>(self.slots, tables, arena, sub_key, self.key)? {
                lives.written(self.slots.life, tables, arena, &self.moment, (sub_hash, sub_key), true)?;
            }
        } else if !pushed {
            cut::<K, T>(self.slots, tables, arena, sub_key, self.key)?;
            tables.of::<K, List<T>>(Some(self.slots.lists)).push(arena, hash, key, element)?;
        }
        Ok(())
    }

    fn try_each(&mut self, mut each: impl FnMut(&View<T>)) -> Result<(), StateError> {
        self.kept.reads(self.slots.bound, &self.moment, self.key)?;
        let Some(chunks) = self.of_list(View::<List<T>>::chunks)? else { return Ok(()) };
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        for number in chunks {
            let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
            let at = (sub_hash, &sub_key[..]);
            let entries = (self.slots.chunks, self.slots.life);
            let show = |chunk: &View<Chunk<T>>| chunk.each(&mut each);
            lives.view::<Sub<K, u64>, Chunk<T>, ()>(tables, arena, entries, &self.moment, at, show)?;
        }
        self.of_list(|list| list.each(each)).map(drop)
    }

    fn try_clear(&mut self) -> Result<(), StateError> {
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        clear_list::<K, T>(self.slots, (tables, arena, lives), sub_key, self.key)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// Puts the last chunk of a list where the others are, unless it is empty. Gives the hash of its sub-key, which is `sub_key` then.
fn cut<K: Key + ?Sized, T: Record>(
    slots: ListSlots,
    tables: &mut Tables,
    arena: &mut Arena,
    sub_key: &mut Vec<u8>,
    (hash, key): (KeyHash, &[u8]),
) -> Result<Option<KeyHash>, StateError> {
    let mut chunk = Vec::new();
    let number = tables.of::<K, List<T>>(Some(slots.lists)).cut(arena, hash, key, &mut chunk)?;
    let Some(number) = number else { return Ok(None) };
    let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
    tables.insert_raw(slots.chunks, arena, sub_hash, sub_key, &chunk)?;
    Ok(Some(sub_hash))
}

/// Puts the last chunks of all lists where the others are: lists that had no time to live get one, which is looked after there.
pub(super) fn cut_all<K: Key + ?Sized, T: Record>(
    slots: ListSlots,
    tables: &mut Tables,
    arena: &mut Arena,
) -> Result<(), StateError> {
    let (mut next, mut sub_key) = (Some(KeyHash(0)), Vec::new());
    while let Some(from) = next {
        let mut keys = Vec::new();
        let mut note = |hash: KeyHash, key: &[u8], _: &[u8]| keys.push((hash, key.to_vec()));
        next = tables.walk_raw(slots.lists, arena, (from, KeyHash(u64::MAX)), PAGES_PER_PIECE, &mut note)?;
        for (hash, key) in keys {
            cut::<K, T>(slots, tables, arena, &mut sub_key, (hash, &key))?;
        }
    }
    Ok(())
}

/// Takes out all elements of a key's list.
pub(super) fn clear_list<K: Key + ?Sized, T: Record>(
    slots: ListSlots,
    (tables, arena, lives): (&mut Tables, &mut Arena, &mut Lives),
    sub_key: &mut Vec<u8>,
    (hash, key): (KeyHash, &[u8]),
) -> Result<(), StateError> {
    let lists = tables.of::<K, List<T>>(Some(slots.lists));
    let Some(chunks) = lists.get(arena, hash, key, View::<List<T>>::chunks)? else { return Ok(()) };
    for number in chunks {
        let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
        if tables.remove(slots.chunks, arena, sub_hash, sub_key)? {
            lives.removed(slots.life, tables, arena, (sub_hash, sub_key))?;
        }
    }
    tables.remove_from(slots.uses, arena, hash, key)?;
    tables.remove(slots.lists, arena, hash, key).map(drop)
}

/// Takes a chunk out that has expired. Its list forgets it, and goes with its last element.
pub(super) fn forget_chunk<K: Key + ?Sized, T: Record>(
    slots: ListSlots,
    tables: &mut Tables,
    arena: &mut Arena,
    (sub_hash, sub_key): (KeyHash, &[u8]),
) -> Result<(), StateError> {
    let chunks = tables.of::<Sub<K, u64>, Chunk<T>>(Some(slots.chunks));
    let Some(elements) = chunks.get(arena, sub_hash, sub_key, View::<Chunk<T>>::count)? else {
        return Ok(());
    };
    chunks.remove(arena, sub_hash, sub_key)?;
    let (number, hash, key) = Sub::<K, u64>::split(sub_key);
    let lists = tables.of::<K, List<T>>(Some(slots.lists));
    if lists.lose(arena, hash, key, (number, elements))? == Some(0) {
        lists.remove(arena, hash, key)?;
        tables.remove_from(slots.uses, arena, hash, key)?;
    }
    Ok(())
}
