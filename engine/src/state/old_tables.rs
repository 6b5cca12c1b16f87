//! Tables that a table takes entries over from.

use crate::arena::{Arena, StateError, StateName};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;

use super::restore::TableMeta;
use super::table::Table;

/// How many pages a walk through another shard's table reads at a time.
const PAGES_PER_PIECE: usize = 64;

/// The tables of a shard of the time before a rescaling, or of a savepoint.
pub trait OldTables {
    /// Shows the entries of a table with hashes of a range (both ends included), with archived values that
    /// [`Table::insert_raw`] of a table of the same types takes. Blocks while it reads.
    ///
    /// # Errors
    /// They cannot be read, or `each` says so.
    fn each<K: Key + ?Sized, V: Record, E: From<StateError>>(
        &mut self,
        name: &StateName,
        table: TableMeta,
        hashes: (KeyHash, KeyHash),
        each: impl FnMut(KeyHash, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E>;
}

impl OldTables for Arena {
    fn each<K: Key + ?Sized, V: Record, E: From<StateError>>(
        &mut self,
        name: &StateName,
        table: TableMeta,
        (first, last): (KeyHash, KeyHash),
        mut each: impl FnMut(KeyHash, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = Table::<K, V>::restore(self, table, name)?;
        let (mut next, mut result) = (Some(first), Ok(()));
        while let Some(from) = next.filter(|from| *from <= last) {
            next = table.walk_raw(self, from, last, PAGES_PER_PIECE, |hash, key, value| {
                if result.is_ok() {
                    result = each(hash, key, value);
                }
            })?;
            if result.is_err() {
                break;
            }
        }
        result
    }
}
