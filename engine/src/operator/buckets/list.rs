//! A list per key and window: appending costs the element, whatever the length.
//!
//! Elements lie together in chunks of two kilobytes, each with its timestamp and its number: the last chunk beside the list's head, those before
//! it by themselves under (window, number of the chunk). An element that is taken out is marked; a chunk goes with the last of its elements.

use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::record::{Record, View};
use crate::state::{Chunk, List, Numbered, StateError, Table};
use crate::window::Timed;

use super::slot::{Slot, SlotOf};

/// A chunk of a slot's list: the slot's bytes are those of a key here.
type ChunkOf<K> = Sub<SlotOf<K>, u64>;

/// See the [module](self).
pub(crate) struct Lists<K: Key + ?Sized, T: Record> {
    names: Names,
    /// Heads with the last chunk of each list.
    lists: Table<SlotOf<K>, List<Numbered<T>>>,
    /// The other chunks.
    chunks: Table<ChunkOf<K>, Chunk<Numbered<T>>>,
    chunk_key: Vec<u8>,
}

/// What the tables are called.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    lists: &'static str,
    chunks: &'static str,
}

impl Names {
    pub(crate) const ONLY: Names = Names { lists: "window", chunks: "window chunks" };
    pub(crate) const FIRST: Names = Names { lists: "first", chunks: "first chunks" };
    pub(crate) const SECOND: Names = Names { lists: "second", chunks: "second chunks" };
    pub(crate) const THIRD: Names = Names { lists: "third", chunks: "third chunks" };
    pub(crate) const FOURTH: Names = Names { lists: "fourth", chunks: "fourth chunks" };
}

impl<K: Key + ?Sized, T: Record> Lists<K, T> {
    pub(crate) fn open(opening: &mut Opening<'_>, names: Names) -> Result<Self, Cause> {
        Ok(Lists {
            names,
            lists: opening.table(names.lists)?,
            chunks: opening.table(names.chunks)?,
            chunk_key: Vec::new(),
        })
    }

    pub(crate) fn list(&self, saved: &mut Saved) {
        saved.table(self.names.lists, self.lists.meta()).table(self.names.chunks, self.chunks.meta());
    }

    /// Forgets all lists.
    pub(crate) fn clear_all(&mut self, arena: &mut Arena) {
        if !self.lists.is_empty() {
            self.lists.clear(arena);
            self.chunks.clear(arena);
        }
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> u64 {
        self.lists.len()
    }

    /// Whether nothing has been appended to a list since it was last forgotten.
    pub(crate) fn is_empty(&self, arena: &mut Arena, slot: &Slot) -> Result<bool, StateError> {
        Ok(!self.lists.contains(arena, slot.hash, &slot.bytes)?)
    }

    /// Appends an archived element. Says whether the list was empty.
    pub(crate) fn push(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<bool, StateError> {
        Ok(self.push_numbered(arena, slot, value, at)? == 0)
    }

    /// Appends an archived element. Gives its number: how many the list has had before.
    pub(crate) fn push_numbered(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        value: &[u8],
        at: Timestamp,
    ) -> Result<u64, StateError> {
        loop {
            let len = Numbered::<T>::bytes(value.len());
            let write = |out: &mut [u8], number| Numbered::<T>::write(out, at, number, value);
            if let Some(number) = self.lists.append(arena, slot.hash, &slot.bytes, len, write)? {
                return Ok(number);
            }
            self.cut(arena, slot)?;
        }
    }

    /// Puts the last chunk of a list where the others are, unless all of it was taken out.
    #[cold]
    fn cut(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let (mut chunk, mut has_elements) = (Vec::new(), false);
        let see =
            |list: &View<List<Numbered<T>>>| list.each(|element| has_elements |= element.number().is_some());
        self.lists.get(arena, slot.hash, &slot.bytes, see)?;
        let number = self.lists.cut(arena, slot.hash, &slot.bytes, &mut chunk)?;
        let Some(number) = number.filter(|_| has_elements) else { return Ok(()) };
        let hash = self.chunk(slot, number);
        self.chunks.insert_raw(arena, hash, &self.chunk_key, &chunk).map(drop)
    }

    /// The place of a chunk, whose key `chunk_key` then is.
    fn chunk(&mut self, slot: &Slot, number: u64) -> KeyHash {
        ChunkOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.chunk_key)
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
        self.each(arena, slot, |number, at, element| {
            if (from..=to).contains(&at) {
                each(number, Timed { value: T::owned(element.value()), at });
            }
        })
    }

    /// Shows the elements that are there, in order.
    fn each(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        mut each: impl FnMut(u64, Timestamp, &View<Numbered<T>>),
    ) -> Result<(), StateError> {
        let mut show = |element: &View<Numbered<T>>| {
            if let Some(number) = element.number() {
                each(number, element.at(), element);
            }
        };
        let begun = self.lists.get(arena, slot.hash, &slot.bytes, |list| {
            let chunks = list.chunks();
            // Most lists have one chunk.
            if chunks.is_empty() {
                list.each(&mut show);
            }
            chunks
        })?;
        let Some(chunks) = begun.filter(|chunks| !chunks.is_empty()) else { return Ok(()) };
        for number in chunks {
            let hash = self.chunk(slot, number);
            self.chunks.get(arena, hash, &self.chunk_key, |chunk| chunk.each(&mut show))?;
        }
        self.lists.get(arena, slot.hash, &slot.bytes, |list| list.each(&mut show)).map(drop)
    }

    /// Takes elements out, given their numbers in order.
    pub(crate) fn remove(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        numbers: &[u64],
    ) -> Result<(), StateError> {
        let Some(chunks) =
            self.lists.get(arena, slot.hash, &slot.bytes, View::<List<Numbered<T>>>::chunks)?
        else {
            return Ok(());
        };
        let chosen = |number: u64| numbers.binary_search(&number).is_ok();
        for number in chunks {
            let (mut all, mut left) = (0, 0);
            let hash = self.chunk(slot, number);
            self.chunks.change(arena, hash, &self.chunk_key, |element| {
                all += 1;
                left += u64::from(Numbered::<T>::take_out(element, chosen));
            })?;
            if all > 0 && left == 0 {
                self.chunks.remove(arena, hash, &self.chunk_key)?;
                self.lists.lose(arena, slot.hash, &slot.bytes, (number, all))?;
            }
        }
        let take_out = |element: &mut [u8]| {
            Numbered::<T>::take_out(element, chosen);
        };
        self.lists.change_last(arena, slot.hash, &slot.bytes, take_out)
    }

    /// Appends the elements of one list to another, and forgets the first.
    pub(crate) fn append(&mut self, arena: &mut Arena, into: &Slot, of: &Slot) -> Result<(), StateError> {
        let (mut bytes, mut elements) = (Vec::new(), Vec::new());
        self.each(arena, of, |_, at, element| {
            let start = bytes.len();
            bytes.extend_from_slice(element.value_bytes());
            elements.push((at, start..bytes.len()));
        })?;
        for (at, value) in elements {
            self.push(arena, into, &bytes[value], at)?;
        }
        self.clear(arena, of)
    }

    /// Forgets a list.
    pub(crate) fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let Some(chunks) =
            self.lists.get(arena, slot.hash, &slot.bytes, View::<List<Numbered<T>>>::chunks)?
        else {
            return Ok(());
        };
        for number in chunks {
            let hash = self.chunk(slot, number);
            self.chunks.remove(arena, hash, &self.chunk_key)?;
        }
        self.lists.remove(arena, slot.hash, &slot.bytes).map(drop)
    }
}
