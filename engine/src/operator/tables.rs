//! Tables whose types only their handles know: what a function of the program's own declares.

use std::any::Any;
use std::ops::Range;

use super::store::Contents;
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;
use crate::state::{StateError, Table, TableMeta};

/// A table whose types only its handle knows.
trait AnyTable {
    fn meta(&self) -> TableMeta;
    fn len(&self) -> u64;
    fn bytes(&self) -> u64;
    fn contains(&self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError>;
    fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError>;
    fn insert_raw(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StateError>;
    fn get_raw(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError>;
    fn walk_raw(
        &self,
        arena: &mut Arena,
        between: (KeyHash, KeyHash),
        pages: usize,
        each: &mut dyn FnMut(KeyHash, &[u8], &[u8]),
    ) -> Result<Option<KeyHash>, StateError>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<K: Key + ?Sized, V: Record> AnyTable for Table<K, V> {
    fn meta(&self) -> TableMeta {
        Table::meta(self)
    }
    fn len(&self) -> u64 {
        Table::len(self)
    }
    fn bytes(&self) -> u64 {
        Table::bytes(self)
    }
    fn contains(&self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError> {
        Table::contains(self, arena, hash, key)
    }
    fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError> {
        Table::remove(self, arena, hash, key)
    }
    fn insert_raw(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StateError> {
        Table::insert_raw(self, arena, hash, key, value)
    }
    fn get_raw(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError> {
        Table::get_raw(self, arena, hash, key, show).map(drop)
    }
    fn walk_raw(
        &self,
        arena: &mut Arena,
        (from, to): (KeyHash, KeyHash),
        pages: usize,
        each: &mut dyn FnMut(KeyHash, &[u8], &[u8]),
    ) -> Result<Option<KeyHash>, StateError> {
        Table::walk_raw(self, arena, from, to, pages, each)
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Tables by the numbers that their handles hold.
#[derive(Default)]
pub(crate) struct Tables(Vec<(String, Box<dyn AnyTable>)>);

impl Tables {
    /// Adds a table, and gives its number.
    pub(crate) fn push<K: Key + ?Sized, V: Record>(&mut self, name: &str, table: Table<K, V>) -> usize {
        self.0.push((name.to_owned(), Box::new(table)));
        self.0.len() - 1
    }

    /// The table of a handle.
    ///
    /// # Panics
    /// Where the handle was not declared in `open`.
    #[inline]
    pub(crate) fn of<K: Key + ?Sized, V: Record>(&mut self, slot: Option<usize>) -> &mut Table<K, V> {
        let slot =
            slot.expect("a state is used that was not declared: do so in `open`, with states.value(..)");
        let table = self.0[slot].1.as_any().downcast_mut();
        table.expect("a handle has the type of its table")
    }

    /// Takes a key out of the table of this number.
    pub(crate) fn remove(
        &mut self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.0[number].1.remove(arena, hash, key)
    }

    /// Takes a key out of a table that is only there where it is needed.
    pub(crate) fn remove_from(
        &mut self,
        number: Option<usize>,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<(), StateError> {
        number.map_or(Ok(()), |number| self.remove(number, arena, hash, key).map(drop))
    }

    /// Puts an archived value into the table of this number; see [`Table::insert_raw`].
    pub(crate) fn insert_raw(
        &mut self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StateError> {
        self.0[number].1.insert_raw(arena, hash, key, value)
    }

    /// Shows an archived value of the table of this number, if it is there.
    pub(crate) fn get_raw(
        &self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError> {
        self.0[number].1.get_raw(arena, hash, key, show)
    }

    /// Walks through the table of this number; see [`Table::walk_raw`].
    pub(crate) fn walk_raw(
        &self,
        number: usize,
        arena: &mut Arena,
        between: (KeyHash, KeyHash),
        pages: usize,
        each: &mut dyn FnMut(KeyHash, &[u8], &[u8]),
    ) -> Result<Option<KeyHash>, StateError> {
        self.0[number].1.walk_raw(arena, between, pages, each)
    }

    /// Whether the table of this number is empty.
    pub(crate) fn is_empty(&self, number: usize) -> bool {
        self.len_of(number) == 0
    }

    /// How many keys the table of this number holds.
    pub(crate) fn len_of(&self, number: usize) -> u64 {
        self.0[number].1.len()
    }

    /// How many bytes the pages take that these tables lie in.
    pub(crate) fn bytes_of(&self, numbers: Range<usize>) -> u64 {
        self.0[numbers].iter().map(|(_, table)| table.bytes()).sum()
    }

    /// Whether the table of this number holds a key.
    pub(crate) fn contains(
        &self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.0[number].1.contains(arena, hash, key)
    }

    /// How many tables there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The most keys that a table has.
    pub(crate) fn keys(&self) -> u64 {
        self.0.iter().map(|(_, table)| table.len()).max().unwrap_or(0)
    }

    /// Notes all of them for a checkpoint.
    pub(crate) fn list(&self, contents: &mut Contents) {
        for (name, table) in &self.0 {
            contents.table(name, table.meta());
        }
    }
}
