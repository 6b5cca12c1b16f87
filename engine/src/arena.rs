//! A chain's page space: a memory-mapped reservation carved into pages, with the write barrier that makes snapshots incremental.
//!
//! Each stateful chain of a shard has an arena of its own; arenas share no pages. Pages belong to tables, and are addressed by
//! number, never by pointer. Every page describes itself ([`PageInfo`]); what it says travels with it into checkpoints, so that
//! nothing but pages has to be saved.
//!
//! **The write barrier.** Each page has a tag: the turn (the arena's count of checkpoints) in which it was first written, or 0
//! where it is not in memory. Every write compares the tag with the current turn. Where they differ, the slow path brings the
//! page in if it is missing, copies it aside if a running checkpoint has yet to save it, and enters it in the list of pages
//! that the next checkpoint will save. A page that awaits saving is one whose tag is the turn before, so turning costs nothing
//! per page.
//!
//! Modules: `region` reserves, `space` hands pages out and takes them back, `barrier` tracks writes and saves pages,
//! `restore` brings pages of a checkpoint in, `residency` lets pages go that memory has no room for, to the file of `spill`.
#![allow(unsafe_code)] // hands out raw pages of its reservation to the tables above

mod barrier;
mod budget;
mod error;
mod page;
mod region;
mod residency;
mod restore;
mod space;
mod spill;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

pub use barrier::SavedPage;
pub use budget::MemoryBudget;
pub use error::StateError;
pub use page::{PageInfo, PageKind, PageNo, TableId};
pub(crate) use region::pages_can_go;
pub use region::{ArenaBacking, Prefault};
pub use restore::PageLoader;
pub(crate) use space::PageList;
pub use spill::SpillPlace;

use crate::element::Epoch;
use crate::limits::PAGE_BYTES;
use region::{Column, Region, Zeroed};
use residency::Residency;

#[cfg(target_endian = "big")]
compile_error!("pages hold little-endian words in place; big-endian machines are not supported");

/// The tag of a page that is not in memory.
const ABSENT: u32 = 0;
/// The tag of a page that no checkpoint has to save: what it holds is on disk.
const CLEAN: u32 = 1;
/// The turn of a new arena; it lies above both marks.
const FIRST_TURN: u32 = 2;

/// Where so many pages of address space are refused, fewer are asked for, down to these: 1 GiB.
const PAGES_LEAST: u32 = 1 << 18;

/// Reserves pages, half as many each time that they are refused: a limit of the process, strict accounting of memory and some tools leave
/// less than what is asked for by default.
fn reserve_what_there_is<T>(
    pages: &mut u32,
    reserve: impl Fn(u32) -> std::io::Result<T>,
) -> std::io::Result<T> {
    loop {
        match reserve(*pages) {
            Err(_) if *pages / 2 >= PAGES_LEAST => *pages /= 2,
            reserved => return reserved,
        }
    }
}

/// How an arena is set up.
#[derive(Clone, Debug)]
pub struct ArenaConfig {
    /// The chain's first operator, for errors.
    pub operator: Arc<str>,
    /// How many pages of address space to reserve; fewer where the system refuses them. Reserved pages cost nothing until used.
    pub pages_max: u32,
    /// Where the memory comes from.
    pub backing: ArenaBacking,
    /// The job's memory budget.
    pub budget: MemoryBudget,
    /// Where pages go for which the budget has no room; where there is none, it is an error to need more.
    pub spill: Option<SpillPlace>,
}

impl ArenaConfig {
    /// 64 GiB of address space for the chain of this operator, without a limit on memory.
    pub fn new(operator: &str) -> Self {
        ArenaConfig {
            operator: operator.into(),
            pages_max: 1 << 24,
            backing: ArenaBacking::default(),
            budget: MemoryBudget::unlimited(),
            spill: None,
        }
    }
}

/// Whose state a table is: what errors say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateName {
    /// The operator.
    pub operator: Arc<str>,
    /// The state's name within it.
    pub state: Arc<str>,
}

impl StateName {
    /// A name.
    pub fn new(operator: &str, state: &str) -> Self {
        StateName { operator: operator.into(), state: state.into() }
    }
}

/// Says whether a page that came from a checkpoint has the structure that its table gives its pages.
pub(crate) type PageCheck = fn(&Arena, PageNo) -> Result<(), &'static str>;

struct TableOwner {
    name: StateName,
    check: PageCheck,
}

/// What the arena knows of a page beside its tag.
#[derive(Clone, Copy)]
struct PageMeta {
    info: PageInfo,
    /// Where the bytes lie that the running checkpoint will save for this page, if not in the page itself. May be the page itself:
    /// then it was freed, and is not handed out again before it is saved.
    aside: PageNo,
    /// Whether this page holds such bytes (`info` is then the info that goes with them).
    is_aside: bool,
    /// Where the page stands in the list of freed pages, if it is in there.
    freed_at: u32,
    /// Neighbours in the list of all pages of the table.
    links: Links,
    /// Neighbours in the list of slab pages of a class with free slots.
    partial: Links,
}

#[derive(Clone, Copy, Default)]
struct Links {
    prev: PageNo,
    next: PageNo,
}

// SAFETY: all-zero bytes are a free page (kind 0 is `Free`, `is_aside` is false), linked to none.
unsafe impl Zeroed for PageMeta {}

/// A table that was dropped and whose pages are taken back bit by bit.
struct Discarded {
    pages: PageList,
    /// The turn in which it was dropped.
    turn: u32,
    table: TableId,
}

/// The pages of one chain on one shard.
pub struct Arena {
    pages: Arc<Region>,
    tags: Column<u32>,
    meta: Column<PageMeta>,
    turn: u32,
    /// How many pages have the tag [`ABSENT`] and hold state: those that are missing, and those that are cooling or gone.
    absent: u32,
    /// How many pages of a restored arena have not been in memory yet.
    missing: u32,
    /// Where pages may go.
    residency: Option<Box<Residency>>,
    config: ArenaConfig,

    // space
    /// The first page never handed out.
    next: u32,
    /// Pages below this are charged to the budget (and were touched, so that the kernel has given memory for them).
    charged: u32,
    free: Vec<PageNo>,
    free_runs: BTreeMap<u32, Vec<PageNo>>,
    discarded: VecDeque<Discarded>,
    in_use: u32,

    // barrier
    running: Option<Epoch>,
    /// How many pages were ever copied aside or brought in.
    moved: u64,
    dirty: Vec<PageNo>,
    freed: Vec<PageNo>,
    save: Vec<PageNo>,
    save_at: usize,
    removed: Vec<PageNo>,

    // tables
    tables: HashMap<TableId, TableOwner>,
    next_table: u32,
    /// Tables of the checkpoint that nobody has taken up yet; in order, so that runs can be repeated exactly.
    restored: BTreeMap<TableId, PageList>,
    loader: Option<Box<dyn PageLoader>>,
}

/// What [`Arena::at`] and [`Arena::is_current`] look at. Neither pages nor tags ever move, so it holds for as long as the arena is there and no
/// checkpoint begins: in a loop that writes through raw pointers the compiler would look it up anew for each record.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pages: *mut u8,
    tags: *const u32,
    turn: u32,
}

impl Places {
    /// See [`Arena::at`].
    ///
    /// # Safety
    /// The page is one of the arena, which is there still.
    #[inline(always)]
    pub(crate) unsafe fn at(self, page: PageNo) -> *mut u8 {
        // SAFETY: the page lies in the reservation.
        unsafe { self.pages.add(page.index() * PAGE_BYTES) }
    }

    /// See [`Arena::is_current`].
    ///
    /// # Safety
    /// As for [`Places::at`].
    #[inline(always)]
    pub(crate) unsafe fn is_current(self, page: PageNo) -> bool {
        // SAFETY: each page has a tag.
        unsafe { self.tags.add(page.index()).read() == self.turn }
    }
}

impl Arena {
    /// An empty arena.
    pub fn new(mut config: ArenaConfig) -> Result<Self, StateError> {
        if config.spill.is_some() {
            // Pages come and go one by one.
            config.backing = config.backing.by_small_pages();
        }
        let wanted = config.pages_max;
        let reserved = reserve_what_there_is(&mut config.pages_max, |pages| {
            Region::reserve(pages as usize * PAGE_BYTES, config.backing)
        });
        if config.pages_max < wanted {
            tracing::warn!(
                operator = &*config.operator,
                wanted_bytes = u64::from(wanted) * PAGE_BYTES as u64,
                bytes = u64::from(config.pages_max) * PAGE_BYTES as u64,
                "the system refused address space: state of this operator on this shard can grow to less; lift the limit of the process (ulimit -v)"
            );
        }
        let reserve_error = |error: std::io::Error| StateError::Reserve {
            operator: config.operator.as_ref().into(),
            bytes: u64::from(config.pages_max) * PAGE_BYTES as u64,
            message: error.to_string().into(),
        };
        let count = config.pages_max as usize;
        let residency = config.spill.clone().map(|place| Residency::new(&config, place).map(Box::new));
        Ok(Arena {
            residency: residency.transpose().map_err(reserve_error)?,
            pages: reserved.map_err(reserve_error)?.into(),
            tags: Column::reserve(count, config.backing).map_err(reserve_error)?,
            meta: Column::reserve(count, config.backing).map_err(reserve_error)?,
            turn: FIRST_TURN,
            absent: 0,
            missing: 0,
            config,
            next: 1,
            charged: 1,
            free: Vec::new(),
            free_runs: BTreeMap::new(),
            discarded: VecDeque::new(),
            in_use: 0,
            running: None,
            moved: 0,
            dirty: Vec::new(),
            freed: Vec::new(),
            save: Vec::new(),
            save_at: 0,
            removed: Vec::new(),
            tables: HashMap::new(),
            next_table: 1,
            restored: BTreeMap::new(),
            loader: None,
        })
    }

    /// How many pages hold state (of tables, of dropped tables not yet taken back), and copies for a running checkpoint.
    pub fn pages_in_use(&self) -> u32 {
        self.in_use
    }

    /// How many bytes of memory the pages take: the most that were ever in use at a time; where pages may go, those that are there now.
    pub fn bytes_charged(&self) -> u64 {
        match &self.residency {
            Some(residency) => residency.bytes(),
            None => u64::from(self.charged - 1) * PAGE_BYTES as u64,
        }
    }

    /// How many bytes of memory are kept beside the pages: what is known of each, and the lists that they are in.
    pub fn bytes_beside(&self) -> u64 {
        let lists = [&self.free, &self.dirty, &self.freed, &self.save, &self.removed];
        let listed: usize = lists.iter().map(|list| list.capacity()).sum();
        let of_pages = match &self.residency {
            Some(residency) => residency.bytes_beside(),
            None => u64::from(self.next) * (size_of::<PageMeta>() + size_of::<u32>()) as u64,
        };
        of_pages + (listed * size_of::<PageNo>()) as u64
    }

    /// How many pages were ever copied aside or brought in, each of which takes a microsecond or so: whoever works in bounded pieces
    /// watches it.
    pub fn pages_moved(&self) -> u64 {
        self.moved
    }

    /// What a page says about itself.
    #[inline]
    pub fn info(&self, page: PageNo) -> PageInfo {
        self.meta[page.index()].info
    }

    /// Changes what a page says about itself. The page was touched before.
    #[inline]
    pub(crate) fn set_info(&mut self, page: PageNo, info: PageInfo) {
        debug_assert!(self.is_current(page));
        self.meta[page.index()].info = info;
    }

    /// The bytes of a page, for raw access.
    #[inline(always)]
    pub(crate) fn at(&self, page: PageNo) -> *mut u8 {
        debug_assert!(page.0 < self.config.pages_max);
        // SAFETY: page numbers come from this arena (tables hold no others; those in restored pages are checked when they
        // come in), so they lie below the reservation's end.
        unsafe { self.pages.base().add(page.index() * PAGE_BYTES) }
    }

    /// Whether the page is in memory and was already entered for the next checkpoint: it may be written without more ado.
    #[inline(always)]
    pub(crate) fn is_current(&self, page: PageNo) -> bool {
        debug_assert!(page.0 < self.config.pages_max);
        // SAFETY: as in `at`.
        unsafe { self.tags.at(page.index()) == self.turn }
    }

    /// Where pages and their tags are, for a loop to keep in registers.
    #[inline(always)]
    pub(crate) fn places(&self) -> Places {
        Places { pages: self.pages.base(), tags: self.tags.base(), turn: self.turn }
    }

    /// To be called before a page is written.
    #[inline(always)]
    pub(crate) fn touch(&mut self, page: PageNo) -> Result<(), StateError> {
        if self.is_current(page) { Ok(()) } else { self.touch_slow(page) }
    }

    /// To be called before a page is read.
    #[inline(always)]
    pub(crate) fn bring_in(&mut self, page: PageNo) -> Result<(), StateError> {
        if self.absent == 0 || self.is_resident(page) { Ok(()) } else { self.bring_in_slow(page) }
    }

    /// Whether a page is in memory, and not about to go.
    #[inline(always)]
    pub(crate) fn is_resident(&self, page: PageNo) -> bool {
        debug_assert!(page.0 < self.config.pages_max);
        // SAFETY: as in `at`.
        unsafe { self.tags.at(page.index()) != ABSENT }
    }

    /// Enters a new table.
    pub(crate) fn new_table(&mut self, name: StateName, check: PageCheck) -> TableId {
        let table = TableId(self.next_table);
        self.next_table += 1;
        self.tables.insert(table, TableOwner { name, check });
        table
    }

    /// Whether a page can be part of this table: it is in use, and says that it belongs to it.
    pub(crate) fn is_page_of(&self, page: u64, kind: PageKind, table: TableId) -> bool {
        page != 0 && page < u64::from(self.next) && {
            let info = self.meta[page as usize].info;
            info.kind == kind && info.table == table
        }
    }

    /// The name that errors about a table give.
    pub(crate) fn name_of(&self, table: TableId) -> StateName {
        self.tables.get(&table).map_or_else(
            || StateName { operator: self.config.operator.clone(), state: "(unknown)".into() },
            |owner| owner.name.clone(),
        )
    }

    /// The error for a damaged page.
    #[cold]
    pub(crate) fn corrupt(&self, page: PageNo, table: TableId, what: &'static str) -> StateError {
        let name = self.name_of(table);
        StateError::Corrupt {
            operator: name.operator.as_ref().into(),
            state: name.state.as_ref().into(),
            page,
            what,
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.residency.is_none() {
            self.config.budget.give_back(self.bytes_charged());
        }
    }
}
