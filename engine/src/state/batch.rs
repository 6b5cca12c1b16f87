//! The table: many keys at a time. Memory latency, not work, is what a look-up in a large table costs; so all pages and entries
//! of a batch are asked for first, and used when they have arrived.
#![allow(unsafe_code)] // looks at pages through raw pointers

use std::marker::PhantomData;

use crate::arena::{Arena, PageNo, Places, StateError};
use crate::element::KeyHash;
use crate::key::Key;
use crate::record::Record;

use super::directory::{Directory, times};
use super::layout::Entry;
use super::page::TablePage;
use super::probe::{Probe, prefetch};
use super::table::Table;

/// How many look-ups are under way together: enough to fill the processor's line fill buffers, few enough to stay in its caches.
const LANES: usize = 64;

/// A table with no more keys than this is in the processor's cache, where looking ahead only costs.
const SMALL_TABLE_LEN: u64 = 16 * 1024;

/// A table of so many bytes is in the processor's cache, where looking ahead only costs.
const NEAR_TABLE_BYTES: u64 = 256 * 1024;

/// How much memory the processor fetches at once.
const LINE_BYTES: usize = 64;
/// Entries start at multiples of it: one that is no longer lies in one line.
const ENTRY_IN_LINE_BYTES: usize = 16;

/// What the first passes found out about a record of the batch: the page, and the slot with the right tag (or [`NO_SLOT`]) above it.
#[derive(Clone, Copy)]
struct Lane(u64);

const NO_SLOT: u64 = u32::MAX as u64;

impl Lane {
    const UNUSED: Lane = Lane(0);

    #[inline(always)]
    fn page(self) -> PageNo {
        PageNo(self.0 as u32)
    }

    #[inline(always)]
    fn slot(self) -> Option<usize> {
        let slot = self.0 >> 32;
        (slot != NO_SLOT).then_some(slot as usize)
    }
}

/// What looking a key up needs of a table and its arena, for a loop to keep in registers. It holds until a page is added to the table or taken
/// from it, or a checkpoint begins; values may be changed meanwhile.
struct Near<K: ?Sized, V, P> {
    /// The directory's slots where there is one array of them; otherwise none.
    slots: *const PageNo,
    count: usize,
    places: Places,
    types: PhantomData<(V, P, Box<K>)>,
}

impl<K: Key + ?Sized, V: Record, P: Probe> Near<K, V, P> {
    #[inline(always)]
    fn of(table: &Table<K, V, P>, arena: &Arena) -> Self {
        let slots = table.directory.one_array().unwrap_or_default();
        Near { slots: slots.as_ptr(), count: slots.len(), places: arena.places(), types: PhantomData }
    }

    /// As [`Table::find_current`].
    ///
    /// # Safety
    /// It was made of this arena and a table in it, whose directory this is, and holds still.
    #[inline(always)]
    unsafe fn find(
        &self,
        directory: &Directory,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<*mut u8>, StateError> {
        let page = match self.count {
            0 => directory.page(hash),
            // SAFETY: the upper half of a product with the number of slots is below it, and no slot has gone (the caller).
            count => unsafe { *self.slots.add(times(hash.0, count).0) },
        };
        // SAFETY: the directory holds pages of the arena only.
        if !unsafe { self.places.is_current(page) } {
            return Ok(None);
        }
        // SAFETY: a current page is in memory, and the directory holds table pages of this layout only (page 0 is never current).
        let view = unsafe { TablePage::<K, V, P>::new(self.places.at(page)) };
        // SAFETY: the entry was found in the page.
        let slot = view.find(hash, |entry| unsafe { Table::<K, V, P>::key_is(arena, entry, key) })?;
        Ok(slot.map(|slot| view.entry(slot)))
    }
}

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// Changes the values of many keys, in order: for each `i` below the number of hashes, the value of the key with hash `hashes[i]`
    /// and encoding `key(i)`, which is put in as `init(i)` gives it if it is missing, is given to `f(i, _, new)`; `new` says whether it
    /// was put in just now. A key may come again.
    ///
    /// On an error, the values before the one that failed have been changed.
    #[inline]
    pub fn update_batch<'k>(
        &mut self,
        arena: &mut Arena,
        hashes: &[KeyHash],
        key: impl Fn(usize) -> &'k [u8],
        mut init: impl FnMut(usize) -> V,
        mut f: impl FnMut(usize, &mut V, bool),
    ) -> Result<(), StateError> {
        if self.len <= SMALL_TABLE_LEN {
            return self.update_near(arena, hashes, key, init, f);
        }
        for (at, hashes) in hashes.chunks(LANES).enumerate() {
            let first = at * LANES;
            let mut lanes = [Lane::UNUSED; LANES];
            self.look_ahead(arena, hashes, &mut lanes);
            let moves = self.moves;
            for (index, (&hash, lane)) in hashes.iter().zip(&lanes).enumerate() {
                let i = first + index;
                let key = key(i);
                // Without moves since the first pass, a candidate is an entry still, at the same place.
                if let Some(slot) = lane.slot()
                    && self.moves == moves
                    && arena.is_current(lane.page())
                {
                    // SAFETY: a current page is in memory, and the directory holds table pages of this layout only.
                    let view = unsafe { TablePage::<K, V, P>::new(arena.at(lane.page())) };
                    let entry = view.entry(slot);
                    // SAFETY: the slot was in use when the page was looked at, as its tag says, and is so still.
                    let mut is_key = || unsafe { Self::key_is(arena, entry, key) };
                    if TablePage::<K, V, P>::hash(entry) == hash && is_key()? {
                        // SAFETY: the page is current.
                        unsafe { self.apply(arena, entry, |value| f(i, value, false))? };
                        continue;
                    }
                }
                self.update_or_add(arena, hash, key, || init(i), |value, new| f(i, value, new))?;
            }
        }
        Ok(())
    }

    /// [`Table::update_batch`] for a table that is near.
    #[inline(always)]
    fn update_near<'k>(
        &mut self,
        arena: &mut Arena,
        hashes: &[KeyHash],
        key: impl Fn(usize) -> &'k [u8],
        mut init: impl FnMut(usize) -> V,
        mut f: impl FnMut(usize, &mut V, bool),
    ) -> Result<(), StateError> {
        let mut i = 0;
        while i < hashes.len() {
            let near = Near::of(self, arena);
            while let Some(&hash) = hashes.get(i) {
                // SAFETY: until `near` is made anew only values are changed.
                let Some(entry) = (unsafe { near.find(&self.directory, arena, hash, key(i))? }) else {
                    break;
                };
                // SAFETY: a found entry of a current page.
                unsafe { self.apply(arena, entry, |value| f(i, value, false))? };
                i += 1;
            }
            let Some(&hash) = hashes.get(i) else { break };
            self.update_or_add(arena, hash, key(i), || init(i), |value, new| f(i, value, new))?;
            i += 1;
        }
        Ok(())
    }

    /// Shows the values of many keys, in order; `f(i, None)` where there is none.
    #[inline]
    pub fn get_batch<'k>(
        &self,
        arena: &mut Arena,
        hashes: &[KeyHash],
        key: impl Fn(usize) -> &'k [u8],
        mut f: impl FnMut(usize, Option<&V::View>),
    ) -> Result<(), StateError> {
        for (at, hashes) in hashes.chunks(LANES).enumerate() {
            let first = at * LANES;
            let mut lanes = [Lane::UNUSED; LANES];
            self.look_ahead(arena, hashes, &mut lanes);
            for (index, &hash) in hashes.iter().enumerate() {
                let i = first + index;
                if self.get(arena, hash, key(i), |view| f(i, Some(view)))?.is_none() {
                    f(i, None);
                }
            }
        }
        Ok(())
    }

    /// Asks for what the look-ups of these hashes will need, one by one and soon: of a table that is not near anyway.
    pub(crate) fn expect(&self, arena: &Arena, hashes: &[KeyHash]) {
        if self.bytes() > NEAR_TABLE_BYTES {
            let mut lanes = [Lane::UNUSED; LANES];
            hashes.chunks(LANES).for_each(|hashes| self.look_ahead(arena, hashes, &mut lanes));
        }
    }

    /// Asks for the cache lines that the look-ups of these hashes will need, and for the pages that are on disk. It sees none that is not in
    /// memory: the kernel would give memory for it.
    #[inline(always)]
    fn look_ahead(&self, arena: &Arena, hashes: &[KeyHash], lanes: &mut [Lane; LANES]) {
        let all_here = arena.is_all_resident();
        for (lane, &hash) in lanes.iter_mut().zip(hashes) {
            *lane = Lane(u64::from(self.directory.page(hash).0));
            // SAFETY: a page of the arena, of this layout or all zeros.
            let view = unsafe { TablePage::<K, V, P>::new(arena.at(lane.page())) };
            prefetch(view.home_tags(hash));
        }
        for (lane, &hash) in lanes.iter_mut().zip(hashes) {
            if !all_here && !arena.is_resident(lane.page()) {
                arena.announce(lane.page());
                lane.0 |= NO_SLOT << 32;
                continue;
            }
            // SAFETY: as before.
            let view = unsafe { TablePage::<K, V, P>::new(arena.at(lane.page())) };
            let candidates = view.candidates(hash);
            lane.0 |= candidates.first().map_or(NO_SLOT, |slot| slot as u64) << 32;
            // The first one may have the tag of another key: then it is one of the others, as a rule.
            for slot in candidates {
                let entry = view.entry(slot).cast_const();
                (0..Entry::<K, V>::BYTES).step_by(LINE_BYTES).for_each(|at| prefetch(entry.wrapping_add(at)));
                // The hash, which is compared first, is the last thing in an entry; it may have a line of its own.
                if Entry::<K, V>::BYTES > ENTRY_IN_LINE_BYTES {
                    prefetch(entry.wrapping_add(Entry::<K, V>::HASH_AT));
                }
            }
        }
        if arena.running_checkpoint().is_some() {
            lanes.iter().take(hashes.len()).for_each(|lane| arena.expect_to_touch(lane.page()));
        }
        if !Entry::<K, V>::KEY_IS_REF && !Entry::<K, V>::VALUE_IS_REF {
            return;
        }
        for (lane, &hash) in lanes.iter().zip(hashes) {
            let Some(slot) = lane.slot().filter(|_| arena.is_resident(lane.page())) else { continue };
            // SAFETY: as before; the slot is in use, as its tag says.
            unsafe {
                let entry = TablePage::<K, V, P>::new(arena.at(lane.page())).entry(slot);
                if TablePage::<K, V, P>::hash(entry) == hash {
                    if Entry::<K, V>::KEY_IS_REF {
                        prefetch(Self::key_ref(entry).address(arena));
                    }
                    if Entry::<K, V>::VALUE_IS_REF {
                        // Where bytes are read, and where they are appended.
                        let value = Self::value_ref(entry);
                        prefetch(value.address(arena));
                        prefetch(value.address(arena).wrapping_add(value.slot_len()));
                    }
                }
            }
        }
    }
}
