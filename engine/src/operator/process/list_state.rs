//! A list per key: appending costs the element, not the list, as long as there are not many millions under one key.
//!
//! Elements are numbered. Each lies by itself under (key, number); a head per key says which numbers there may be. Where an element in the
//! middle has expired, its number stays unused.

use std::marker::PhantomData;

use super::lives::{Lives, Moment, Standing};
use super::states::{Kept, Parts};
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::key::{Key, Sub};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::operator::tables::Tables;
use crate::record::{Record, View};
use crate::state::StateError;

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

/// The numbers of a list's tables, of its elements' lives, of the times it was last used, and of its budget.
#[derive(Clone, Copy)]
pub(super) struct ListSlots {
    pub(super) heads: usize,
    pub(super) elements: usize,
    pub(super) life: Option<usize>,
    pub(super) uses: Option<usize>,
    pub(super) bound: Option<usize>,
}

/// The numbers of the first element of a list, and of the next one to come; and how many elements there are.
pub(super) type Head = [u64; 3];

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
        let head = self.head();
        self.check(head).map_or(0, |[_, _, len]| len)
    }

    /// Whether there are none.
    pub fn is_empty(&mut self) -> bool {
        self.len() == 0
    }

    /// Forgets all elements; their memory is free again. Costs as much as there are.
    pub fn clear(&mut self) {
        let cleared = self.try_clear();
        self.check(cleared);
    }

    fn head(&mut self) -> Result<Option<Head>, StateError> {
        let (hash, key) = self.key;
        let Parts { tables, arena, .. } = self.kept.parts();
        tables.of::<K, Head>(Some(self.slots.heads)).get(arena, hash, key, |head| *head)
    }

    fn try_add(&mut self, element: &T) -> Result<(), StateError> {
        if !self.kept.admits(self.slots.bound, &self.moment, self.key)? {
            return Ok(());
        }
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        let heads = tables.of::<K, Head>(Some(self.slots.heads));
        let next = |head: &mut Head| {
            head[1] += 1;
            head[2] += 1;
            head[1] - 1
        };
        let number = heads.update(arena, hash, key, || [0, 0, 0], next)?;
        let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
        let elements = tables.of::<Sub<K, u64>, T>(Some(self.slots.elements));
        elements.insert(arena, sub_hash, sub_key, element)?;
        lives.written(self.slots.life, tables, arena, &self.moment, (sub_hash, sub_key), true)
    }

    fn try_each(&mut self, mut each: impl FnMut(&View<T>)) -> Result<(), StateError> {
        self.kept.reads(self.slots.bound, &self.moment, self.key)?;
        let Some([first, next, _]) = self.head()? else { return Ok(()) };
        let (hash, key) = self.key;
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        for number in first..next {
            let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
            let at = (sub_hash, &sub_key[..]);
            let standing = lives.read(self.slots.life, tables, arena, &self.moment, at)?;
            if standing != Standing::Expired {
                let elements = tables.of::<Sub<K, u64>, T>(Some(self.slots.elements));
                elements.get(arena, sub_hash, sub_key, &mut each)?;
            }
            if standing != Standing::Alive {
                lives.forget(self.slots.life, tables, arena, at)?;
            }
        }
        Ok(())
    }

    fn try_clear(&mut self) -> Result<(), StateError> {
        let Parts { tables, arena, sub_key, lives } = self.kept.parts();
        clear_list::<K>(self.slots, (tables, arena, lives), sub_key, self.key)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// Takes out all elements of a key's list.
pub(super) fn clear_list<K: Key + ?Sized>(
    slots: ListSlots,
    (tables, arena, lives): (&mut Tables, &mut Arena, &mut Lives),
    sub_key: &mut Vec<u8>,
    (hash, key): (KeyHash, &[u8]),
) -> Result<(), StateError> {
    let head = tables.of::<K, Head>(Some(slots.heads)).get(arena, hash, key, |head| *head)?;
    let Some([first, next, _]) = head else { return Ok(()) };
    for number in first..next {
        let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub_key);
        if tables.remove(slots.elements, arena, sub_hash, sub_key)? {
            lives.removed(slots.life, tables, arena, (sub_hash, sub_key))?;
        }
    }
    tables.remove_from(slots.uses, arena, hash, key)?;
    tables.remove(slots.heads, arena, hash, key).map(drop)
}

/// An element has expired and was taken out: its list forgets its number.
pub(super) fn forget_number<K: Key + ?Sized>(
    slots: ListSlots,
    tables: &mut Tables,
    arena: &mut Arena,
    sub_key: &[u8],
) -> Result<(), StateError> {
    let (number, hash, key) = Sub::<K, u64>::split(sub_key);
    let heads = tables.of::<K, Head>(Some(slots.heads));
    let left = heads.modify(arena, hash, key, |head| {
        head[2] = head[2].saturating_sub(1);
        if head[0] == number {
            head[0] += 1;
        }
        head[2]
    })?;
    if left == Some(0) {
        heads.remove(arena, hash, key)?;
        tables.remove_from(slots.uses, arena, hash, key)?;
    }
    Ok(())
}
