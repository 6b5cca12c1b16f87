//! How many keys of one key group go at once: page by page, without a look-up for each.
#![allow(unsafe_code)] // looks at entries through raw pointers

use std::ops::Range;

use crate::arena::{Arena, PageNo, StateError};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;

use super::directory::GROUP_BITS;
use super::layout::Entry;
use super::page::{TablePage, prefix_mask};
use super::probe::Probe;
use super::table::Table;

/// Keys, by their hashes and where their bytes lie in one buffer.
#[derive(Default)]
struct Keys {
    keys: Vec<(KeyHash, Range<usize>)>,
    bytes: Vec<u8>,
}

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// How many pages [`Table::purge`] would look at for this key group, at most.
    pub fn pages_of_group(&self, group_of: KeyHash) -> usize {
        self.directory.slots_of_group(group_of)
    }

    /// Takes out all keys of the key group of a hash for which `goes` says so, as it is shown them in any order, perhaps several times.
    pub fn purge(
        &mut self,
        arena: &mut Arena,
        group_of: KeyHash,
        mut goes: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        let (mut keys, last) = (Keys::default(), group_of.0 | !prefix_mask(GROUP_BITS));
        let mut at = KeyHash(group_of.0 & prefix_mask(GROUP_BITS));
        // A page may hold several groups.
        let mut goes = |hash: KeyHash, key: &[u8]| hash.group() == group_of.group() && goes(key);
        loop {
            arena.make_room()?;
            let page = self.directory.page(at);
            let depth = match page {
                PageNo::NONE => self.directory.depth(at),
                page => arena.info(page).level,
            };
            if page != PageNo::NONE && !self.drop_page(arena, at, page, &mut goes)? {
                self.collect(arena, page, &mut keys, &mut goes)?;
                for (hash, key) in keys.keys.drain(..) {
                    self.remove(arena, hash, &keys.bytes[key])?;
                }
                keys.bytes.clear();
            }
            // Where what is left was merged with what comes next, that is looked at once more.
            match (at.0 | !prefix_mask(depth)).checked_add(1) {
                Some(next) if next <= last => at = KeyHash(next),
                _ => return Ok(()),
            }
        }
    }

    /// Drops a page, if it is no chain and all its keys go. Says whether it did.
    fn drop_page(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        page: PageNo,
        goes: &mut impl FnMut(KeyHash, &[u8]) -> bool,
    ) -> Result<bool, StateError> {
        arena.bring_in(page)?;
        let view = Self::view_page(arena, page);
        if view.next() != PageNo::NONE {
            return Ok(false);
        }
        for entry in view.entries() {
            // SAFETY: an entry of this table, whose bytes are only looked at.
            if !goes(TablePage::<K, V, P>::hash(entry), unsafe { Self::key_bytes(arena, entry)? }) {
                return Ok(false);
            }
        }
        for entry in view.entries() {
            // SAFETY: an entry of this table, which goes with its page; freeing bytes elsewhere does not move table pages.
            unsafe { self.free_refs(arena, entry)? };
        }
        self.len -= view.count() as u64;
        self.moves = self.moves.wrapping_add(1);
        self.free_page(arena, hash, page);
        Ok(true)
    }

    /// Notes the keys of a page and its chain that go.
    fn collect(
        &self,
        arena: &mut Arena,
        first: PageNo,
        into: &mut Keys,
        goes: &mut impl FnMut(KeyHash, &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let mut page = first;
        while page != PageNo::NONE {
            arena.bring_in(page)?;
            let view = Self::view_page(arena, page);
            for entry in view.entries() {
                // SAFETY: an entry of this table, whose bytes are only looked at.
                let (hash, key) =
                    (TablePage::<K, V, P>::hash(entry), unsafe { Self::key_bytes(arena, entry)? });
                if goes(hash, key) {
                    let start = into.bytes.len();
                    into.bytes.extend_from_slice(key);
                    into.keys.push((hash, start..into.bytes.len()));
                }
            }
            page = view.next();
        }
        Ok(())
    }

    /// Frees what an entry has elsewhere.
    ///
    /// # Safety
    /// `entry` is an entry of this table; nobody looks at it afterwards.
    #[inline]
    pub(super) unsafe fn free_refs(&mut self, arena: &mut Arena, entry: *mut u8) -> Result<(), StateError> {
        // SAFETY: where key or value are elsewhere, a reference stands in their place.
        unsafe {
            if Entry::<K, V>::KEY_IS_REF {
                self.slabs.free(arena, &mut self.pages, Self::key_ref(entry))?;
            }
            if Entry::<K, V>::VALUE_IS_REF {
                self.slabs.free(arena, &mut self.pages, Self::value_ref(entry))?;
            }
        }
        Ok(())
    }
}
