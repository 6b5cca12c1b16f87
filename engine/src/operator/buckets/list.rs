//! A list per key and window: appending costs the element, whatever the length.
//!
//! Elements are numbered. Each lies by itself under (window, number), with its timestamp beside; a head per list says which numbers there may
//! be. Where elements are taken out in the middle, their numbers stay unused.

use crate::arena::Arena;
use crate::element::Timestamp;
use crate::key::{Key, Sub};
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::record::Record;
use crate::state::{StateError, Table};
use crate::window::Timed;

use super::slot::{Slot, SlotOf};

/// An element of a slot: the slot's bytes are those of a key here.
pub(crate) type ElementOf<K> = Sub<SlotOf<K>, u64>;

/// The numbers of a list: of its first element, and of the next one to come.
type Head = [u64; 2];

/// See the [module](self).
pub(crate) struct Lists<K: Key + ?Sized, T: Record> {
    names: Names,
    heads: Table<SlotOf<K>, Head>,
    values: Table<ElementOf<K>, T>,
    times: Table<ElementOf<K>, i64>,
    element: Vec<u8>,
}

/// What the tables are called.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    heads: &'static str,
    values: &'static str,
    times: &'static str,
}

impl Names {
    pub(crate) const ONLY: Names =
        Names { heads: "window", values: "window elements", times: "window element times" };
    pub(crate) const FIRST: Names =
        Names { heads: "first", values: "first elements", times: "first element times" };
    pub(crate) const SECOND: Names =
        Names { heads: "second", values: "second elements", times: "second element times" };
    pub(crate) const THIRD: Names =
        Names { heads: "third", values: "third elements", times: "third element times" };
    pub(crate) const FOURTH: Names =
        Names { heads: "fourth", values: "fourth elements", times: "fourth element times" };
}

impl<K: Key + ?Sized, T: Record> Lists<K, T> {
    pub(crate) fn open(opening: &mut Opening<'_>, names: Names) -> Result<Self, Cause> {
        Ok(Lists {
            names,
            heads: opening.table(names.heads)?,
            values: opening.table(names.values)?,
            times: opening.table(names.times)?,
            element: Vec::new(),
        })
    }

    pub(crate) fn list(&self, saved: &mut Saved) {
        saved
            .table(self.names.heads, self.heads.meta())
            .table(self.names.values, self.values.meta())
            .table(self.names.times, self.times.meta());
    }

    /// Forgets all lists.
    pub(crate) fn clear_all(&mut self, arena: &mut Arena) {
        if !self.heads.is_empty() {
            self.heads.clear(arena);
            self.values.clear(arena);
            self.times.clear(arena);
        }
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> u64 {
        self.heads.len()
    }

    /// Whether a list has no elements.
    pub(crate) fn is_empty(&self, arena: &mut Arena, slot: &Slot) -> Result<bool, StateError> {
        Ok(self.head(arena, slot)?.is_none())
    }

    fn head(&self, arena: &mut Arena, slot: &Slot) -> Result<Option<Head>, StateError> {
        self.heads.get(arena, slot.hash, &slot.bytes, |head| *head)
    }

    /// Appends an archived element. Says whether the list was empty.
    pub(crate) fn push(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<bool, StateError> {
        let (_, is_first) = self.push_numbered(arena, slot, value, at)?;
        Ok(is_first)
    }

    /// Appends an archived element. Gives its number, and whether the list was empty.
    pub(crate) fn push_numbered(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<(u64, bool), StateError> {
        let mut number = 0;
        self.heads.update(
            arena,
            slot.hash,
            &slot.bytes,
            || [0, 0],
            |head| {
                number = head[1];
                head[1] += 1;
            },
        )?;
        let hash = ElementOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
        self.values.insert_raw(arena, hash, &self.element, value)?;
        self.times.insert(arena, hash, &self.element, &at.0)?;
        Ok((number, number == 0))
    }

    /// All elements with their numbers, in order.
    pub(crate) fn read(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        each: impl FnMut(u64, Timed<T>),
    ) -> Result<(), StateError> {
        self.read_between(arena, slot, (Timestamp::MIN, Timestamp::MAX), each)
    }

    /// The elements with timestamps from the first to the last, both included, in order.
    pub(crate) fn read_between(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        (from, to): (Timestamp, Timestamp),
        mut each: impl FnMut(u64, Timed<T>),
    ) -> Result<(), StateError> {
        let Some([first, next]) = self.head(arena, slot)? else { return Ok(()) };
        for number in first..next {
            let hash = ElementOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
            let Some(at) = self.times.get(arena, hash, &self.element, |at| *at)? else { continue };
            if !(from.0..=to.0).contains(&at) {
                continue;
            }
            if let Some(value) = self.values.get(arena, hash, &self.element, T::owned)? {
                each(number, Timed { value, at: Timestamp(at) });
            }
        }
        Ok(())
    }

    /// Takes an element out.
    pub(crate) fn remove(&mut self, arena: &mut Arena, slot: &Slot, number: u64) -> Result<(), StateError> {
        let hash = ElementOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
        self.values.remove(arena, hash, &self.element)?;
        self.times.remove(arena, hash, &self.element)?;
        self.heads.modify(arena, slot.hash, &slot.bytes, |head| {
            if head[0] == number {
                head[0] += 1;
            }
        })?;
        Ok(())
    }

    /// Appends the elements of one list to another, and forgets the first.
    pub(crate) fn append(&mut self, arena: &mut Arena, into: &Slot, of: &Slot) -> Result<(), StateError> {
        let Some([first, next]) = self.head(arena, of)? else { return Ok(()) };
        let mut value = Vec::new();
        for number in first..next {
            let hash = ElementOf::<K>::encode_parts(of.hash, &of.bytes, &number, &mut self.element);
            let Some(at) = self.times.get(arena, hash, &self.element, |at| *at)? else { continue };
            value.clear();
            self.values.get_raw(arena, hash, &self.element, |bytes| value.extend_from_slice(bytes))?;
            self.push(arena, into, &value, Timestamp(at))?;
        }
        self.clear(arena, of)
    }

    /// Forgets a list.
    pub(crate) fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let Some([first, next]) = self.head(arena, slot)? else { return Ok(()) };
        for number in first..next {
            let hash = ElementOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
            self.values.remove(arena, hash, &self.element)?;
            self.times.remove(arena, hash, &self.element)?;
        }
        self.heads.remove(arena, slot.hash, &slot.bytes).map(drop)
    }
}
