//! Which page holds the hashes with which prefix: an extendible hash's directory (Fagin et al., 1979) in two levels.
//!
//! Up to [`GROUP_BITS`] leading bits it is one array of pages. A table that needs more bits anywhere gets one array per key
//! group; these grow one by one, so that doubling never copies the whole. A slot may be empty: no hash of the table begins so.
#![allow(unsafe_code)] // two look-ups without bounds checks

use std::ptr;

use crate::arena::PageNo;
use crate::element::{KEY_GROUPS, KeyHash};

use super::page::prefix_mask;
use super::probe::prefetch;

/// The depth at which the directory gets its second level: that of key groups.
pub(super) const GROUP_BITS: u8 = KEY_GROUPS.trailing_zeros() as u8;
/// The greatest depth. Pages whose hashes agree in more bits overflow into chains.
pub(super) const DEPTH_MAX: u8 = GROUP_BITS + 20;

pub(super) struct Directory {
    /// One array, or one per key group.
    groups: Box<[Box<[PageNo]>]>,
}

/// How deep a directory has to be for pages that are there already, so that it is made at once and not grown page by page.
pub(super) struct Depths {
    /// Per key group. A page that holds several groups is entered for the first.
    of_groups: Box<[u8]>,
}

impl Depths {
    pub(super) fn new() -> Self {
        Depths { of_groups: vec![0; KEY_GROUPS as usize].into() }
    }

    /// Enters a page that holds the hashes that begin as `hash` in `depth` bits (at most [`DEPTH_MAX`]).
    pub(super) fn enter(&mut self, hash: KeyHash, depth: u8) {
        debug_assert!(depth <= DEPTH_MAX);
        let (group, _) = times(hash.0, self.of_groups.len());
        self.of_groups[group] = self.of_groups[group].max(depth);
    }

    /// A directory that is as deep as it must be, and empty.
    pub(super) fn directory(&self) -> Directory {
        let empty = |bits: u8| vec![PageNo::NONE; 1 << bits].into_boxed_slice();
        let deepest = self.of_groups.iter().copied().max().unwrap_or(0);
        let groups: Vec<_> = match deepest {
            0..=GROUP_BITS => vec![empty(deepest)],
            _ => self.of_groups.iter().map(|depth| empty(depth.saturating_sub(GROUP_BITS))).collect(),
        };
        Directory { groups: groups.into() }
    }
}

/// What lies beside a page: the hashes whose prefix differs in the last bit only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buddy {
    Nothing,
    Page(PageNo),
    /// Pages with longer prefixes.
    Deeper,
}

impl Directory {
    pub(super) fn new() -> Self {
        Directory { groups: Box::new([Box::new([PageNo::NONE])]) }
    }

    /// The page for a hash, or none.
    #[inline(always)]
    pub(super) fn page(&self, hash: KeyHash) -> PageNo {
        // Lengths are powers of two, so multiplying shifts: the upper half is the index, the lower half what is left of the hash.
        let (group, rest) = times(hash.0, self.groups.len());
        debug_assert!(group < self.groups.len());
        // SAFETY: the upper half of a product with the length is below the length.
        let slots = unsafe { self.groups.get_unchecked(group) };
        let (slot, _) = times(rest, slots.len());
        // SAFETY: as before.
        unsafe { *slots.get_unchecked(slot) }
    }

    /// The slots, where there is one array of them.
    #[inline(always)]
    pub(super) fn one_array(&self) -> Option<&[PageNo]> {
        match &*self.groups {
            [slots] => Some(slots),
            _ => None,
        }
    }

    /// Asks for the slot of a hash ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, hash: KeyHash) {
        let (group, rest) = times(hash.0, self.groups.len());
        let slots = &self.groups[group];
        let (slot, _) = times(rest, slots.len());
        prefetch(ptr::from_ref(&slots[slot]).cast());
    }

    fn group_bits(&self) -> u8 {
        self.groups.len().trailing_zeros() as u8
    }

    /// How many leading bits the directory tells apart where this hash lies.
    pub(super) fn depth(&self, hash: KeyHash) -> u8 {
        let (group, _) = times(hash.0, self.groups.len());
        self.group_bits() + self.groups[group].len().trailing_zeros() as u8
    }

    /// How many slots there are for the key group of this hash: as many pages at most.
    pub(super) fn slots_of_group(&self, hash: KeyHash) -> usize {
        1 << self.depth(hash).saturating_sub(GROUP_BITS)
    }

    /// Makes the directory tell `depth` bits (at most [`DEPTH_MAX`]) apart where this hash lies.
    pub(super) fn deepen(&mut self, hash: KeyHash, depth: u8) {
        debug_assert!(depth <= DEPTH_MAX);
        if depth > GROUP_BITS && self.groups.len() == 1 {
            double_to(&mut self.groups[0], 1 << GROUP_BITS);
            self.groups = self.groups[0].iter().map(|&page| Box::from([page])).collect();
        }
        if depth > self.depth(hash) {
            let bits = depth - self.group_bits();
            let (group, _) = times(hash.0, self.groups.len());
            double_to(&mut self.groups[group], 1 << bits);
        }
    }

    /// Calls `each` with the slots whose prefix is the first `depth` bits of `hash`. The directory is that deep there.
    fn region(&mut self, hash: KeyHash, depth: u8, mut each: impl FnMut(&mut [PageNo])) {
        let first = KeyHash(hash.0 & prefix_mask(depth));
        let (group, rest) = times(first.0, self.groups.len());
        match depth.checked_sub(self.group_bits()) {
            Some(bits) => {
                let slots = &mut self.groups[group];
                let (slot, _) = times(rest, slots.len());
                let count = slots.len() >> bits;
                each(&mut slots[slot..slot + count]);
            }
            None => {
                let count = 1 << (self.group_bits() - depth);
                self.groups[group..group + count].iter_mut().for_each(|slots| each(slots));
            }
        }
    }

    /// Lets a page (or none) hold all hashes that begin as `hash` in `depth` bits.
    pub(super) fn set(&mut self, hash: KeyHash, depth: u8, page: PageNo) {
        self.region(hash, depth, |slots| slots.fill(page));
    }

    /// Lets a page hold all hashes that begin as `hash` in `depth` bits. Says whether no page held any of them before.
    #[inline]
    pub(super) fn claim(&mut self, hash: KeyHash, depth: u8, page: PageNo) -> bool {
        let mut free = true;
        self.region(hash, depth, |slots| {
            for slot in slots {
                free &= *slot == PageNo::NONE;
                *slot = page;
            }
        });
        free
    }

    /// Whether no page holds hashes that begin as `hash` in `depth` bits.
    pub(super) fn is_empty(&mut self, hash: KeyHash, depth: u8) -> bool {
        let mut empty = true;
        self.region(hash, depth, |slots| empty &= slots.iter().all(|&page| page == PageNo::NONE));
        empty
    }

    /// The least depth at which a new page for `hash` collides with no other. The slot of `hash` is empty.
    pub(super) fn free_depth(&mut self, hash: KeyHash) -> u8 {
        let mut depth = self.depth(hash);
        // Not across key groups: so a look at one array is enough.
        let least = self.group_bits();
        while depth > least && self.is_empty(KeyHash(hash.0 ^ (1 << (64 - depth))), depth) {
            depth -= 1;
        }
        depth
    }

    /// What lies beside the page of depth `depth` (above 0) that holds `hash`. `depth_of` gives a page's depth.
    pub(super) fn buddy(&mut self, hash: KeyHash, depth: u8, depth_of: impl Fn(PageNo) -> u8) -> Buddy {
        let beside = KeyHash(hash.0 ^ (1 << (64 - depth)));
        match self.page(KeyHash(beside.0 & prefix_mask(depth))) {
            PageNo::NONE if self.is_empty(beside, depth) => Buddy::Nothing,
            PageNo::NONE => Buddy::Deeper,
            page if depth_of(page) == depth => Buddy::Page(page),
            _ => Buddy::Deeper,
        }
    }
}

/// A hash times a length that is a power of two: the index it selects, and the bits that are left.
#[inline(always)]
pub(super) fn times(hash: u64, len: usize) -> (usize, u64) {
    let product = u128::from(hash) * len as u128;
    ((product >> 64) as usize, product as u64)
}

/// Repeats every slot, so that there are `len`.
fn double_to(slots: &mut Box<[PageNo]>, len: usize) {
    if slots.len() < len {
        let times = len / slots.len();
        *slots = slots.iter().flat_map(|&page| std::iter::repeat_n(page, times)).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Splits the region of `hash` at depth `depth` the way a table does: two pages one bit deeper.
    fn split(directory: &mut Directory, hash: u64, depth: u8, low: u32, high: u32) {
        let low_hash = hash & prefix_mask(depth);
        let bit = 1 << (63 - depth);
        directory.deepen(KeyHash(hash), depth + 1);
        directory.set(KeyHash(low_hash), depth + 1, PageNo(low));
        directory.set(KeyHash(low_hash | bit), depth + 1, PageNo(high));
    }

    #[test]
    fn every_hash_finds_its_page_at_all_depths() {
        let mut directory = Directory::new();
        directory.set(KeyHash(0), 0, PageNo(1));
        // Split along the path of one hash, down to the greatest depth: page 1 stays with it.
        let hash = 0xdead_beef_0123_4567u64;
        for depth in 0..DEPTH_MAX {
            let ours = (hash >> (63 - depth)) & 1;
            let other = u32::from(depth) + 2;
            let (low, high) = if ours == 0 { (1, other) } else { (other, 1) };
            split(&mut directory, hash, depth, low, high);
        }
        assert_eq!(directory.page(KeyHash(hash)), PageNo(1));
        for depth in 0..DEPTH_MAX {
            let beside = hash ^ (1 << (63 - depth));
            assert_eq!(directory.page(KeyHash(beside)), PageNo(u32::from(depth) + 2));
            let depth_of = |page: PageNo| if page.0 == 1 { DEPTH_MAX } else { page.0 as u8 - 1 };
            let buddy = directory.buddy(KeyHash(beside), depth + 1, depth_of);
            assert_eq!(buddy == Buddy::Page(PageNo(1)), depth + 1 == DEPTH_MAX, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn a_directory_made_at_once_is_one_that_was_grown(
            splits in prop::collection::vec((any::<u64>(), 1..=DEPTH_MAX), 0..60),
            shallow: bool,
        ) {
            // Pages split along the way to a hash: their prefixes exclude each other and cover everything.
            let mut pages = BTreeMap::from([(0u64, 0u8)]);
            for (hash, to) in splits {
                let to = if shallow { to.min(GROUP_BITS) } else { to };
                let (&prefix, &depth) = pages.range(..=hash).next_back().unwrap();
                for depth in depth..to {
                    pages.insert(hash & prefix_mask(depth), depth + 1);
                    pages.insert(hash & prefix_mask(depth) | 1 << (63 - depth), depth + 1);
                }
                prop_assert_eq!(pages.get(&prefix).is_some_and(|&now| now >= depth), true);
            }
            let mut grown = Directory::new();
            let mut depths = Depths::new();
            for (&prefix, &depth) in &pages {
                grown.deepen(KeyHash(prefix), depth);
                depths.enter(KeyHash(prefix), depth);
            }
            let mut made = depths.directory();
            for (page, (&prefix, &depth)) in (1..).map(PageNo).zip(&pages) {
                grown.set(KeyHash(prefix), depth, page);
                prop_assert!(made.claim(KeyHash(prefix), depth, page));
            }
            prop_assert_eq!(&made.groups, &grown.groups);
            for (&prefix, &depth) in pages.iter().take(3) {
                prop_assert!(!made.claim(KeyHash(prefix), depth, PageNo(u32::MAX)));
            }
        }
    }

    #[test]
    fn an_empty_slot_grows_as_far_as_it_is_empty() {
        let mut directory = Directory::new();
        assert_eq!(directory.free_depth(KeyHash(5)), 0);
        split(&mut directory, 0, 0, 1, 0);
        split(&mut directory, 0, 1, 2, 3);
        assert_eq!(directory.free_depth(KeyHash(u64::MAX)), 1);
        assert_eq!(directory.buddy(KeyHash(0), 1, |_| 2), Buddy::Nothing);
        assert_eq!(directory.buddy(KeyHash(u64::MAX), 1, |_| 2), Buddy::Deeper);
        assert_eq!(directory.buddy(KeyHash(0), 2, |_| 2), Buddy::Page(PageNo(3)));
    }
}
