//! What a join of several streams keeps of one of them.

use super::super::grid::Grid;
use super::super::side::RecordOf;
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::buckets::{ListNames, Lists, WindowSlot as Slot};
use crate::operator::failure::Cause;
use crate::operator::store::{Contents, Opening};
use crate::record::Record;
use crate::state::{StateError, Table};

/// What the tables of a side are called.
#[derive(Clone, Copy)]
pub(super) struct Names {
    lists: ListNames,
    given: &'static str,
}

/// By the numbers of the streams.
pub(super) const NAMES: [Names; 4] = [
    Names { lists: ListNames::FIRST, given: "first given out" },
    Names { lists: ListNames::SECOND, given: "second given out" },
    Names { lists: ListNames::THIRD, given: "third given out" },
    Names { lists: ListNames::FOURTH, given: "fourth given out" },
];

/// A record that is looked at.
struct Found<T> {
    record: T,
    at: Timestamp,
    number: u64,
    given: bool,
}

/// See the [module](self).
pub struct Side<K: Key + ?Sized, T: Record> {
    names: Names,
    lists: Lists<K, T>,
    /// The records that were part of something given out, where that matters.
    given: Option<Table<RecordOf<K>, ()>>,
    grid: Grid,
    found: Vec<Found<T>>,
    over: Vec<Found<T>>,
    slot: Slot,
    element: Vec<u8>,
}

impl<K: Key + ?Sized, T: Record> Side<K, T> {
    pub(super) fn open(
        opening: &mut Opening<'_>,
        names: Names,
        grid: Grid,
        notes_given: bool,
    ) -> Result<Self, Cause> {
        Ok(Side {
            names,
            lists: Lists::open(opening, names.lists)?,
            given: notes_given.then(|| opening.table(names.given)).transpose()?,
            grid,
            found: Vec::new(),
            over: Vec::new(),
            slot: Slot::default(),
            element: Vec::new(),
        })
    }

    /// Keeps a record, which is then the only one found. Says whether it is the first of its bucket.
    pub(super) fn add(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        (record, bytes): (T, &[u8]),
        at: Timestamp,
    ) -> Result<bool, StateError> {
        self.slot.set::<K>(key, self.grid.bucket_of(at));
        let number = self.lists.push_numbered(arena, &self.slot, bytes, at)?;
        self.found.clear();
        self.found.push(Found { record, at, number, given: false });
        Ok(number == 0)
    }

    /// A record that was found.
    pub(super) fn record(&self, index: Option<usize>) -> Option<&T> {
        index.map(|index| &self.found[index].record)
    }

    fn is_given(&mut self, arena: &mut Arena, slot: &Slot, number: u64) -> Result<bool, StateError> {
        let Some(given) = &self.given else { return Ok(false) };
        let hash = RecordOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
        given.contains(arena, hash, &self.element)
    }
}

/// A [`Side`], whatever the type of its records.
pub trait AnySide<K: Key + ?Sized> {
    #[doc(hidden)]
    fn list(&self, contents: &mut Contents);

    /// How many buckets of keys there are.
    fn buckets(&self) -> u64;

    /// How many buckets and notes there are.
    #[cfg(test)]
    fn left_behind(&self) -> u64;

    /// Finds the records of a key that came from the first time to the last, both included, in the order of their buckets and their
    /// arrival.
    fn find(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(), StateError>;

    /// How many were found.
    fn found(&self) -> usize;

    /// The event time of one of them.
    fn found_at(&self, index: usize) -> Timestamp;

    /// Notes that one of them was part of something given out.
    fn note_given(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        index: usize,
    ) -> Result<(), StateError>;

    #[doc(hidden)]
    fn find_over(&mut self, arena: &mut Arena, slot: &Slot, at: Timestamp) -> Result<usize, StateError>;

    #[doc(hidden)]
    fn next_over(&mut self, arena: &mut Arena, slot: &Slot) -> Result<bool, StateError>;

    #[doc(hidden)]
    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError>;
}

impl<K: Key + ?Sized, T: Record> AnySide<K> for Side<K, T> {
    fn list(&self, contents: &mut Contents) {
        self.lists.list(contents);
        if let Some(given) = &self.given {
            contents.table(self.names.given, given.meta());
        }
    }

    fn buckets(&self) -> u64 {
        self.lists.len()
    }

    #[cfg(test)]
    fn left_behind(&self) -> u64 {
        self.lists.len() + self.given.as_ref().map_or(0, Table::len)
    }

    fn find(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(), StateError> {
        self.found.clear();
        let mut bucket = self.grid.bucket_of(from);
        loop {
            self.slot.set::<K>(key, bucket);
            let found = &mut self.found;
            self.lists.read_between(arena, &self.slot, (from, to), |number, record| {
                found.push(Found { record: record.value, at: record.at, number, given: false });
            })?;
            if to < bucket.end || bucket.end == Timestamp::MAX {
                return Ok(());
            }
            bucket = self.grid.bucket_of(bucket.end);
        }
    }

    fn found(&self) -> usize {
        self.found.len()
    }

    fn found_at(&self, index: usize) -> Timestamp {
        self.found[index].at
    }

    fn note_given(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        index: usize,
    ) -> Result<(), StateError> {
        let found = &mut self.found[index];
        let Some(given) = self.given.as_mut().filter(|_| !found.given) else { return Ok(()) };
        found.given = true;
        self.slot.set::<K>(key, self.grid.bucket_of(found.at));
        let hash =
            RecordOf::<K>::encode_parts(self.slot.hash, &self.slot.bytes, &found.number, &mut self.element);
        given.insert(arena, hash, &self.element, &()).map(drop)
    }

    /// Looks for the records of a bucket that are waited for no longer from `at` on.
    fn find_over(&mut self, arena: &mut Arena, slot: &Slot, at: Timestamp) -> Result<usize, StateError> {
        let (grid, over) = (self.grid, &mut self.over);
        self.lists.read(arena, slot, |number, record| {
            if grid.over_at(record.at) == at {
                over.push(Found { record: record.value, at: record.at, number, given: false });
            }
        })?;
        // They are taken from the end.
        over.reverse();
        Ok(over.len())
    }

    /// Takes the next of those, which is then the only one found. Says whether it was part of nothing that was given out.
    fn next_over(&mut self, arena: &mut Arena, slot: &Slot) -> Result<bool, StateError> {
        self.found.clear();
        let Some(over) = self.over.pop() else { return Ok(false) };
        let alone = !self.is_given(arena, slot, over.number)?;
        self.found.push(over);
        Ok(alone)
    }

    /// Forgets a bucket.
    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        if let Some(given) = &mut self.given {
            let mut numbers = Vec::new();
            self.lists.read(arena, slot, |number, _| numbers.push(number))?;
            for number in numbers {
                let hash = RecordOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.element);
                given.remove(arena, hash, &self.element)?;
            }
        }
        self.lists.clear(arena, slot)
    }
}
