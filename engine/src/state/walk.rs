//! The table: a range of the hash space at a time, page by page.
#![allow(unsafe_code)] // looks at entries through raw pointers

use crate::arena::{Arena, PageNo, StateError};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;

use super::page::{TablePage, prefix_mask};
use super::probe::Probe;
use super::table::Table;

/// So many empty places of the directory count as one page.
const EMPTY_PER_PAGE: usize = 64;

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// Shows the keys with hashes from `from` to `to` (both included), with their values, one page of the table after the other, in the
    /// order of the pages' hash ranges (no order within a page). Looks at no more than about `pages_max` pages, and returns the hash to
    /// go on from, `None` when done.
    ///
    /// The table may be changed between two pieces: keys that stay are shown exactly once; others, perhaps.
    pub fn walk(
        &self,
        arena: &mut Arena,
        from: KeyHash,
        to: KeyHash,
        pages_max: usize,
        mut each: impl FnMut(KeyHash, &[u8], &V::View),
    ) -> Result<Option<KeyHash>, StateError> {
        self.walk_raw(arena, from, to, pages_max, |hash, key, value| {
            // SAFETY: the bytes are those of a value in a page of this table.
            each(hash, key, unsafe { Self::view_of(value) });
        })
    }

    /// As [`Table::walk`], with the values' archived bytes, which [`Table::insert_raw`] of another table of the same types takes.
    pub fn walk_raw(
        &self,
        arena: &mut Arena,
        from: KeyHash,
        to: KeyHash,
        pages_max: usize,
        mut each: impl FnMut(KeyHash, &[u8], &[u8]),
    ) -> Result<Option<KeyHash>, StateError> {
        let mut left = pages_max.saturating_mul(EMPTY_PER_PAGE);
        let mut at = from;
        while at <= to {
            if left == 0 {
                return Ok(Some(at));
            }
            arena.make_room()?;
            let mut page = self.directory.page(at);
            let depth = if page == PageNo::NONE {
                left -= 1;
                self.directory.depth(at)
            } else {
                arena.info(page).level
            };
            while page != PageNo::NONE {
                left = left.saturating_sub(EMPTY_PER_PAGE);
                arena.bring_in(page)?;
                // SAFETY: the page is in memory, and directory and chains hold table pages of this layout only.
                let view = unsafe { TablePage::<K, V, P>::new(arena.at(page)) };
                for entry in view.entries() {
                    let hash = TablePage::<K, V, P>::hash(entry);
                    if at <= hash && hash <= to {
                        // SAFETY: an entry of this table; neither table nor arena change while `each` sees the bytes.
                        let (key, value) =
                            unsafe { (Self::key_bytes(arena, entry)?, Self::value_bytes(arena, entry)?) };
                        each(hash, key, value);
                    }
                }
                page = view.next();
            }
            match (at.0 | !prefix_mask(depth)).checked_add(1) {
                Some(next) => at = KeyHash(next),
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}
