//! Tables whose types only their handles know: what a function of the program's own declares.

use std::any::{Any, TypeId};
use std::ops::Range;

use super::store::Contents;
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::key::{Key, KeyPart, Sub};
use crate::record::Record;
use crate::state::{StateError, Table, TableMeta};

/// A table whose types only its handle knows.
trait AnyTable {
    fn meta(&self) -> TableMeta;
    fn len(&self) -> u64;
    fn bytes(&self) -> u64;
    fn contains(&self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError>;
    fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError>;
    fn clear(&mut self, arena: &mut Arena);
    fn expect(&self, arena: &Arena, hashes: &[KeyHash]);
    fn pages_of_group(&self, group_of: KeyHash) -> usize;
    fn purge(
        &mut self,
        arena: &mut Arena,
        group_of: KeyHash,
        goes: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError>;
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
    fn clear(&mut self, arena: &mut Arena) {
        Table::clear(self, arena);
    }
    fn expect(&self, arena: &Arena, hashes: &[KeyHash]) {
        Table::expect(self, arena, hashes);
    }
    fn pages_of_group(&self, group_of: KeyHash) -> usize {
        Table::pages_of_group(self, group_of)
    }
    fn purge(
        &mut self,
        arena: &mut Arena,
        group_of: KeyHash,
        goes: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        Table::purge(self, arena, group_of, goes)
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

/// A table, its name, and the type of its keys.
struct Named {
    name: String,
    table: Box<dyn AnyTable>,
    key: TypeId,
    /// Whether it was used since the last look ahead.
    used: bool,
}

/// Tables by the numbers that their handles hold.
#[derive(Default)]
pub(crate) struct Tables(Vec<Named>);

impl Tables {
    /// Adds a table, and gives its number.
    pub(crate) fn push<K: Key + ?Sized, V: Record>(&mut self, name: &str, table: Table<K, V>) -> usize {
        let (name, table, key) = (name.to_owned(), Box::new(table), TypeId::of::<K>());
        self.0.push(Named { name, table, key, used: false });
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
        let named = &mut self.0[slot];
        named.used = true;
        named.table.as_any().downcast_mut().expect("a handle has the type of its table")
    }

    /// Records with these keys come next: asks for what the look-ups will need in those tables by `K` that the last ones used.
    pub(crate) fn expect<K: Key + ?Sized>(&mut self, arena: &Arena, hashes: &[KeyHash]) {
        let key = TypeId::of::<K>();
        for named in self.0.iter_mut().filter(|named| named.key == key) {
            if std::mem::take(&mut named.used) {
                named.table.expect(arena, hashes);
            }
        }
    }

    /// Takes a key out of the table of this number.
    pub(crate) fn remove(
        &mut self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.0[number].table.remove(arena, hash, key)
    }

    /// Takes all keys out of those tables that `which` says.
    pub(crate) fn clear_those(&mut self, arena: &mut Arena, which: impl Fn(usize) -> bool) {
        let chosen = self.0.iter_mut().enumerate().filter(|(number, _)| which(*number));
        chosen.filter(|(_, own)| own.table.len() > 0).for_each(|(_, own)| own.table.clear(arena));
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

    /// How many pages of the table of this number hold keys of a key group, at most.
    pub(crate) fn pages_of_group(&self, number: usize, group_of: KeyHash) -> usize {
        self.0[number].table.pages_of_group(group_of)
    }

    /// Takes all sub-keys of a key out of the table of this number, whose keys are `Sub<K, S>`.
    pub(crate) fn purge<K: Key + ?Sized, S: KeyPart>(
        &mut self,
        number: usize,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        self.0[number].table.purge(arena, hash, &mut |sub_key| Sub::<K, S>::is_of(sub_key, hash, key))
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
        self.0[number].table.insert_raw(arena, hash, key, value)
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
        self.0[number].table.get_raw(arena, hash, key, show)
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
        self.0[number].table.walk_raw(arena, between, pages, each)
    }

    /// The number of the table of this name.
    pub(crate) fn number_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|named| named.name == name)
    }

    /// Whether the table of this number is empty.
    pub(crate) fn is_empty(&self, number: usize) -> bool {
        self.len_of(number) == 0
    }

    /// How many keys the table of this number holds.
    pub(crate) fn len_of(&self, number: usize) -> u64 {
        self.0[number].table.len()
    }

    /// How many bytes the pages take that these tables lie in.
    pub(crate) fn bytes_of(&self, numbers: Range<usize>) -> u64 {
        self.0[numbers].iter().map(|named| named.table.bytes()).sum()
    }

    /// Whether the table of this number holds a key.
    pub(crate) fn contains(
        &self,
        number: usize,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        self.0[number].table.contains(arena, hash, key)
    }

    /// How many tables there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The most keys that a table has.
    pub(crate) fn keys(&self) -> u64 {
        self.0.iter().map(|named| named.table.len()).max().unwrap_or(0)
    }

    /// Notes all of them for a checkpoint.
    pub(crate) fn list(&self, contents: &mut Contents) {
        for named in &self.0 {
            contents.table(&named.name, named.table.meta());
        }
    }
}
