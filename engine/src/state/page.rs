//! One page of a table: a header, tags, entries. A picture is in `docs/formats/page.md`.
//!
//! An entry lies in the first group, counted from the one its hash names, that had a free slot. A search may therefore stop at
//! the first group with a free slot. Removal keeps it so without tombstones: where a full group gets a hole, an entry from
//! behind that had passed this group moves into it (Knuth's deletion from linear probing, 6.4 algorithm R, by groups).
#![allow(unsafe_code)] // reads and writes entries through raw pointers into a page

use std::marker::PhantomData;

use crate::arena::PageNo;
use crate::element::KeyHash;
use crate::key::Key;
use crate::limits::PAGE_BYTES;
use crate::record::Record;

use super::layout::{Entry, TAGS_AT};
use super::probe::{GROUP, NO_SLOT, Probe};

/// The tag of a hash: from bits that are neither prefix nor group.
#[inline(always)]
pub(super) fn tag_of(hash: KeyHash) -> u8 {
    hash.0 as u8 | 1
}

/// A view of a page as a table page. Every method presumes that the bytes are those of a page of this layout: initialised by
/// [`TablePage::clear`] or checked by [`TablePage::check`], and writable where the method writes. The table keeps it so.
pub(super) struct TablePage<K: ?Sized, V, P> {
    base: *mut u8,
    types: PhantomData<(V, P, K)>,
}

impl<K: ?Sized, V, P> Clone for TablePage<K, V, P> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: ?Sized, V, P> Copy for TablePage<K, V, P> {}

/// The slots of a group that have the tag of a hash.
#[derive(Clone, Copy)]
pub(super) struct Candidates {
    group: usize,
    mask: u32,
}

impl Candidates {
    #[inline(always)]
    pub(super) fn first(self) -> Option<usize> {
        { self }.next()
    }
}

impl Iterator for Candidates {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let slot = (self.mask != 0).then(|| self.group * GROUP + self.mask.trailing_zeros() as usize)?;
        self.mask &= self.mask - 1;
        Some(slot)
    }
}

impl<K: Key + ?Sized, V: Record, P: Probe> TablePage<K, V, P> {
    /// # Safety
    /// `base` is the start of a readable page (an address that is a multiple of 16 at least), which stays one while the view
    /// is used, and which holds a table page of this layout or zeros, or is about to be cleared.
    #[inline(always)]
    pub(super) unsafe fn new(base: *mut u8) -> Self {
        TablePage { base, types: PhantomData }
    }

    #[inline(always)]
    fn at(self, offset: usize) -> *mut u8 {
        debug_assert!(offset < PAGE_BYTES);
        // SAFETY: the offsets of header, tags and entries lie in the page, by the layout's arithmetic.
        unsafe { self.base.add(offset) }
    }

    #[inline(always)]
    fn tags(self, group: usize) -> *mut u8 {
        self.at(TAGS_AT + group * GROUP)
    }

    /// The entry in a slot.
    #[inline(always)]
    pub(super) fn entry(self, slot: usize) -> *mut u8 {
        self.at(Entry::<K, V>::ENTRIES_AT + slot * Entry::<K, V>::BYTES)
    }

    /// The hash of an entry.
    #[inline(always)]
    pub(super) fn hash(entry: *const u8) -> KeyHash {
        // SAFETY: an entry ends with its hash, aligned to 8.
        KeyHash(unsafe { entry.add(Entry::<K, V>::HASH_AT).cast::<u64>().read() })
    }

    /// How many entries the page holds.
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        // SAFETY: the header's first two bytes.
        usize::from(unsafe { self.base.cast::<u16>().read() })
    }

    fn set_count(self, count: usize) {
        // SAFETY: the header's first two bytes.
        unsafe { self.base.cast::<u16>().write(count as u16) }
    }

    /// The page with more entries, or none.
    #[inline(always)]
    pub(super) fn next(self) -> PageNo {
        // SAFETY: bytes 4 to 8 of the header.
        PageNo(unsafe { self.base.add(4).cast::<u32>().read() })
    }

    pub(super) fn set_next(self, next: PageNo) {
        // SAFETY: bytes 4 to 8 of the header.
        unsafe { self.base.add(4).cast::<u32>().write(next.0) }
    }

    /// Makes it an empty page.
    pub(super) fn clear(self) {
        let slots = Entry::<K, V>::SLOTS;
        // SAFETY: header and tags lie in the page.
        unsafe {
            self.base.write_bytes(0, TAGS_AT + Entry::<K, V>::GROUPS * GROUP);
            self.at(TAGS_AT).add(slots).write_bytes(NO_SLOT, slots.next_multiple_of(GROUP) - slots);
        }
    }

    /// The group where a search for this hash begins.
    #[inline(always)]
    fn home(hash: KeyHash) -> usize {
        (((hash.0 >> 8) & 0xffff) as usize * Entry::<K, V>::GROUPS) >> 16
    }

    /// The tags that a search for this hash looks at first.
    #[inline(always)]
    pub(super) fn home_tags(self, hash: KeyHash) -> *const u8 {
        self.tags(Self::home(hash))
    }

    /// The slots in the hash's own group whose tag is that of the hash; those in the next group where that one is full and has none.
    #[inline(always)]
    pub(super) fn candidates(self, hash: KeyHash) -> Candidates {
        let (home, tag) = (Self::home(hash), tag_of(hash));
        // SAFETY: a group of tags of this page.
        let mask = unsafe { P::equal(self.tags(home), tag) };
        // SAFETY: as before.
        if mask != 0 || unsafe { P::empty(self.tags(home)) } != 0 {
            return Candidates { group: home, mask };
        }
        let next = (home + 1) % Entry::<K, V>::GROUPS;
        // SAFETY: as before.
        Candidates { group: next, mask: unsafe { P::equal(self.tags(next), tag) } }
    }

    /// The slot of the entry with this hash for which `is` says yes.
    #[inline(always)]
    pub(super) fn find<E>(
        self,
        hash: KeyHash,
        mut is: impl FnMut(*mut u8) -> Result<bool, E>,
    ) -> Result<Option<usize>, E> {
        let home = Self::home(hash);
        if let Some(slot) = self.find_in_group(home, hash, &mut is)? {
            return Ok(Some(slot));
        }
        // SAFETY: a group of tags of this page.
        if unsafe { P::empty(self.tags(home)) } != 0 {
            return Ok(None);
        }
        self.find_on(home, hash, is)
    }

    #[inline(always)]
    fn find_in_group<E>(
        self,
        group: usize,
        hash: KeyHash,
        is: &mut impl FnMut(*mut u8) -> Result<bool, E>,
    ) -> Result<Option<usize>, E> {
        // SAFETY: a group of tags of this page.
        let mask = unsafe { P::equal(self.tags(group), tag_of(hash)) };
        for slot in (Candidates { group, mask }) {
            let entry = self.entry(slot);
            if Self::hash(entry) == hash && is(entry)? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Goes on with a search whose first group was full.
    #[inline(never)]
    fn find_on<E>(
        self,
        home: usize,
        hash: KeyHash,
        mut is: impl FnMut(*mut u8) -> Result<bool, E>,
    ) -> Result<Option<usize>, E> {
        for distance in 1..Entry::<K, V>::GROUPS {
            let group = (home + distance) % Entry::<K, V>::GROUPS;
            if let Some(slot) = self.find_in_group(group, hash, &mut is)? {
                return Ok(Some(slot));
            }
            // SAFETY: a group of tags of this page.
            if unsafe { P::empty(self.tags(group)) } != 0 {
                break;
            }
        }
        Ok(None)
    }

    /// Gives a slot to an entry with this hash and writes the hash; the caller writes the rest. The page has a free slot.
    #[inline]
    pub(super) fn put(self, hash: KeyHash) -> *mut u8 {
        debug_assert!(self.count() < Entry::<K, V>::SLOTS);
        let mut group = Self::home(hash);
        loop {
            // SAFETY: a group of tags of this page.
            let empty = unsafe { P::empty(self.tags(group)) };
            if empty != 0 {
                let slot = group * GROUP + empty.trailing_zeros() as usize;
                let entry = self.entry(slot);
                // SAFETY: the slot's tag and entry lie in the page.
                unsafe {
                    self.at(TAGS_AT + slot).write(tag_of(hash));
                    entry.add(Entry::<K, V>::HASH_AT).cast::<u64>().write(hash.0);
                }
                self.set_count(self.count() + 1);
                return entry;
            }
            group = if group + 1 == Entry::<K, V>::GROUPS { 0 } else { group + 1 };
        }
    }

    /// Gives a slot to a copy of an entry of another page.
    pub(super) fn put_copy(self, entry: *const u8) {
        let to = self.put(Self::hash(entry));
        // SAFETY: two entries of different pages (or of a page and a copy of it).
        unsafe { std::ptr::copy_nonoverlapping(entry, to, Entry::<K, V>::BYTES) };
    }

    /// Frees a slot.
    pub(super) fn remove(self, slot: usize) {
        let groups = Entry::<K, V>::GROUPS;
        self.set_count(self.count() - 1);
        let mut hole = slot;
        'filling: loop {
            let full_group = hole / GROUP;
            // SAFETY: a group of tags of this page; the hole's tag lies in it.
            let was_full = unsafe { P::empty(self.tags(full_group)) } == 0;
            // SAFETY: the slot's tag lies in the page.
            unsafe { self.at(TAGS_AT + hole).write(0) };
            if !was_full {
                return;
            }
            // Entries of the following groups, up to the first with a free slot, may have passed this one while it was full.
            for distance in 1..groups {
                let group = (full_group + distance) % groups;
                let tags = self.tags(group);
                // SAFETY: a group of tags of this page.
                let mut used = unsafe { P::used(tags) };
                while used != 0 {
                    let from = group * GROUP + used.trailing_zeros() as usize;
                    used &= used - 1;
                    let entry = self.entry(from);
                    let passed = (group + groups - Self::home(Self::hash(entry))) % groups;
                    if passed >= distance {
                        // SAFETY: two different slots of this page.
                        unsafe {
                            std::ptr::copy_nonoverlapping(entry, self.entry(hole), Entry::<K, V>::BYTES);
                            self.at(TAGS_AT + hole).write(self.at(TAGS_AT + from).read());
                        }
                        hole = from;
                        continue 'filling;
                    }
                }
                // SAFETY: a group of tags of this page.
                if unsafe { P::empty(tags) } != 0 {
                    return;
                }
            }
            return;
        }
    }

    /// All entries, in order of slots. Entries must not be added or removed meanwhile.
    #[inline]
    pub(super) fn entries(self) -> impl Iterator<Item = *mut u8> {
        let mut group = 0;
        // SAFETY: a group of tags of this page.
        let mut used = unsafe { P::used(self.tags(0)) };
        std::iter::from_fn(move || {
            while used == 0 {
                group += 1;
                if group >= Entry::<K, V>::GROUPS {
                    return None;
                }
                // SAFETY: a group of tags of this page.
                used = unsafe { P::used(self.tags(group)) };
            }
            let slot = group * GROUP + used.trailing_zeros() as usize;
            used &= used - 1;
            Some(self.entry(slot))
        })
    }

    /// Whether bytes from a checkpoint have the structure of a page whose hashes begin with these bits.
    pub(super) fn check(self, depth: u8, prefix: u64) -> Result<(), &'static str> {
        let slots = Entry::<K, V>::SLOTS;
        let mut count = 0;
        for slot in 0..Entry::<K, V>::GROUPS * GROUP {
            // SAFETY: a tag of this page.
            let tag = unsafe { self.at(TAGS_AT + slot).read() };
            if slot >= slots {
                if tag != NO_SLOT {
                    return Err("a tag past the last slot");
                }
            } else if tag != 0 {
                let hash = Self::hash(self.entry(slot));
                if tag != tag_of(hash) {
                    return Err("a tag does not fit its hash");
                }
                if (hash.0 ^ prefix) & prefix_mask(depth) != 0 {
                    return Err("a hash does not begin with the page's prefix");
                }
                count += 1;
            }
        }
        if count != self.count() {
            return Err("the count of entries is wrong");
        }
        Ok(())
    }
}

/// The leading `depth` bits.
pub(super) fn prefix_mask(depth: u8) -> u64 {
    u64::MAX.checked_shl(64 - u32::from(depth)).unwrap_or(0)
}
