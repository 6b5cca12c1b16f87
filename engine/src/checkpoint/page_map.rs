//! Which page lies where: the map from a shard's pages to blocks of delta files.

use std::collections::BTreeMap;

use super::codec::{CodecError, Reader, Writer};
pub use crate::arena::PageNo;

/// One arena of a shard. A shard has one per chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArenaNo(pub u16);

/// What the owner of a page wants to know of it before it is read (its kind, its place in a table). Opaque here.
pub type PageInfo = [u8; 16];

/// A page of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId {
    /// The arena.
    pub arena: ArenaNo,
    /// The page in it.
    pub page: PageNo,
}

/// A delta file, as the manifest numbers it. A number is used again once nothing refers to the file any more. 0 is never used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNo(pub u32);

impl FileNo {
    /// No file: in a [`PageEntry`], no page.
    pub const NONE: FileNo = FileNo(0);
}

/// Where a page's bytes lie, and how to know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageEntry {
    /// What the page's owner said of it.
    pub info: PageInfo,
    /// The delta file.
    pub file: FileNo,
    /// The block of the file, counted in pages; block 0 is the file's header.
    pub block: u32,
    /// The CRC-32 (IEEE) of the page's bytes.
    pub crc: u32,
}

impl PageEntry {
    /// No page.
    pub const ABSENT: PageEntry = PageEntry { info: [0; 16], file: FileNo::NONE, block: 0, crc: 0 };

    /// Bytes on disk.
    pub(crate) const BYTES: usize = 28;

    /// Whether there is a page.
    pub fn is_present(&self) -> bool {
        self.file != FileNo::NONE
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_raw(&self.to_bytes());
    }

    pub(crate) fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        fields.array("page entry").map(PageEntry::from_bytes)
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.info);
        bytes[16..20].copy_from_slice(&self.file.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.block.to_le_bytes());
        bytes[24..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let word = |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let info = std::array::from_fn(|i| bytes[i]);
        PageEntry { info, file: FileNo(word(16)), block: word(20), crc: word(24) }
    }
}

impl PageId {
    /// Bytes on disk.
    pub(crate) const BYTES: usize = 6;

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_u16(self.arena.0).put_u32(self.page.0);
    }

    pub(crate) fn get(fields: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(PageId { arena: ArenaNo(fields.u16("arena")?), page: PageNo(fields.u32("page")?) })
    }
}

const CHUNK_PAGES: usize = 1024;

type Chunk = [PageEntry; CHUNK_PAGES];

/// The pages of one shard. Pages of an arena are numbered densely, so that an entry is found by index; a stray large number costs a chunk
/// of 1024 entries and pointers up to it, not a table.
#[derive(Clone, Debug, Default)]
pub struct PageMap {
    arenas: BTreeMap<ArenaNo, ArenaPages>,
}

#[derive(Clone, Debug, Default)]
struct ArenaPages {
    chunks: Vec<Option<Box<Chunk>>>,
    present: usize,
}

impl PageMap {
    /// A map without pages.
    pub fn new() -> Self {
        PageMap::default()
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.arenas.values().map(|arena| arena.present).sum()
    }

    /// How many bytes of memory it takes.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        let chunks = self.arenas.values().flat_map(|arena| &arena.chunks);
        chunks.map(|chunk| size_of_val(chunk) + if chunk.is_some() { size_of::<Chunk>() } else { 0 }).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.arenas.values().all(|arena| arena.present == 0)
    }

    /// Where the page lies.
    pub fn get(&self, id: PageId) -> Option<PageEntry> {
        let page = id.page.0 as usize;
        let chunk = self.arenas.get(&id.arena)?.chunks.get(page / CHUNK_PAGES)?.as_ref()?;
        Some(chunk[page % CHUNK_PAGES]).filter(PageEntry::is_present)
    }

    /// Puts an entry in its place ([`PageEntry::ABSENT`] takes the page out); gives back what was there.
    pub fn set(&mut self, id: PageId, entry: PageEntry) -> PageEntry {
        if !entry.is_present() && self.get(id).is_none() {
            return PageEntry::ABSENT;
        }
        let arena = self.arenas.entry(id.arena).or_default();
        let page = id.page.0 as usize;
        let chunk_no = page / CHUNK_PAGES;
        if chunk_no >= arena.chunks.len() {
            arena.chunks.resize(chunk_no + 1, None);
        }
        let chunk = arena.chunks[chunk_no].get_or_insert_with(absent_chunk);
        let old = std::mem::replace(&mut chunk[page % CHUNK_PAGES], entry);
        arena.present += usize::from(entry.is_present());
        arena.present -= usize::from(old.is_present());
        old
    }

    /// Puts entries of pages (all present) that follow each other in their places, and hands each page with what was there before and what
    /// is there now to `each`.
    pub(crate) fn set_run(
        &mut self,
        first: PageId,
        mut entries: impl ExactSizeIterator<Item = PageEntry>,
        mut each: impl FnMut(PageId, PageEntry, PageEntry),
    ) {
        let arena = self.arenas.entry(first.arena).or_default();
        let mut page = first.page.0 as usize;
        let end = page + entries.len();
        if arena.chunks.len() < end.div_ceil(CHUNK_PAGES) {
            arena.chunks.resize(end.div_ceil(CHUNK_PAGES), None);
        }
        while page < end {
            let chunk = arena.chunks[page / CHUNK_PAGES].get_or_insert_with(absent_chunk);
            let start = page % CHUNK_PAGES;
            let count = (end - page).min(CHUNK_PAGES - start);
            for (slot, entry) in chunk[start..start + count].iter_mut().zip(entries.by_ref()) {
                let old = std::mem::replace(slot, entry);
                arena.present += usize::from(!old.is_present());
                each(PageId { arena: first.arena, page: PageNo(page as u32) }, old, entry);
                page += 1;
            }
        }
    }

    /// All pages, by arena, then by number.
    pub fn iter(&self) -> impl Iterator<Item = (PageId, PageEntry)> + '_ {
        self.arenas.iter().flat_map(|(arena, pages)| pages.iter(*arena))
    }

    /// The pages of one arena, by number.
    pub fn iter_arena(&self, arena: ArenaNo) -> impl Iterator<Item = (PageId, PageEntry)> + '_ {
        self.arenas.get(&arena).into_iter().flat_map(move |pages| pages.iter(arena))
    }

    /// The arenas that have pages, in order.
    pub fn arenas(&self) -> impl Iterator<Item = ArenaNo> + '_ {
        self.arenas.iter().filter(|(_, pages)| pages.present > 0).map(|(arena, _)| *arena)
    }
}

fn absent_chunk() -> Box<Chunk> {
    Box::new([PageEntry::ABSENT; CHUNK_PAGES])
}

impl ArenaPages {
    fn iter(&self, arena: ArenaNo) -> impl Iterator<Item = (PageId, PageEntry)> + '_ {
        let chunks = self.chunks.iter().enumerate().filter_map(|(no, chunk)| Some((no, chunk.as_ref()?)));
        chunks.flat_map(move |(no, chunk)| {
            let first = no * CHUNK_PAGES;
            let entries = chunk.iter().enumerate().filter(|(_, entry)| entry.is_present());
            entries.map(move |(i, entry)| (PageId { arena, page: PageNo((first + i) as u32) }, *entry))
        })
    }
}

/// Two maps are the same when their pages are, however they came to be.
impl PartialEq for PageMap {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for PageMap {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(file: u32) -> PageEntry {
        PageEntry { info: [file as u8; 16], file: FileNo(file), block: file + 1, crc: !file }
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_map(changes in prop::collection::vec((0u16..3, 0u32..1000, 0u32..4), 0..400)) {
            let (mut map, mut model) = (PageMap::new(), BTreeMap::new());
            for (arena, page, file) in changes {
                let id = PageId { arena: ArenaNo(arena), page: PageNo(page) };
                let (entry, expected) = match file {
                    0 => (PageEntry::ABSENT, model.remove(&id)),
                    file => (entry(file), model.insert(id, entry(file))),
                };
                prop_assert_eq!(map.set(id, entry), expected.unwrap_or(PageEntry::ABSENT));
                prop_assert_eq!(map.get(id), model.get(&id).copied());
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.into_iter()));
        }
    }

    proptest! {
        #[test]
        fn runs_are_entries_put_in_one_by_one(
            before in prop::collection::vec(0u32..3000, 0..200),
            runs in prop::collection::vec((0u16..2, 0u32..2500, 1u32..1500), 0..8),
        ) {
            let (mut map, mut model) = (PageMap::new(), PageMap::new());
            for page in before {
                let id = PageId { arena: ArenaNo(0), page: PageNo(page) };
                prop_assert_eq!(map.set(id, entry(1)), model.set(id, entry(1)));
            }
            for (arena, first, count) in runs {
                let first = PageId { arena: ArenaNo(arena), page: PageNo(first) };
                let (mut seen, mut expected) = (Vec::new(), Vec::new());
                let entries = (0..count).map(|nth| entry(nth + 2));
                map.set_run(first, entries.clone(), |id, old, entry| seen.push((id, old, entry)));
                for (page, entry) in (first.page.0..).zip(entries) {
                    let id = PageId { page: PageNo(page), ..first };
                    expected.push((id, model.set(id, entry), entry));
                }
                prop_assert_eq!(seen, expected);
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map, model);
        }
    }

    #[test]
    fn a_run_may_end_with_the_largest_page_number() {
        let mut map = PageMap::new();
        let first = PageId { arena: ArenaNo(0), page: PageNo(u32::MAX - 1) };
        map.set_run(first, [entry(1), entry(2)].into_iter(), |_, _, _| {});
        assert_eq!(map.get(PageId { page: PageNo(u32::MAX), ..first }), Some(entry(2)));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn the_largest_page_number_has_its_place() {
        let mut map = PageMap::new();
        let id = PageId { arena: ArenaNo(u16::MAX), page: PageNo(u32::MAX) };
        map.set(id, entry(5));
        assert_eq!(map.get(id), Some(entry(5)));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(id, entry(5))]);
        assert!(map.arenas().eq([ArenaNo(u16::MAX)]));
        map.set(id, PageEntry::ABSENT);
        assert!(map.is_empty() && map.arenas().next().is_none());
    }
}
