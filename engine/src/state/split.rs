//! How a table grows and shrinks: pages split, chain where splitting cannot help, merge, and go.
#![allow(unsafe_code)] // views pages as table pages, copies entries between them

use crate::arena::{Arena, PageInfo, PageKind, PageNo, StateError};
use crate::element::KeyHash;
use crate::key::Key;
use crate::limits::PAGE_BYTES;
use crate::record::Record;

use super::directory::{Buddy, DEPTH_MAX, Directory};
use super::layout::Entry;
use super::page::{TablePage, prefix_mask};
use super::probe::Probe;
use super::table::Table;

/// How often removal looks for a neighbour to merge with: whenever a sparse page's count is a multiple of this.
const MERGE_EVERY: usize = 8;

/// A page's bytes outside the arena.
#[repr(C, align(16))]
struct PageCopy([u8; PAGE_BYTES]);

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// A view of a table page.
    pub(super) fn view_page(arena: &Arena, page: PageNo) -> TablePage<K, V, P> {
        // SAFETY: called with pages that the directory or a chain of this table holds and that were brought in, or that are about
        // to be cleared.
        unsafe { TablePage::new(arena.at(page)) }
    }

    /// A page with a free slot for an entry with this hash, touched.
    #[inline]
    pub(super) fn reserve(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
    ) -> Result<TablePage<K, V, P>, StateError> {
        loop {
            let page = self.directory.page(hash);
            if page == PageNo::NONE {
                return self.first_page(arena, hash);
            }
            arena.touch(page)?;
            let view = Self::view_page(arena, page);
            if view.count() < Entry::<K, V>::FULL {
                return Ok(view);
            }
            if !self.split(arena, hash, page)? {
                return self.room_in_chain(arena, page);
            }
        }
    }

    /// The first page for a part of the hash space that had no entries.
    #[inline(never)]
    fn first_page(&mut self, arena: &mut Arena, hash: KeyHash) -> Result<TablePage<K, V, P>, StateError> {
        let depth = self.directory.free_depth(hash);
        let info = PageInfo::of_table(self.id, depth, hash.0 & prefix_mask(depth));
        let page = arena.alloc(&mut self.pages, info)?;
        let view = Self::view_page(arena, page);
        view.clear();
        self.directory.set(hash, depth, page);
        Ok(view)
    }

    /// Splits a full page (and its chain) that `hash` should go to by the first bit in which the hashes differ. Says no where they
    /// agree in all bits that a directory tells apart.
    #[cold]
    #[inline(never)]
    fn split(&mut self, arena: &mut Arena, hash: KeyHash, page: PageNo) -> Result<bool, StateError> {
        let mut differing = 0;
        let mut at = page;
        while at != PageNo::NONE {
            arena.bring_in(at)?;
            let view = Self::view_page(arena, at);
            for entry in view.entries() {
                differing |= TablePage::<K, V, P>::hash(entry).0 ^ hash.0;
            }
            at = view.next();
        }
        let common = differing.leading_zeros() as u8;
        if common >= DEPTH_MAX {
            return Ok(false);
        }
        let old_depth = arena.info(page).level;
        let depth = common + 1;
        let low = KeyHash(hash.0 & prefix_mask(common));
        let high = KeyHash(low.0 | 1 << (63 - common));
        let other = arena.alloc(&mut self.pages, PageInfo::of_table(self.id, depth, high.0))?;
        let (view, other_view) = (Self::view_page(arena, page), Self::view_page(arena, other));
        self.moves = self.moves.wrapping_add(1);
        self.directory.deepen(hash, depth);
        if depth > old_depth + 1 {
            self.directory.set(hash, old_depth, PageNo::NONE);
        }
        self.directory.set(low, depth, page);
        self.directory.set(high, depth, other);
        arena.set_info(page, PageInfo::of_table(self.id, depth, low.0));

        let mut copy = PageCopy([0; PAGE_BYTES]);
        let mut next = Self::copy_out(arena, page, &mut copy);
        view.clear();
        other_view.clear();
        let is_high = |entry: *const u8| TablePage::<K, V, P>::hash(entry).0 & high.0 & !low.0 != 0;
        for entry in Self::entries_of(&mut copy) {
            if is_high(entry) { other_view.put_copy(entry) } else { view.put_copy(entry) }
        }
        while next != PageNo::NONE {
            let overflow = next;
            next = Self::copy_out(arena, overflow, &mut copy);
            arena.free(&mut self.pages, overflow);
            for entry in Self::entries_of(&mut copy) {
                let half = if is_high(entry) { other } else { page };
                self.room_in_chain(arena, half)?.put_copy(entry);
            }
        }
        Ok(true)
    }

    /// Copies a page's bytes out, and says which page comes next in its chain.
    fn copy_out(arena: &Arena, page: PageNo, copy: &mut PageCopy) -> PageNo {
        // SAFETY: a whole page of the arena, and a buffer of the same size outside of it.
        unsafe { copy.0.as_mut_ptr().copy_from_nonoverlapping(arena.at(page), PAGE_BYTES) };
        Self::view_page(arena, page).next()
    }

    fn entries_of(copy: &mut PageCopy) -> impl Iterator<Item = *mut u8> {
        // SAFETY: the bytes of a table page of this layout, aligned as its entries need.
        unsafe { TablePage::<K, V, P>::new(copy.0.as_mut_ptr()) }.entries()
    }

    /// A page with a free slot among a page (touched already) and its chain, which grows if need be.
    #[inline(never)]
    fn room_in_chain(&mut self, arena: &mut Arena, first: PageNo) -> Result<TablePage<K, V, P>, StateError> {
        let first_view = Self::view_page(arena, first);
        if first_view.count() < Entry::<K, V>::FULL {
            return Ok(first_view);
        }
        let mut page = first_view.next();
        while page != PageNo::NONE {
            arena.bring_in(page)?;
            let view = Self::view_page(arena, page);
            if view.count() < Entry::<K, V>::FULL {
                arena.touch(page)?;
                return Ok(view);
            }
            page = view.next();
        }
        // At the front, so that the next search for room is short.
        let page = arena.alloc(&mut self.pages, PageInfo::of_kind(PageKind::Overflow, self.id))?;
        let view = Self::view_page(arena, page);
        view.clear();
        view.set_next(first_view.next());
        first_view.set_next(page);
        Ok(view)
    }

    /// After an entry was removed from `page`: frees it if it is empty, merges it with a neighbour if both are sparse.
    pub(super) fn tidy(&mut self, arena: &mut Arena, hash: KeyHash, page: PageNo) -> Result<(), StateError> {
        let view = Self::view_page(arena, page);
        let count = view.count();
        let info = arena.info(page);
        if info.kind == PageKind::Overflow {
            return if count == 0 { self.unchain(arena, hash, page) } else { Ok(()) };
        }
        if view.next() != PageNo::NONE {
            return Ok(());
        }
        if count == 0 {
            self.free_page(arena, hash, page);
            return Ok(());
        }
        if count <= Entry::<K, V>::SPARSE && count.is_multiple_of(MERGE_EVERY) {
            return self.merge(arena, hash, page);
        }
        Ok(())
    }

    /// Frees a page without a chain, all of whose keys are gone. `hash` is one that it holds.
    pub(super) fn free_page(&mut self, arena: &mut Arena, hash: KeyHash, page: PageNo) {
        self.directory.set(hash, arena.info(page).level, PageNo::NONE);
        arena.free(&mut self.pages, page);
        if self.len == 0 {
            self.directory = Directory::new();
        }
    }

    /// Takes an empty page out of the chain it is in, and frees it.
    fn unchain(&mut self, arena: &mut Arena, hash: KeyHash, page: PageNo) -> Result<(), StateError> {
        let after = Self::view_page(arena, page).next();
        let first = self.directory.page(hash);
        let mut before = first;
        // The page was found by walking this chain, so it is in memory and the page is in it.
        while Self::view_page(arena, before).next() != page {
            before = Self::view_page(arena, before).next();
        }
        arena.touch(before)?;
        Self::view_page(arena, before).set_next(after);
        arena.free(&mut self.pages, page);
        if after == PageNo::NONE && before == first && Self::view_page(arena, first).count() == 0 {
            return self.tidy(arena, hash, first);
        }
        Ok(())
    }

    /// Merges a sparse page with neighbours as long as they are sparse together.
    #[inline(never)]
    fn merge(&mut self, arena: &mut Arena, hash: KeyHash, page: PageNo) -> Result<(), StateError> {
        let mut depth = arena.info(page).level;
        while depth > 0 {
            match self.directory.buddy(hash, depth, |other| arena.info(other).level) {
                // Nothing there: the page may as well be one bit less deep, where it may have a neighbour.
                Buddy::Nothing => depth -= 1,
                Buddy::Page(other) if arena.is_resident(other) => {
                    let (view, other_view) = (Self::view_page(arena, page), Self::view_page(arena, other));
                    let together = view.count() + other_view.count();
                    if together > Entry::<K, V>::SPARSE || other_view.next() != PageNo::NONE {
                        break;
                    }
                    arena.touch(page)?;
                    for entry in other_view.entries() {
                        view.put_copy(entry);
                    }
                    arena.free(&mut self.pages, other);
                    depth -= 1;
                    self.directory.set(hash, depth, page);
                    let prefix = hash.0 & prefix_mask(depth);
                    arena.set_info(page, PageInfo::of_table(self.id, depth, prefix));
                    self.moves = self.moves.wrapping_add(1);
                }
                _ => break,
            }
        }
        Ok(())
    }
}
