//! Many pages with their entries, as they lie in the manifest: in order, in runs of pages that follow each other, so that a map takes them
//! in by the run. Drawn in `docs/formats/manifest.md`.

use std::borrow::Cow;

use super::codec::{CodecError, Reader, Writer};
use super::page_map::{ArenaNo, PageEntry, PageId, PageNo};

/// Bytes before the entries of a run: arena, first page, number of pages.
const RUN_HEADER_BYTES: usize = 2 + 4 + 4;

/// Pages in ascending order, each once, as encoded runs that were found to be whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageRuns<'a> {
    bytes: Cow<'a, [u8]>,
    runs: usize,
}

/// Pages of one arena that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    first: PageId,
    entries: &'a [[u8; PageEntry::BYTES]],
}

impl Run<'_> {
    /// The first page.
    pub(crate) fn first(&self) -> PageId {
        self.first
    }

    /// The entries, page by page.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = PageEntry> + '_ {
        self.entries.iter().map(|bytes| PageEntry::from_bytes(*bytes))
    }

    /// The pages with their entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PageId, PageEntry)> + '_ {
        let numbered = (self.first.page.0..=u32::MAX).zip(self.entries());
        numbered.map(|(page, entry)| (PageId { arena: self.first.arena, page: PageNo(page) }, entry))
    }

    /// Where the pages after it begin, as arena and page number in one.
    fn end(&self) -> u64 {
        place(self.first) + self.entries.len() as u64
    }
}

/// Orders pages as page maps do.
fn place(id: PageId) -> u64 {
    u64::from(id.arena.0) << 32 | u64::from(id.page.0)
}

impl PageRuns<'static> {
    /// Pages in ascending order, each once.
    pub(crate) fn from_sorted(pages: impl Iterator<Item = (PageId, PageEntry)>) -> Self {
        let mut bytes = Vec::with_capacity(pages.size_hint().0.saturating_mul(PageEntry::BYTES));
        let (mut runs, mut count_at, mut next) = (0, 0, None);
        let mut count = 0u32;
        for (id, entry) in pages {
            debug_assert!(next.is_none_or(|next| next <= place(id)), "{id:?} is out of order");
            if next != Some(place(id)) || id.page == PageNo(0) {
                runs += 1;
                count = 0;
                bytes.extend_from_slice(&id.arena.0.to_le_bytes());
                bytes.extend_from_slice(&id.page.0.to_le_bytes());
                count_at = bytes.len();
                bytes.extend_from_slice(&count.to_le_bytes());
            }
            count += 1;
            bytes[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&entry.to_bytes());
            next = Some(place(id) + 1);
        }
        PageRuns { bytes: bytes.into(), runs }
    }

    /// Pages in any order. Where one comes twice, the later entry counts.
    pub(crate) fn from_entries(mut pages: Vec<(PageId, PageEntry)>) -> Self {
        if !pages.is_sorted_by(|(a, _), (b, _)| a < b) {
            // Stable, so that of equal ones the last is the youngest.
            pages.sort_by_key(|(id, _)| *id);
            pages.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    kept.1 = later.1;
                }
                same
            });
        }
        PageRuns::from_sorted(pages.into_iter())
    }
}

impl<'a> PageRuns<'a> {
    /// Bytes on disk, at least.
    pub(crate) const BYTES_MIN: usize = 8;

    /// The runs, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let mut rest = Reader::new(&self.bytes);
        (0..self.runs).map(move |_| get_run(&mut rest).expect("the runs were found to be whole"))
    }

    pub(crate) fn put(&self, out: &mut Writer) {
        out.put_u64(self.runs as u64).put_raw(&self.bytes);
    }

    pub(crate) fn get(fields: &mut Reader<'a>) -> Result<Self, CodecError> {
        let runs = fields.count("runs of pages", RUN_HEADER_BYTES + PageEntry::BYTES)?;
        let mut ahead = fields.clone();
        let mut end = 0;
        for _ in 0..runs {
            let start = ahead.clone();
            let run = get_run(&mut ahead)?;
            if place(run.first) < end {
                return Err(start.error("run of pages", format_args!("{:?} is out of order", run.first)));
            }
            end = run.end();
        }
        let bytes = fields.raw("runs of pages", ahead.offset() - fields.offset())?;
        Ok(PageRuns { bytes: bytes.into(), runs })
    }
}

fn get_run<'a>(fields: &mut Reader<'a>) -> Result<Run<'a>, CodecError> {
    let start = fields.clone();
    let (arena, page) = (ArenaNo(fields.u16("arena")?), PageNo(fields.u32("page")?));
    let count = fields.u32("number of pages")?;
    if count == 0 || page.0.checked_add(count - 1).is_none() {
        return Err(start.error("run of pages", format_args!("{count} pages do not follow page {page}")));
    }
    let bytes = fields.raw("page entries", (count as usize).saturating_mul(PageEntry::BYTES))?;
    Ok(Run { first: PageId { arena, page }, entries: bytes.as_chunks().0 })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::checkpoint::page_map::FileNo;

    fn id(arena: u16, page: u32) -> PageId {
        PageId { arena: ArenaNo(arena), page: PageNo(page) }
    }

    fn entry(file: u32) -> PageEntry {
        PageEntry { info: [file as u8; 16], file: FileNo(file), block: file + 1, crc: !file }
    }

    fn encoded(runs: &PageRuns<'_>) -> Vec<u8> {
        let mut out = Writer::new();
        runs.put(&mut out);
        out.into_bytes()
    }

    proptest! {
        #[test]
        fn come_back_in_order_with_the_last_entry_of_each_page(
            pages in prop::collection::vec((0u16..3, 0u32..60, 1u32..1000), 0..200),
        ) {
            let pages: Vec<_> = pages.into_iter().map(|(arena, page, file)| (id(arena, page), entry(file))).collect();
            let model: BTreeMap<PageId, PageEntry> = pages.iter().copied().collect();
            let bytes = encoded(&PageRuns::from_entries(pages));
            let mut fields = Reader::new(&bytes);
            let runs = PageRuns::get(&mut fields).unwrap();
            prop_assert!(fields.finish().is_ok());
            let read: Vec<_> = runs.runs().flat_map(|run| run.iter().collect::<Vec<_>>()).collect();
            prop_assert_eq!(&read, &model.iter().map(|(id, entry)| (*id, *entry)).collect::<Vec<_>>());
            let gaps = model.keys().filter(|id| id.page.0 == 0 || !model.contains_key(&PageId { page: PageNo(id.page.0 - 1), ..**id }));
            prop_assert_eq!(runs.runs().count(), gaps.count());
            prop_assert_eq!(encoded(&PageRuns::from_sorted(read.into_iter())), bytes);
        }

        #[test]
        fn damage_is_refused_or_still_in_order(
            pages in prop::collection::btree_set((0u16..2, 0u32..40), 1..30),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let pages = pages.into_iter().map(|(arena, page)| (id(arena, page), entry(1)));
            let mut bytes = encoded(&PageRuns::from_sorted(pages));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(runs) = PageRuns::get(&mut Reader::new(&bytes)) {
                let read: Vec<PageId> = runs.runs().flat_map(|run| run.iter().map(|(id, _)| id).collect::<Vec<_>>()).collect();
                prop_assert!(read.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn the_last_page_of_an_arena_and_the_first_of_the_next_are_two_runs() {
        let pages = [(id(0, u32::MAX), entry(1)), (id(1, 0), entry(2))];
        let runs = PageRuns::from_sorted(pages.into_iter());
        assert_eq!(runs.runs().flat_map(|run| run.iter().collect::<Vec<_>>()).collect::<Vec<_>>(), pages);
        assert_eq!(runs.runs().count(), 2);
    }

    #[test]
    fn runs_that_overlap_or_are_empty_or_end_nowhere_are_refused() {
        let run = |first: u32, count: u32, entries: usize| {
            let mut out = Writer::new();
            out.put_u16(0).put_u32(first).put_u32(count).put_raw(&vec![1; entries * PageEntry::BYTES]);
            out.into_bytes()
        };
        let refused = |runs: &[Vec<u8>]| {
            let mut out = Writer::new();
            out.put_list(runs, |out, run| {
                out.put_raw(run);
            });
            PageRuns::get(&mut Reader::new(out.bytes())).unwrap_err().problem
        };
        assert!(refused(&[run(5, 3, 3), run(7, 1, 1)]).contains("is out of order"));
        assert!(refused(&[run(5, 0, 1)]).contains("0 pages"));
        assert!(refused(&[run(u32::MAX, 2, 2)]).contains("do not follow"));
        assert!(refused(&[run(5, 3, 2)]).contains("are needed"));
        assert!(refused(&[run(5, u32::MAX - 5, 2)]).contains("are needed"));
    }
}
