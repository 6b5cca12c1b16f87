//! Tables whose types only their handles know: what a function of the program's own declares.

use std::any::Any;

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
    fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<K: Key + ?Sized, V: Record> AnyTable for Table<K, V> {
    fn meta(&self) -> TableMeta {
        Table::meta(self)
    }
    fn len(&self) -> u64 {
        Table::len(self)
    }
    fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError> {
        Table::remove(self, arena, hash, key)
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
