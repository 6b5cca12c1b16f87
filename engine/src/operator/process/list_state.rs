//! A list per key: appending costs the element, whatever the length.
//!
//! Elements are numbered. Each lies by itself under (key, number); a head per key says which numbers there are.

use std::marker::PhantomData;

use super::states::Kept;
use crate::element::KeyHash;
use crate::key::{Key, Sub};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
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

/// The numbers of a list's tables.
#[derive(Clone, Copy)]
pub(super) struct ListSlots {
    pub(super) heads: usize,
    pub(super) elements: usize,
}

/// The numbers of the first element of a list, and of the next one to come.
pub(super) type Head = [u64; 2];

/// The list of the key at hand: what [`KeyedContext::list`](super::KeyedContext::list) gives.
pub struct ListAt<'a, K: Key + ?Sized, T> {
    pub(super) op: OpId,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) slots: ListSlots,
    pub(super) key: (KeyHash, &'a [u8]),
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

    /// How many elements there are.
    pub fn len(&mut self) -> u64 {
        let head = self.head();
        let [first, next] = self.check(head).unwrap_or_default();
        next - first
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
        let (tables, arena, _) = self.kept.parts();
        tables.of::<K, Head>(Some(self.slots.heads)).get(arena, hash, key, |head| *head)
    }

    fn try_add(&mut self, element: &T) -> Result<(), StateError> {
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        let heads = tables.of::<K, Head>(Some(self.slots.heads));
        let number = heads.update(
            arena,
            hash,
            key,
            || [0, 0],
            |head| {
                head[1] += 1;
                head[1] - 1
            },
        )?;
        let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
        let elements = tables.of::<Sub<K, u64>, T>(Some(self.slots.elements));
        elements.insert(arena, sub_hash, sub, element).map(drop)
    }

    fn try_each(&mut self, mut each: impl FnMut(&View<T>)) -> Result<(), StateError> {
        let Some([first, next]) = self.head()? else { return Ok(()) };
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        let elements = tables.of::<Sub<K, u64>, T>(Some(self.slots.elements));
        for number in first..next {
            let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
            elements.get(arena, sub_hash, sub, &mut each)?;
        }
        Ok(())
    }

    fn try_clear(&mut self) -> Result<(), StateError> {
        let Some([first, next]) = self.head()? else { return Ok(()) };
        let (hash, key) = self.key;
        let (tables, arena, sub) = self.kept.parts();
        for number in first..next {
            let sub_hash = Sub::<K, u64>::encode_parts(hash, key, &number, sub);
            tables.remove(self.slots.elements, arena, sub_hash, sub)?;
        }
        tables.remove(self.slots.heads, arena, hash, key).map(drop)
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}
