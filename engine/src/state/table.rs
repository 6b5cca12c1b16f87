//! The table: one key at a time.
#![allow(unsafe_code)] // reads and writes entries through raw pointers into pages

use std::marker::PhantomData;

use crate::arena::{Arena, PageList, PageNo, StateError, StateName, TableId};
use crate::element::KeyHash;
use crate::key::Key;
use crate::limits::PAGE_BYTES;
use crate::record::{Record, RecordBuf};

use super::directory::Directory;
use super::layout::Entry;
use super::page::TablePage;
use super::probe::{Native, Probe};
use super::slab::{self, Ref, Slabs};

/// A map from keys to values in pages of an arena.
///
/// Keys are given as their hash and their canonical encoding ([`Key::encode`]), as they travel in frames; with
/// [`KeyShape::InHash`](crate::key::KeyShape::InHash) the encoding is empty. All operations take the arena that the table was made in.
///
/// `P` is the way tags are probed; there is no reason to name it outside tests.
pub struct Table<K: Key + ?Sized, V: Record, P: Probe = Native> {
    pub(super) id: TableId,
    pub(super) directory: Directory,
    pub(super) len: u64,
    pub(super) pages: PageList,
    pub(super) slabs: Slabs,
    /// Counts changes that move entries: what a batch has looked up before is void after one.
    pub(super) moves: u32,
    /// Values on their way into a page.
    pub(super) scratch: RecordBuf,
    types: PhantomData<(V, P, Box<K>)>,
}

/// Where an entry lies.
pub(super) struct Place {
    pub(super) page: PageNo,
    pub(super) slot: usize,
    pub(super) entry: *mut u8,
}

impl<K: Key + ?Sized, V: Record, P: Probe> Table<K, V, P> {
    /// An empty table. It has no page until something is put into it.
    pub fn new(arena: &mut Arena, name: &StateName) -> Self {
        let id = arena.new_table(name.clone(), super::restore::check_page::<K, V, P>);
        Self::empty(id)
    }

    pub(super) fn empty(id: TableId) -> Self {
        const { Entry::<K, V>::CHECK }
        Table {
            id,
            directory: Directory::new(),
            len: 0,
            pages: PageList::default(),
            slabs: Slabs::new(id),
            moves: 0,
            scratch: RecordBuf::new(),
            types: PhantomData,
        }
    }

    /// How many keys it holds.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many bytes the pages take that it lies in.
    pub fn bytes(&self) -> u64 {
        u64::from(self.pages.len()) * PAGE_BYTES as u64
    }

    /// Whether it holds none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The table's number in its arena.
    pub fn id(&self) -> TableId {
        self.id
    }

    /// Shows the value of a key.
    #[inline]
    pub fn get<R>(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        f: impl FnOnce(&V::View) -> R,
    ) -> Result<Option<R>, StateError> {
        match self.locate(arena, hash, key)? {
            // SAFETY: a located entry.
            Some(place) => unsafe { Ok(Some(f(Self::view(arena, place.entry)?))) },
            None => Ok(None),
        }
    }

    /// Shows the archived value of a key, which [`Table::insert_raw`] of another table of the same types takes.
    #[inline]
    pub fn get_raw<R>(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StateError> {
        match self.locate(arena, hash, key)? {
            // SAFETY: a located entry.
            Some(place) => unsafe { Ok(Some(f(Self::value_bytes(arena, place.entry)?))) },
            None => Ok(None),
        }
    }

    /// Whether it holds a key.
    #[inline]
    pub fn contains(&self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError> {
        Ok(self.locate(arena, hash, key)?.is_some())
    }

    /// Puts a value in, in the place of an older one if there is one. Says whether the key is new.
    pub fn insert(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &V,
    ) -> Result<bool, StateError> {
        let bytes = Self::encode(&mut self.scratch, value);
        // SAFETY: the bytes are `value`'s own or the scratch buffer's; nothing below touches either.
        let bytes = unsafe { &*std::ptr::from_ref(bytes) };
        self.insert_raw(arena, hash, key, bytes)
    }

    /// Puts an archived value in. Says whether the key is new. `value` is what [`Record::encode`] of a `V` has written, or a table
    /// of the same types has given out by [`Table::walk_raw`].
    ///
    /// # Panics
    /// Where values have a fixed size and `value` has another.
    pub fn insert_raw(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StateError> {
        match self.locate_to_write(arena, hash, key)? {
            Some(place) => {
                self.write_value(arena, place.entry, value)?;
                Ok(false)
            }
            None => {
                self.add(arena, hash, key, value)?;
                Ok(true)
            }
        }
    }

    /// Changes the value of a key, which is put in as `init` gives it if it is missing.
    #[inline]
    pub fn update<R>(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        init: impl FnOnce() -> V,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        match self.find_current(arena, hash, key)? {
            // SAFETY: a found entry of a current page.
            Some(entry) => unsafe { self.apply(arena, entry, f) },
            None => self.update_or_add(arena, hash, key, init, |value, _| f(value)),
        }
    }

    /// Finds an entry in the first page of its hash, if that may be written without more ado. Where it does not, the entry may still be
    /// there.
    #[inline(always)]
    pub(super) fn find_current(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<*mut u8>, StateError> {
        let page = self.directory.page(hash);
        if !arena.is_current(page) {
            return Ok(None);
        }
        // SAFETY: a current page is in memory, and the directory holds table pages of this layout only (page 0 is never current).
        let view = unsafe { TablePage::<K, V, P>::new(arena.at(page)) };
        // SAFETY: the entry was found in the page.
        let slot = view.find(hash, |entry| unsafe { Self::key_is(arena, entry, key) })?;
        Ok(slot.map(|slot| view.entry(slot)))
    }

    /// Changes the value of a key if there is one.
    #[inline]
    pub fn modify<R>(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<Option<R>, StateError> {
        match self.locate_to_write(arena, hash, key)? {
            // SAFETY: a located entry whose page was touched.
            Some(place) => unsafe { self.apply(arena, place.entry, f).map(Some) },
            None => Ok(None),
        }
    }

    /// Gives the archived value of a key another length, and lets `write` have it, with the length that it had before. A value that is
    /// missing is put in, and had none. `len_of` is shown what is there, and leaves all as it is where it gives none.
    ///
    /// What `write` leaves is an archived `V`; what it is given is, up to the lesser of the two lengths, what was there, and then whatever.
    #[inline]
    pub(super) fn resize<R>(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        len_of: impl FnOnce(&[u8]) -> Option<usize>,
        write: impl FnOnce(&mut [u8], usize) -> R,
    ) -> Result<Option<R>, StateError> {
        const { assert!(Entry::<K, V>::VALUE_IS_REF) };
        let Some(place) = self.locate_to_write(arena, hash, key)? else {
            let Some(len) = len_of(&[]) else { return Ok(None) };
            let mut bytes = vec![0; len];
            let result = write(&mut bytes, 0);
            self.add(arena, hash, key, &bytes)?;
            return Ok(Some(result));
        };
        // SAFETY: a located entry whose value is a reference.
        let (old, bytes) = unsafe { (Self::value_ref(place.entry), Self::value_bytes(arena, place.entry)?) };
        let old_len = bytes.len();
        let Some(len) = len_of(bytes) else { return Ok(None) };
        let new = self.slabs.resize(arena, &mut self.pages, old, len)?;
        // SAFETY: the page of a located entry was touched; neither resizing nor storing bytes moves table pages.
        unsafe { place.entry.cast::<u64>().write(new.0) };
        let at = slab::bytes_at(arena, new)?.0;
        // SAFETY: bytes of this length in pages that `resize` has touched; nobody else looks at them while the arena is borrowed mutably.
        Ok(Some(write(unsafe { std::slice::from_raw_parts_mut(at, len) }, old_len)))
    }

    /// Takes a key out. Says whether it was there.
    pub fn remove(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8]) -> Result<bool, StateError> {
        let Some(place) = self.locate_to_write(arena, hash, key)? else { return Ok(false) };
        // SAFETY: a located entry.
        unsafe { self.free_refs(arena, place.entry)? };
        // SAFETY: the page of a located entry.
        unsafe { TablePage::<K, V, P>::new(arena.at(place.page)) }.remove(place.slot);
        self.len -= 1;
        self.moves = self.moves.wrapping_add(1);
        self.tidy(arena, hash, place.page)?;
        Ok(true)
    }

    /// Takes all keys out. Pages go back to the arena a few at a time ([`Arena::reclaim`]). The table gets another number.
    pub fn clear(&mut self, arena: &mut Arena) {
        let name = arena.name_of(self.id);
        let moves = self.moves.wrapping_add(1);
        std::mem::replace(self, Self::new(arena, &name)).discard(arena);
        self.moves = moves;
    }

    /// Drops the table. Pages go back to the arena a few at a time ([`Arena::reclaim`]). A table that merely goes out of scope
    /// keeps its pages.
    pub fn discard(self, arena: &mut Arena) {
        arena.discard(self.id, self.pages);
    }

    /// Changes the value of a key wherever it is, or puts one in; `f` is told whether it was put in.
    #[inline(never)]
    pub(super) fn update_or_add<R>(
        &mut self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
        init: impl FnOnce() -> V,
        f: impl FnOnce(&mut V, bool) -> R,
    ) -> Result<R, StateError> {
        if let Some(place) = self.locate_to_write(arena, hash, key)? {
            // SAFETY: a located entry whose page was touched.
            return unsafe { self.apply(arena, place.entry, |value| f(value, false)) };
        }
        let mut value = init();
        let result = f(&mut value, true);
        let bytes = Self::encode(&mut self.scratch, &value);
        // SAFETY: the bytes are `value`'s own or the scratch buffer's; nothing below touches either.
        let bytes = unsafe { &*std::ptr::from_ref(bytes) };
        self.add(arena, hash, key, bytes)?;
        Ok(result)
    }

    /// Finds an entry.
    #[inline]
    pub(super) fn locate(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<Place>, StateError> {
        let mut page = self.directory.page(hash);
        while page != PageNo::NONE {
            arena.bring_in(page)?;
            // SAFETY: the page is in memory, and directory and chains hold table pages of this layout only.
            let view = unsafe { TablePage::<K, V, P>::new(arena.at(page)) };
            // SAFETY: the entry was found in the page.
            if let Some(slot) = view.find(hash, |entry| unsafe { Self::key_is(arena, entry, key) })? {
                return Ok(Some(Place { page, slot, entry: view.entry(slot) }));
            }
            page = view.next();
        }
        Ok(None)
    }

    /// Finds an entry and makes its page writable.
    #[inline]
    fn locate_to_write(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<Place>, StateError> {
        let place = self.locate(arena, hash, key)?;
        if let Some(place) = &place {
            arena.touch(place.page)?;
        }
        Ok(place)
    }

    /// Adds an entry for a key that is not in the table.
    #[inline]
    fn add(&mut self, arena: &mut Arena, hash: KeyHash, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let page = self.reserve(arena, hash)?;
        let key_ref = if Entry::<K, V>::KEY_IS_REF {
            self.slabs.store(arena, &mut self.pages, key)?
        } else {
            assert!(key.len() == Entry::<K, V>::KEY_BYTES, "a key's encoding has the size its type says");
            Ref::EMPTY
        };
        let value_ref = if Entry::<K, V>::VALUE_IS_REF {
            match self.slabs.store(arena, &mut self.pages, value) {
                Ok(value_ref) => value_ref,
                Err(error) => {
                    self.slabs.free(arena, &mut self.pages, key_ref)?;
                    return Err(error);
                }
            }
        } else {
            Ref::EMPTY
        };
        let entry = page.put(hash);
        // SAFETY: a slot of the page that `reserve` has touched; storing bytes does not move table pages. Sizes are those of the
        // layout: the key's was checked above, `write_inline` checks the value's.
        unsafe {
            let key_at = entry.add(Entry::<K, V>::KEY_AT);
            if Entry::<K, V>::KEY_IS_REF {
                key_at.cast::<u64>().write(key_ref.0);
            } else {
                key_at.copy_from_nonoverlapping(key.as_ptr(), Entry::<K, V>::KEY_BYTES);
            }
            if Entry::<K, V>::VALUE_IS_REF {
                entry.cast::<u64>().write(value_ref.0);
            } else {
                Self::write_inline(entry, value);
            }
        }
        self.len += 1;
        Ok(())
    }

    fn write_value(&mut self, arena: &mut Arena, entry: *mut u8, value: &[u8]) -> Result<(), StateError> {
        // SAFETY: a located entry whose page was touched.
        unsafe {
            if Entry::<K, V>::VALUE_IS_REF {
                let old = Self::value_ref(entry);
                let new = self.slabs.replace(arena, &mut self.pages, old, value)?;
                entry.cast::<u64>().write(new.0);
            } else {
                Self::write_inline(entry, value);
            }
        }
        Ok(())
    }

    /// # Safety
    /// `entry` is writable and holds its value inline.
    #[inline(always)]
    unsafe fn write_inline(entry: *mut u8, value: &[u8]) {
        assert!(value.len() == Entry::<K, V>::VALUE_BYTES, "a value's encoding has the size its type says");
        // SAFETY: an entry starts with its value.
        unsafe { entry.copy_from_nonoverlapping(value.as_ptr(), Entry::<K, V>::VALUE_BYTES) }
    }

    /// Lets `f` change the value of an entry.
    ///
    /// # Safety
    /// `entry` is an entry of this table, on a page that was touched.
    #[inline(always)]
    pub(super) unsafe fn apply<R>(
        &mut self,
        arena: &mut Arena,
        entry: *mut u8,
        f: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        if V::PLAIN {
            let value = if Entry::<K, V>::VALUE_IS_REF {
                // SAFETY: the entry's value is a reference.
                let at = unsafe { Self::value_ref(entry) };
                slab::touch_bytes(arena, at)?;
                slab::bytes_at(arena, at)?.0
            } else {
                entry
            };
            // SAFETY: a plain value's bytes are the value; they are aligned by the layout, were written from a value or passed a
            // checksum, and nobody else looks at the page while the arena is borrowed mutably.
            return Ok(f(unsafe { &mut *value.cast::<V>() }));
        }
        // SAFETY: the caller's promise.
        let mut value = V::owned(unsafe { Self::view(arena, entry)? });
        let result = f(&mut value);
        self.scratch.clear();
        value.encode(&mut self.scratch);
        let bytes = std::mem::take(&mut self.scratch);
        let written = self.write_value(arena, entry, &bytes);
        self.scratch = bytes;
        written?;
        Ok(result)
    }

    /// The archived form of a value: its own bytes, or those written to the scratch buffer.
    #[inline(always)]
    pub(super) fn encode<'a>(scratch: &'a mut RecordBuf, value: &'a V) -> &'a [u8] {
        if V::PLAIN {
            // SAFETY: a plain value has no padding, and its own bytes are its archived form.
            return unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<V>()) };
        }
        scratch.clear();
        value.encode(scratch);
        scratch
    }

    /// The archived value of an entry.
    ///
    /// # Safety
    /// `entry` is an entry of this table. The view must not be used once table or arena have been changed.
    #[inline(always)]
    pub(super) unsafe fn view<'a>(arena: &mut Arena, entry: *mut u8) -> Result<&'a V::View, StateError> {
        // SAFETY: the caller's promise, and so that of the result.
        let bytes = unsafe { Self::value_bytes(arena, entry)? };
        // SAFETY: the bytes were encoded by this process or passed a checksum, for this layout.
        Ok(unsafe { Self::view_of(bytes) })
    }

    /// # Safety
    /// `bytes` is the archived form of a `V` in a page of a table of `V`.
    #[inline(always)]
    pub(super) unsafe fn view_of(bytes: &[u8]) -> &V::View {
        if V::PLAIN {
            let value = bytes.as_ptr().cast::<V>();
            assert!(size_of::<&V::View>() == size_of::<*const V>());
            // SAFETY: the view of a plain record is the record itself, so both are thin pointers to the same. Pages align plain
            // values as their type asks, which may be less than what `view_unchecked` asks.
            return unsafe { std::mem::transmute_copy::<*const V, &V::View>(&value) };
        }
        // SAFETY: the caller's promise; values that are not plain are aligned as records everywhere in pages.
        unsafe { V::view_unchecked(bytes) }
    }

    /// The bytes of an entry's value.
    ///
    /// # Safety
    /// As for [`Table::view`].
    #[inline(always)]
    pub(super) unsafe fn value_bytes<'a>(arena: &mut Arena, entry: *mut u8) -> Result<&'a [u8], StateError> {
        // SAFETY: the entry starts with the value or a reference to it.
        unsafe {
            let (at, len) = if Entry::<K, V>::VALUE_IS_REF {
                slab::bytes_at(arena, Self::value_ref(entry))?
            } else {
                (entry, Entry::<K, V>::VALUE_BYTES)
            };
            Ok(std::slice::from_raw_parts(at, len))
        }
    }

    /// The bytes of an entry's key.
    ///
    /// # Safety
    /// As for [`Table::view`].
    #[inline(always)]
    pub(super) unsafe fn key_bytes<'a>(arena: &mut Arena, entry: *mut u8) -> Result<&'a [u8], StateError> {
        // SAFETY: the entry holds the key or a reference to it at this place.
        unsafe {
            let (at, len) = if Entry::<K, V>::KEY_IS_REF {
                slab::bytes_at(arena, Self::key_ref(entry))?
            } else {
                (entry.add(Entry::<K, V>::KEY_AT), Entry::<K, V>::KEY_BYTES)
            };
            Ok(std::slice::from_raw_parts(at, len))
        }
    }

    /// Whether an entry whose hash is right has this key.
    ///
    /// # Safety
    /// `entry` is an entry of this table.
    #[inline(always)]
    pub(super) unsafe fn key_is(arena: &mut Arena, entry: *mut u8, key: &[u8]) -> Result<bool, StateError> {
        if Entry::<K, V>::KEY_BYTES == 0 {
            return Ok(true);
        }
        // SAFETY: the caller's promise; the bytes are only looked at here.
        unsafe {
            if Entry::<K, V>::KEY_IS_REF {
                return Ok(
                    !Self::key_ref(entry).has_other_len(key.len()) && Self::key_bytes(arena, entry)? == key
                );
            }
            // Of a length that the compiler knows, so that it calls no function for a few words.
            let Some(key) =
                key.get(..Entry::<K, V>::KEY_BYTES).filter(|_| key.len() == Entry::<K, V>::KEY_BYTES)
            else {
                return Ok(false);
            };
            let stored =
                std::slice::from_raw_parts(entry.add(Entry::<K, V>::KEY_AT), Entry::<K, V>::KEY_BYTES);
            Ok(stored == key)
        }
    }

    /// # Safety
    /// `entry` is an entry of a table whose keys lie elsewhere.
    #[inline(always)]
    pub(super) unsafe fn key_ref(entry: *mut u8) -> Ref {
        // SAFETY: a reference stands there, aligned by the layout.
        Ref(unsafe { entry.add(Entry::<K, V>::KEY_AT).cast::<u64>().read() })
    }

    /// # Safety
    /// `entry` is an entry of a table whose values lie elsewhere.
    #[inline(always)]
    pub(super) unsafe fn value_ref(entry: *mut u8) -> Ref {
        // SAFETY: a reference stands at the entry's start, aligned by the layout.
        Ref(unsafe { entry.cast::<u64>().read() })
    }
}
