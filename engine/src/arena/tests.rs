//! Tests of the arena below any table: pages, runs, the barrier.

mod residency;

use super::*;

fn arena(pages_max: u32) -> Arena {
    Arena::new(ArenaConfig { pages_max, ..ArenaConfig::new("test") }).unwrap()
}

fn table(arena: &mut Arena) -> TableId {
    arena.new_table(StateName::new("test", "pages"), |_, _| Ok(()))
}

fn write(arena: &mut Arena, page: PageNo, byte: u8) {
    arena.touch(page).unwrap();
    // SAFETY: a page that was handed out.
    unsafe { arena.at(page).write_bytes(byte, PAGE_BYTES) };
}

fn take(arena: &mut Arena, pages: usize) -> Vec<(u32, u8)> {
    let mut out = Vec::new();
    let done = arena.save_some(pages, &mut |page| {
        assert!(page.bytes.iter().all(|&byte| byte == page.bytes[0]));
        out.push((page.page.0, page.bytes[0]));
    });
    done.unwrap();
    out
}

#[test]
fn a_checkpoint_saves_what_was_there_when_it_began() {
    let mut arena = arena(100);
    let table = table(&mut arena);
    let mut list = PageList::default();
    let info = PageInfo::of_kind(PageKind::Overflow, table);
    let pages: Vec<_> = (0..5).map(|_| arena.alloc(&mut list, info).unwrap()).collect();
    for (at, &page) in pages.iter().enumerate() {
        write(&mut arena, page, at as u8);
    }
    arena.begin_checkpoint(Epoch(1));
    assert_eq!(take(&mut arena, 1), [(1, 0)]);
    write(&mut arena, pages[0], 10); // saved already
    write(&mut arena, pages[1], 11); // copied aside
    write(&mut arena, pages[1], 12);
    arena.free(&mut list, pages[2]); // kept until saved
    let fresh = arena.alloc(&mut list, info).unwrap();
    assert!(!pages.contains(&fresh));
    write(&mut arena, fresh, 13);
    arena.free(&mut list, pages[1]); // its copy is what counts
    assert_eq!(take(&mut arena, 9), [(2, 1), (3, 2), (4, 3), (5, 4)]);
    arena.finish_checkpoint();
    assert_eq!(arena.pages_in_use(), 4);

    arena.begin_checkpoint(Epoch(2));
    assert_eq!(arena.removed_pages(), [pages[2], pages[1]]);
    assert_eq!(take(&mut arena, 9), [(1, 10), (fresh.0, 13)]);
    arena.finish_checkpoint();
}

#[test]
fn runs_are_contiguous_and_their_pages_come_back() {
    let mut arena = arena(64);
    let table = table(&mut arena);
    let mut list = PageList::default();
    let run = arena.alloc_run(&mut list, table, 5).unwrap();
    assert_eq!(arena.info(run).prefix, 5);
    assert_eq!(arena.info(PageNo(run.0 + 4)).kind, PageKind::ExtentRest);
    arena.free_run(&mut list, run, 5);
    let again = arena.alloc_run(&mut list, table, 3).unwrap();
    assert_eq!(again, run);
    // The rest of the run serves single pages before the arena grows.
    let info = PageInfo::of_kind(PageKind::Overflow, table);
    let single = arena.alloc(&mut list, info).unwrap();
    assert_eq!(single.0, run.0 + 3);
    assert_eq!(arena.list(list).count(), 4);
}

#[test]
fn prefaulted_pages_are_charged_once() {
    let mut arena = arena(64);
    arena.prefault(10);
    arena.prefault(10);
    assert_eq!(arena.bytes_charged(), 10 * PAGE_BYTES as u64);
    let table = table(&mut arena);
    let mut list = PageList::default();
    for _ in 0..10 {
        arena.alloc(&mut list, PageInfo::of_kind(PageKind::Overflow, table)).unwrap();
    }
    assert_eq!(arena.bytes_charged(), 10 * PAGE_BYTES as u64);
    arena.prefault(1000);
    assert_eq!(arena.bytes_charged(), 63 * PAGE_BYTES as u64);
}

#[test]
fn plans_go_ahead_of_growth_and_leave_most_of_a_budget() {
    let budget = MemoryBudget::new(400 * PAGE_BYTES as u64);
    let config = ArenaConfig { pages_max: 1024, budget, ..ArenaConfig::new("test") };
    let mut arena = Arena::new(config).unwrap();
    let (table, mut list) = (table(&mut arena), PageList::default());
    let mut use_up = |arena: &mut Arena, pages: u32| {
        for _ in 0..pages {
            arena.alloc(&mut list, PageInfo::of_kind(PageKind::Overflow, table)).unwrap();
        }
        (arena.plan_ahead().is_some(), arena.bytes_charged() / PAGE_BYTES as u64)
    };
    assert_eq!(use_up(&mut arena, 0), (true, 32));
    assert_eq!(use_up(&mut arena, 0), (false, 32));
    assert_eq!(use_up(&mut arena, 16), (false, 32), "half of them are left");
    assert_eq!(use_up(&mut arena, 1), (true, 49));
    assert_eq!(use_up(&mut arena, 283), (true, 325), "a quarter of the hundred that are left of the budget");
}

#[test]
fn a_heap_arena_works_alike() {
    let config = ArenaConfig { pages_max: 16, backing: ArenaBacking::Heap, ..ArenaConfig::new("test") };
    let mut arena = Arena::new(config).unwrap();
    let table = table(&mut arena);
    let mut list = PageList::default();
    let page = arena.alloc(&mut list, PageInfo::of_kind(PageKind::Overflow, table)).unwrap();
    write(&mut arena, page, 3);
    arena.begin_checkpoint(Epoch(1));
    assert_eq!(take(&mut arena, 9), [(1, 3)]);
}

#[test]
fn where_address_space_is_refused_less_is_asked_for_down_to_a_gibibyte() {
    let limit = |most: u32| {
        move |pages: u32| if pages <= most { Ok(pages) } else { Err(std::io::ErrorKind::OutOfMemory.into()) }
    };
    let reserve = |mut pages: u32, most| {
        let reserved = reserve_what_there_is(&mut pages, limit(most));
        (reserved.ok(), pages)
    };
    assert_eq!(reserve(1 << 24, 1 << 24), (Some(1 << 24), 1 << 24));
    assert_eq!(reserve(1 << 24, (1 << 23) - 1), (Some(1 << 22), 1 << 22));
    assert_eq!(reserve(1 << 24, PAGES_LEAST - 1), (None, PAGES_LEAST));
    assert_eq!(reserve(100, 50), (None, 100), "what is small is not made smaller");
}
