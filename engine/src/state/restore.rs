//! The table: taken up again after a restore, from what its pages say about themselves.
#![allow(unsafe_code)] // looks at entries through raw pointers

use crate::arena::{Arena, PageInfo, PageKind, PageNo, StateError, StateName, TableId};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;

use super::directory::{DEPTH_MAX, Depths};
use super::layout::Entry;
use super::page::{TablePage, prefix_mask};
use super::probe::Probe;
use super::slab;
use super::table::Table;

/// How many pages ahead of its turn a page's slot in the directory is asked for.
const PAGES_AHEAD: usize = 12;

/// What has to be saved of a table beside its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMeta {
    /// Its number in the arena.
    pub id: TableId,
    /// How many keys it holds.
    pub len: u64,
}

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// What has to be saved of this table at the switch to a new epoch.
    pub fn meta(&self) -> TableMeta {
        TableMeta { id: self.id, len: self.len }
    }

    /// Takes a table of a restored arena up. No page is read.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] where the pages do not make a table.
    pub fn restore(arena: &mut Arena, meta: TableMeta, name: &StateName) -> Result<Self, StateError> {
        let pages = arena.claim_table(meta.id, name.clone(), check_page::<K, V, P>);
        let mut table = Self::empty(meta.id);
        table.pages = pages;
        table.len = meta.len;
        match table.adopt_pages(arena) {
            Ok(()) => Ok(table),
            Err((page, what)) => {
                let error = arena.corrupt(page, meta.id, what);
                table.discard(arena);
                Err(error)
            }
        }
    }

    fn adopt_pages(&mut self, arena: &mut Arena) -> Result<(), (PageNo, &'static str)> {
        let mut depths = Depths::new();
        for page in arena.list(self.pages) {
            let info = arena.info(page);
            if info.kind == PageKind::Table {
                if info.level > DEPTH_MAX || info.prefix & !prefix_mask(info.level) != 0 {
                    return Err((page, "a table page has an impossible prefix"));
                }
                depths.enter(KeyHash(info.prefix), info.level);
            }
        }
        self.directory = depths.directory();
        // A large directory is in no near cache, and pages come in no order: so their slots are asked for some pages ahead.
        let mut ahead = arena.list(self.pages).nth(PAGES_AHEAD).unwrap_or(PageNo::NONE);
        let mut page = self.pages.first();
        while page != PageNo::NONE {
            if ahead != PageNo::NONE {
                self.directory.prefetch(KeyHash(arena.info(ahead).prefix));
                ahead = arena.after(ahead);
            }
            let adopted = self.adopt(arena, page);
            // It may have come in before anybody knew what it should look like.
            let sound = adopted.and_then(|()| match arena.is_resident(page) {
                true => check_page::<K, V, P>(arena, page),
                false => Ok(()),
            });
            sound.map_err(|what| (page, what))?;
            page = arena.after(page);
        }
        Ok(())
    }

    /// Takes up one page. The directory is as deep as the page.
    fn adopt(&mut self, arena: &mut Arena, page: PageNo) -> Result<(), &'static str> {
        let info = arena.info(page);
        match info.kind {
            PageKind::Table => {
                let free = self.directory.claim(KeyHash(info.prefix), info.level, page);
                free.then_some(()).ok_or("two table pages have the same prefix")
            }
            PageKind::Slab => self.slabs.adopt(arena, page),
            PageKind::Extent => {
                let first = u64::from(page.0);
                let rest = PageInfo::of_kind(PageKind::ExtentRest, self.id);
                let complete = info.prefix > 0
                    && (1..info.prefix)
                        .all(|at| arena.is_page_of(first.saturating_add(at), rest.kind, rest.table));
                complete.then_some(()).ok_or("pages of an extent are missing")
            }
            PageKind::Overflow | PageKind::ExtentRest | PageKind::Free => {
                let plain = info == PageInfo::of_kind(info.kind, self.id);
                plain.then_some(()).ok_or("a page says of itself what its kind does not have")
            }
        }
    }
}

/// Whether a page of this table that came from a checkpoint has the structure it should have, so that everything in it may be relied on.
pub(super) fn check_page<K: Key + ?Sized, V: Record, P: Probe>(
    arena: &Arena,
    page: PageNo,
) -> Result<(), &'static str> {
    let info = arena.info(page);
    if !matches!(info.kind, PageKind::Table | PageKind::Overflow) {
        return slab::check_page(arena, page);
    }
    // SAFETY: the page's bytes are in place; `check` only looks at them as plain numbers, and below they have passed it.
    let view = unsafe { TablePage::<K, V, P>::new(arena.at(page)) };
    view.check(info.level, info.prefix)?;
    let next = view.next();
    if next != PageNo::NONE && !arena.is_page_of(u64::from(next.0), PageKind::Overflow, info.table) {
        return Err("the chain leads to no overflow page of the table");
    }
    for entry in view.entries() {
        // SAFETY: an entry of a page of this layout.
        unsafe {
            if Entry::<K, V>::KEY_IS_REF {
                Table::<K, V, P>::key_ref(entry).check(arena, info.table)?;
            }
            if Entry::<K, V>::VALUE_IS_REF {
                Table::<K, V, P>::value_ref(entry).check(arena, info.table)?;
            }
        }
    }
    Ok(())
}
