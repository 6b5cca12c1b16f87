//! Bytes of variable size: slots of size classes in slab pages; extents of whole pages for what is larger.
#![allow(unsafe_code)] // reads and writes slots through raw pointers into pages

use crate::arena::{Arena, PageInfo, PageKind, PageList, PageNo, StateError, TableId};
use crate::limits::PAGE_BYTES;

/// The sizes of slots. Steps of at most a quarter (a third for the largest), all multiples of 16, so that records are aligned.
const CLASSES: [u16; 21] =
    [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 800, 1008, 1344, 2016];
/// Slots lie at multiples of this: a slot's place in its page is told in units of it.
const UNIT: usize = 16;
const BITMAP_AT: usize = 16;
const BITMAP_WORDS: usize = 4;
/// Where the slots of a slab page start.
const SLOTS_AT: usize = BITMAP_AT + BITMAP_WORDS * 8;
/// Where the bytes of an extent start, after their length.
const EXTENT_AT: usize = 16;

/// The most bytes that lie in a slot.
pub(super) const SLOT_BYTES_MAX: usize = CLASSES[CLASSES.len() - 1] as usize;

const _: () = assert!((PAGE_BYTES - SLOTS_AT) / UNIT <= BITMAP_WORDS * 64);
const _: () = assert!(PAGE_BYTES / UNIT <= u16::MAX as usize);

fn class_of(len: usize) -> Option<u8> {
    let class = CLASSES.partition_point(|&size| usize::from(size) < len);
    (class < CLASSES.len()).then_some(class as u8)
}

fn slots_of(class: u8) -> u16 {
    ((PAGE_BYTES - SLOTS_AT) / usize::from(CLASSES[usize::from(class)])) as u16
}

fn pages_of(len: usize) -> u32 {
    (EXTENT_AT + len).div_ceil(PAGE_BYTES) as u32
}

/// Where bytes lie: page (32 bits), length (16), place in the page in units of 16 bytes (16); from the lowest bit. Place 0 is an
/// extent, whose length stands at its start. All zeros: no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Ref(pub(super) u64);

impl Ref {
    pub(super) const EMPTY: Ref = Ref(0);

    fn slot(page: PageNo, at: usize, len: usize) -> Ref {
        Ref(u64::from(page.0) | (len as u64) << 32 | ((at / UNIT) as u64) << 48)
    }
    fn extent(page: PageNo) -> Ref {
        Ref(u64::from(page.0))
    }
    fn page(self) -> PageNo {
        PageNo(self.0 as u32)
    }
    fn at(self) -> usize {
        (self.0 >> 48) as usize * UNIT
    }
    pub(super) fn slot_len(self) -> usize {
        usize::from((self.0 >> 32) as u16)
    }
    fn is_extent(self) -> bool {
        self != Ref::EMPTY && self.at() == 0
    }
    /// Whether it can be told without a look at the bytes that they have another length than this.
    #[inline]
    pub(super) fn has_other_len(self, len: usize) -> bool {
        !self.is_extent() && self.slot_len() != len
    }

    /// Where the bytes start, for a prefetch.
    #[inline]
    pub(super) fn address(self, arena: &Arena) -> *const u8 {
        // SAFETY: a place in a page of the arena.
        unsafe { arena.at(self.page()).add(self.at()) }
    }

    /// Whether a reference from a checkpoint leads to bytes of this table.
    pub(super) fn check(self, arena: &Arena, table: TableId) -> Result<(), &'static str> {
        if self == Ref::EMPTY {
            return Ok(());
        }
        let page = self.0 & u64::from(u32::MAX);
        if self.at() == 0 {
            let is = self.slot_len() == 0 && arena.is_page_of(page, PageKind::Extent, table);
            return is.then_some(()).ok_or("a reference leads to no extent of the table");
        }
        if !arena.is_page_of(page, PageKind::Slab, table) {
            return Err("a reference leads to no slab page of the table");
        }
        // The class was checked when the table was taken up.
        let class = arena.info(PageNo(page as u32)).level;
        let size = usize::from(CLASSES[usize::from(class)]);
        let fits = self.at() >= SLOTS_AT
            && (self.at() - SLOTS_AT).is_multiple_of(size)
            && (self.at() - SLOTS_AT) / size < usize::from(slots_of(class))
            && self.slot_len() <= size
            && self.slot_len() > 0;
        fits.then_some(()).ok_or("a reference leads past the slots of its page")
    }
}

/// The slots of one table: per size class, the pages that have free ones.
pub(super) struct Slabs {
    table: TableId,
    partial: [PageNo; CLASSES.len()],
}

impl Slabs {
    pub(super) fn new(table: TableId) -> Self {
        Slabs { table, partial: [PageNo::NONE; CLASSES.len()] }
    }

    /// Stores bytes.
    pub(super) fn store(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        bytes: &[u8],
    ) -> Result<Ref, StateError> {
        if bytes.is_empty() {
            return Ok(Ref::EMPTY);
        }
        let to = self.take(arena, pages, bytes.len(), bytes.len())?;
        write(arena, to, bytes);
        Ok(to)
    }

    /// Gives stored bytes another length, which is not 0: in place where their slot has room. What is behind those that were there is
    /// whatever lay there before.
    #[inline]
    pub(super) fn resize(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        old: Ref,
        len: usize,
    ) -> Result<Ref, StateError> {
        if old != Ref::EMPTY && !old.is_extent() {
            let class = arena.info(old.page()).level;
            if len <= usize::from(CLASSES[usize::from(class)]) {
                arena.touch(old.page())?;
                return Ok(Ref::slot(old.page(), old.at(), len));
            }
        }
        self.resize_elsewhere(arena, pages, old, len)
    }

    #[inline(never)]
    fn resize_elsewhere(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        old: Ref,
        len: usize,
    ) -> Result<Ref, StateError> {
        let (from, old_len) = bytes_at(arena, old)?;
        // Half as much again, so that what grows bit by bit is not copied each time.
        let room = (old_len + old_len / 2).min(SLOT_BYTES_MAX);
        let to = self.take(arena, pages, len, if len > old_len { len.max(room) } else { len })?;
        let at = begin(arena, to, len);
        // SAFETY: stored bytes, and room of its own for at least as many as are copied.
        unsafe { at.copy_from_nonoverlapping(from, old_len.min(len)) };
        self.free(arena, pages, old)?;
        Ok(to)
    }

    /// A place for `len` bytes, which are not none, with room for `room`.
    fn take(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        len: usize,
        room: usize,
    ) -> Result<Ref, StateError> {
        match class_of(room) {
            Some(class) => self.take_slot(arena, pages, class, len),
            None => arena.alloc_run(pages, self.table, pages_of(len)).map(Ref::extent),
        }
    }

    /// Replaces stored bytes: in place where they fit as well as before.
    pub(super) fn replace(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        old: Ref,
        bytes: &[u8],
    ) -> Result<Ref, StateError> {
        if old.is_extent() {
            let count = arena.info(old.page()).prefix as u32;
            if class_of(bytes.len()).is_none() && pages_of(bytes.len()) == count {
                for rest in 0..count {
                    arena.touch(PageNo(old.page().0 + rest))?;
                }
                write(arena, old, bytes);
                return Ok(old);
            }
        } else if old != Ref::EMPTY
            && class_of(bytes.len()) == Some(arena.info(old.page()).level)
            && !bytes.is_empty()
        {
            arena.touch(old.page())?;
            let to = Ref::slot(old.page(), old.at(), bytes.len());
            write(arena, to, bytes);
            return Ok(to);
        }
        let to = self.store(arena, pages, bytes)?;
        self.free(arena, pages, old)?;
        Ok(to)
    }

    /// Frees stored bytes.
    pub(super) fn free(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        old: Ref,
    ) -> Result<(), StateError> {
        if old == Ref::EMPTY {
            return Ok(());
        }
        let page = old.page();
        if old.is_extent() {
            arena.free_run(pages, page, arena.info(page).prefix as u32);
            return Ok(());
        }
        arena.touch(page)?;
        let mut info = arena.info(page);
        let class = info.level;
        let slot = (old.at() - SLOTS_AT) / usize::from(CLASSES[usize::from(class)]);
        let word = bitmap_word(arena, page, slot / 64);
        // SAFETY: a word of the page's bitmap; the page was touched.
        unsafe {
            if *word & (1 << (slot % 64)) == 0 {
                return Err(arena.corrupt(page, self.table, "a slot is freed that is not in use"));
            }
            *word &= !(1 << (slot % 64));
        }
        let partial = &mut self.partial[usize::from(class)];
        if info.free == 0 {
            arena.link_partial(partial, page);
        }
        info.free += 1;
        arena.set_info(page, info);
        if info.free == slots_of(class) {
            arena.unlink_partial(partial, page);
            arena.free(pages, page);
        }
        Ok(())
    }

    fn take_slot(
        &mut self,
        arena: &mut Arena,
        pages: &mut PageList,
        class: u8,
        len: usize,
    ) -> Result<Ref, StateError> {
        let mut page = self.partial[usize::from(class)];
        if page == PageNo::NONE {
            let info = PageInfo {
                level: class,
                free: slots_of(class),
                ..PageInfo::of_kind(PageKind::Slab, self.table)
            };
            page = arena.alloc(pages, info)?;
            // SAFETY: header and bitmap of a page that was just handed out.
            unsafe { arena.at(page).write_bytes(0, SLOTS_AT) };
            arena.link_partial(&mut self.partial[usize::from(class)], page);
        } else {
            arena.touch(page)?;
        }
        for index in 0..BITMAP_WORDS {
            let word = bitmap_word(arena, page, index);
            // SAFETY: a word of the page's bitmap; the page was touched.
            let bit = unsafe { (*word).trailing_ones() as usize };
            let slot = index * 64 + bit;
            if bit < 64 && slot < usize::from(slots_of(class)) {
                // SAFETY: as before.
                unsafe { *word |= 1 << bit };
                let mut info = arena.info(page);
                info.free -= 1;
                arena.set_info(page, info);
                if info.free == 0 {
                    arena.unlink_partial(&mut self.partial[usize::from(class)], page);
                }
                let at = SLOTS_AT + slot * usize::from(CLASSES[usize::from(class)]);
                return Ok(Ref::slot(page, at, len));
            }
        }
        Err(arena.corrupt(page, self.table, "a slab page has no free slot although it says so"))
    }

    /// Takes up a slab page of a checkpoint, by what it says about itself.
    pub(super) fn adopt(&mut self, arena: &mut Arena, page: PageNo) -> Result<(), &'static str> {
        let info = arena.info(page);
        if usize::from(info.level) >= CLASSES.len() || info.free >= slots_of(info.level) {
            return Err("a slab page has an unknown size class or too many free slots");
        }
        if info.free > 0 {
            arena.link_partial(&mut self.partial[usize::from(info.level)], page);
        }
        Ok(())
    }
}

/// The stored bytes, brought in if need be: where they start, and how many. They stay until the table is changed.
#[inline]
pub(super) fn bytes_at(arena: &mut Arena, of: Ref) -> Result<(*mut u8, usize), StateError> {
    if of == Ref::EMPTY {
        // An address for no bytes, aligned as records are.
        return Ok((std::ptr::without_provenance_mut(UNIT), 0));
    }
    arena.bring_in(of.page())?;
    let start = arena.at(of.page());
    if !of.is_extent() {
        // SAFETY: a slot of the page.
        return Ok((unsafe { start.add(of.at()) }, of.slot_len()));
    }
    // SAFETY: the start of an extent; its length stands there.
    let len = unsafe { start.cast::<u64>().read() } as usize;
    for rest in 1..pages_of(len) {
        arena.bring_in(PageNo(of.page().0 + rest))?;
    }
    // SAFETY: the bytes of an extent start here.
    Ok((unsafe { start.add(EXTENT_AT) }, len))
}

/// Makes stored bytes writable in place.
#[inline]
pub(super) fn touch_bytes(arena: &mut Arena, of: Ref) -> Result<(), StateError> {
    if of == Ref::EMPTY {
        return Ok(());
    }
    let count = if of.is_extent() { arena.info(of.page()).prefix as u32 } else { 1 };
    for rest in 0..count {
        arena.touch(PageNo(of.page().0 + rest))?;
    }
    Ok(())
}

/// Whether a slab page or an extent's first page from a checkpoint is what it says.
pub(super) fn check_page(arena: &Arena, page: PageNo) -> Result<(), &'static str> {
    let info = arena.info(page);
    match info.kind {
        PageKind::Slab => {
            let slots = slots_of(info.level);
            let mut used = 0;
            for index in 0..BITMAP_WORDS {
                // SAFETY: a word of the page's bitmap, in bytes that were just read in.
                let word = unsafe { *bitmap_word(arena, page, index) };
                used += word.count_ones();
                let end = usize::from(slots).saturating_sub(index * 64).min(64);
                if word.checked_shr(end as u32).unwrap_or(0) != 0 {
                    return Err("a slot is in use past the last");
                }
            }
            if used != u32::from(slots - info.free) {
                return Err("the count of free slots is wrong");
            }
        }
        PageKind::Extent => {
            // SAFETY: the page's first word.
            let len = unsafe { arena.at(page).cast::<u64>().read() };
            if len > info.prefix * PAGE_BYTES as u64 || u64::from(pages_of(len as usize)) != info.prefix {
                return Err("an extent's length does not fit its pages");
            }
        }
        _ => {}
    }
    Ok(())
}

/// Writes bytes to pages that were touched.
fn write(arena: &mut Arena, to: Ref, bytes: &[u8]) {
    // SAFETY: a slot of a class with room for the bytes, or an extent with pages enough for them and their length.
    unsafe { begin(arena, to, bytes.len()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
}

/// Where so many bytes are to be written, in pages that were touched. The length of an extent is written here.
fn begin(arena: &mut Arena, to: Ref, len: usize) -> *mut u8 {
    let start = arena.at(to.page());
    // SAFETY: a slot of a class with room for the bytes, or an extent with pages enough for them and their length.
    unsafe {
        if to.is_extent() {
            start.cast::<u64>().write(len as u64);
            start.add(8).cast::<u64>().write(0);
            start.add(EXTENT_AT)
        } else {
            start.add(to.at())
        }
    }
}

fn bitmap_word(arena: &Arena, page: PageNo, index: usize) -> *mut u64 {
    debug_assert!(index < BITMAP_WORDS);
    // SAFETY: the bitmap lies in the page, at a multiple of 8.
    unsafe { arena.at(page).add(BITMAP_AT).cast::<u64>().add(index) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_a_slot_that_fits() {
        assert_eq!(class_of(2017), None);
        for len in 1..=2016usize {
            let class = class_of(len).unwrap();
            let size = usize::from(CLASSES[usize::from(class)]);
            assert!(size >= len && size.is_multiple_of(UNIT));
            assert!(class == 0 || usize::from(CLASSES[usize::from(class) - 1]) < len);
            assert!(usize::from(slots_of(class)) * size + SLOTS_AT <= PAGE_BYTES);
        }
    }
}
