//! Tests of pages that memory has no room for.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::disk::{Disk, DiskFile, DiskLock};
use crate::testing::sim_disk::{SimDisk, SimFaults};

/// One file in memory that tests may change behind the arena's back.
#[derive(Clone, Default)]
struct Scratch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    names: Vec<std::path::PathBuf>,
    /// Pages.
    reads: usize,
    writes: usize,
    refuses: Option<io::ErrorKind>,
}

impl Disk for Scratch {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_or_create(path)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_or_create(path)
    }
    fn open_or_create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.lock().unwrap().names.push(path.to_owned());
        Ok(Arc::new(self.clone()))
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().names.retain(|name| name != path);
        Ok(())
    }
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn lock(&self, _: &Path, _: &str) -> io::Result<DiskLock> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl DiskFile for Scratch {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        if let Some(kind) = state.refuses {
            return Err(kind.into());
        }
        buf.copy_from_slice(&state.bytes[offset as usize..][..buf.len()]);
        Ok(())
    }
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.writes += buf.len() / PAGE_BYTES;
        if let Some(kind) = state.refuses {
            return Err(kind.into());
        }
        let end = offset as usize + buf.len();
        if state.bytes.len() < end {
            state.bytes.resize(end, 0);
        }
        state.bytes[offset as usize..end].copy_from_slice(buf);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

const LIMIT: u64 = 64 * PAGE_BYTES as u64;

/// An arena with room for about 64 pages, and its disk.
fn small() -> (Arena, Scratch) {
    let disk = Scratch::default();
    let place = SpillPlace { disk: Arc::new(disk.clone()), path: "/spilled/count".into() };
    let budget = MemoryBudget::new(LIMIT);
    (
        Arena::new(ArenaConfig { pages_max: 4096, budget, spill: Some(place), ..ArenaConfig::new("count") })
            .unwrap(),
        disk,
    )
}

fn fill(arena: &mut Arena, count: u32) -> (PageList, Vec<PageNo>) {
    let table = table(arena);
    let mut list = PageList::default();
    let pages = (0..count).map(|at| {
        let page = arena.alloc(&mut list, PageInfo::of_kind(PageKind::Overflow, table)).unwrap();
        write(arena, page, at as u8);
        arena.make_room().unwrap();
        page
    });
    let pages = pages.collect();
    (list, pages)
}

fn read(arena: &mut Arena, page: PageNo) -> u8 {
    arena.bring_in(page).unwrap();
    // SAFETY: a page that is in memory.
    let bytes = unsafe { std::slice::from_raw_parts(arena.at(page), PAGE_BYTES) };
    assert!(bytes.iter().all(|&byte| byte == bytes[0]));
    bytes[0]
}

#[test]
fn what_memory_has_no_room_for_comes_back() {
    let (mut arena, disk) = small();
    let (_, pages) = fill(&mut arena, 1000);
    for round in 0..3 {
        for (at, &page) in pages.iter().enumerate() {
            assert_eq!(read(&mut arena, page), (at + round) as u8);
            write(&mut arena, page, (at + round + 1) as u8);
            arena.make_room().unwrap();
            assert!(arena.config.budget.used() <= LIMIT + 64 * PAGE_BYTES as u64 / 32);
        }
    }
    let (read, written) = arena.pages_spilled();
    let state = disk.0.lock().unwrap();
    assert_eq!((read, written), (state.reads as u64, state.writes as u64));
    assert!(written >= 4 * 900, "{written}");
    assert_eq!(state.names, Vec::<std::path::PathBuf>::new(), "the file has lost its name");
}

#[test]
fn pages_that_are_used_again_and_again_stay() {
    let (mut arena, _) = small();
    let (_, pages) = fill(&mut arena, 500);
    let (hot, cold) = pages.split_at(8);
    for &page in hot {
        read(&mut arena, page);
    }
    let mut reads = 0;
    for &page in cold.iter().chain(cold) {
        read(&mut arena, page);
        let (before, _) = arena.pages_spilled();
        hot.iter().for_each(|&page| assert!(read(&mut arena, page) < 8));
        let (after, _) = arena.pages_spilled();
        reads += after - before;
        arena.make_room().unwrap();
    }
    // Each may have gone while room was made for those that came together.
    assert!(reads <= 16, "{reads} reads of pages that are used all the time");
}

#[test]
fn a_page_that_has_not_changed_is_not_written_again() {
    let (mut arena, disk) = small();
    let (_, pages) = fill(&mut arena, 400);
    save(&mut arena, 1);
    for &page in &pages {
        read(&mut arena, page);
        arena.make_room().unwrap();
    }
    let written = disk.0.lock().unwrap().writes;
    for &page in pages.iter().chain(&pages) {
        read(&mut arena, page);
        arena.make_room().unwrap();
    }
    assert_eq!(disk.0.lock().unwrap().writes, written);
}

fn save(arena: &mut Arena, epoch: u64) -> Vec<(u32, u8)> {
    arena.begin_checkpoint(Epoch(epoch));
    let saved = take(arena, usize::MAX);
    arena.finish_checkpoint();
    saved
}

#[test]
fn a_checkpoint_saves_pages_that_are_not_in_memory_as_they_were() {
    let (mut arena, _) = small();
    let (mut list, pages) = fill(&mut arena, 300);
    arena.begin_checkpoint(Epoch(1));
    // All are written, a third freed, while the checkpoint has them to save; copies go to the file as well.
    for (at, &page) in pages.iter().enumerate() {
        match at % 3 {
            0 => arena.free(&mut list, page),
            _ => write(&mut arena, page, 255),
        }
        arena.make_room().unwrap();
    }
    let mut saved = Vec::new();
    while saved.len() < pages.len() {
        saved.extend(take(&mut arena, 7));
        arena.make_room().unwrap();
    }
    arena.finish_checkpoint();
    let expected: Vec<_> = pages.iter().enumerate().map(|(at, page)| (page.0, at as u8)).collect();
    assert_eq!(saved, expected);
    assert_eq!(save(&mut arena, 2).len(), 200);
    assert_eq!(save(&mut arena, 3), []);
    // A checkpoint that is given up hands its pages on, wherever they are.
    pages[1..].chunks(3).for_each(|pages| write(&mut arena, pages[0], 7));
    arena.make_room().unwrap();
    arena.begin_checkpoint(Epoch(4));
    take(&mut arena, 50);
    arena.abort_checkpoint();
    arena.make_room().unwrap();
    assert_eq!(save(&mut arena, 5), (1..300).step_by(3).map(|at| (pages[at].0, 7)).collect::<Vec<_>>());
    assert_eq!(arena.mark_for_rewrite(pages.clone()), 0);
    assert_eq!(save(&mut arena, 6).len(), 200);
}

#[test]
fn arenas_share_what_memory_there_is() {
    let disk = SimDisk::new(1, SimFaults::default()).shared();
    disk.create_dir_all(Path::new("/")).unwrap();
    let budget = MemoryBudget::new(400 * PAGE_BYTES as u64);
    let arena = |name: &str| {
        let place = SpillPlace { disk: disk.clone(), path: format!("/{name}").into() };
        let config = ArenaConfig { pages_max: 4096, ..ArenaConfig::new(name) };
        Arena::new(ArenaConfig { budget: budget.clone(), spill: Some(place), ..config }).unwrap()
    };
    let (mut first, mut second) = (arena("first"), arena("second"));
    let (_, of_first) = fill(&mut first, 1000);
    assert!(first.bytes_charged() > budget.limit() / 2);
    let (_, of_second) = fill(&mut second, 1000);
    for (at, (&a, &b)) in of_first.iter().zip(&of_second).enumerate() {
        assert_eq!((read(&mut first, a), read(&mut second, b)), (at as u8, at as u8));
        first.make_room().unwrap();
        second.make_room().unwrap();
    }
    let (a, b) = (first.bytes_charged(), second.bytes_charged());
    assert!(a.abs_diff(b) <= budget.limit() / 8, "{a} and {b}");
    assert!(budget.used() <= budget.limit() + budget.limit() / 32);
    drop((first, second));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_full_disk_names_the_file_and_what_to_do() {
    let (mut arena, disk) = small();
    let (_, pages) = fill(&mut arena, 60);
    disk.0.lock().unwrap().refuses = Some(io::ErrorKind::StorageFull);
    let table = table(&mut arena);
    let mut list = PageList::default();
    let error = loop {
        arena.alloc(&mut list, PageInfo::of_kind(PageKind::Overflow, table)).unwrap();
        if let Err(error) = arena.make_room() {
            break error;
        }
    };
    let said = error.to_string();
    for words in [
        "operator `test`, state `pages`",
        "bytes of state that memory has no room for",
        "/spilled/count",
        "Job::spill_dir",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    // What could not be written is there still.
    disk.0.lock().unwrap().refuses = None;
    arena.make_room().unwrap();
    for (at, &page) in pages.iter().enumerate() {
        assert_eq!(read(&mut arena, page), at as u8);
    }
}

#[test]
fn a_page_that_comes_back_damaged_or_not_at_all_is_named_with_its_place() {
    let (mut arena, disk) = small();
    let (_, pages) = fill(&mut arena, 200);
    let gone = *pages.iter().find(|page| arena.is_gone(**page)).unwrap();
    let offset = gone.index() * PAGE_BYTES;
    disk.0.lock().unwrap().bytes[offset + 5] ^= 1;
    let error = arena.bring_in(gone).unwrap_err();
    let StateError::SpillRead { page, offset: at, message, .. } = &error else { panic!("{error}") };
    assert_eq!((*page, *at, &**message), (gone, offset as u64, "its checksum is wrong"));
    let said = error.to_string();
    assert!(said.contains("operator `test`, state `pages`") && said.contains("/spilled/count"), "{said}");
    // A checkpoint cannot have it either, and says so instead of leaving it out.
    arena.begin_checkpoint(Epoch(1));
    let saved = (0..200).map(|_| arena.save_some(1, &mut |_| ())).find(Result::is_err);
    assert_eq!(saved, Some(Err(error)));
    disk.0.lock().unwrap().bytes[offset + 5] ^= 1;
    disk.0.lock().unwrap().refuses = Some(io::ErrorKind::TimedOut);
    assert!(arena.bring_in(gone).is_err());
    disk.0.lock().unwrap().refuses = None;
    let at = pages.iter().position(|page| *page == gone).unwrap();
    assert_eq!(read(&mut arena, gone), at as u8);
}
