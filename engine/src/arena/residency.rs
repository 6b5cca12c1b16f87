//! State larger than memory: which pages stay there, and which lie in a file until somebody needs them.
//!
//! A page that is to go is *cooled* first: its tag says that it is absent while its bytes are where they were, and it enters a queue. Whoever
//! needs it meanwhile comes by the slow path of [`Arena::touch`] or [`Arena::bring_in`], where it gets its tag back. One that nobody has
//! needed by the time it is at the front of the queue goes. So nobody has to note which pages are used, and an access that finds its page costs
//! what it costs without a limit (the cooling stage of Leis, Haubenschild, Kemper and Neumann, *LeanStore*, ICDE 2018; pages are cooled in the
//! order of their numbers, where LeanStore draws lots).
//!
//! Pages go only in [`Arena::make_room`], which is called where no table holds an address: between steps, and between the pieces of what
//! may see many pages. Whatever happens in between gets the memory that it asks for.

use super::spill::SpillFile;
use super::*;
use crate::disk::DiskError;

/// An arena keeps at least so many pages, however little memory there is: those that one look-up may need.
const RESIDENT_MIN: u32 = 16;
/// So many pages go at a time beside as many as have come since the last time, so that no step waits for long.
const PAGES_PER_CALL: u32 = 64;
/// Of the pages in memory, one in so many waits in the queue.
const COOLING_PART: u32 = 10;
/// How many pages the hand passes at most for one that is to go.
const PASSED_PER_PAGE: u32 = 64;

/// The page's bytes are in memory.
const IN_MEMORY: u8 = 1;
/// The page's bytes are in the file, and are what is in memory, if they are there as well.
const IN_FILE: u8 = 2;
/// The page is in the queue of those that go next.
const COOLING: u8 = 4;
/// The page was chosen to go while room is made.
const GOING: u8 = 8;

/// Where a page's bytes are.
#[derive(Clone, Copy)]
struct Whereabouts {
    /// The tag of a page that is cooling, or in the file alone.
    tag: u32,
    /// The checksum of what is in the file.
    crc: u32,
    marks: u8,
}

// SAFETY: all-zero bytes are a page that is nowhere.
unsafe impl Zeroed for Whereabouts {}

impl Whereabouts {
    fn has(self, marks: u8) -> bool {
        self.marks & marks != 0
    }
    /// Whether the page is in the file and nowhere else.
    fn is_gone(self) -> bool {
        self.marks & (IN_MEMORY | IN_FILE) == IN_FILE
    }
    /// Whether the page has its tag here.
    fn is_out(self) -> bool {
        self.has(COOLING) || self.is_gone()
    }
}

/// What an arena that may leave pages in a file knows of them.
pub(super) struct Residency {
    pages: Column<Whereabouts>,
    file: SpillFile,
    /// A page on its way from the file to a checkpoint.
    buffer: Option<Box<[u8; PAGE_BYTES]>>,
    /// The pages that go next. Some were needed again meanwhile, or freed.
    cooling: VecDeque<PageNo>,
    /// The page that is cooled next.
    hand: u32,
    resident: u32,
    /// How many pages have come into memory since room was last made.
    came: u32,
    /// What the budget counts for this arena, in bytes.
    charged: u64,
    budget: MemoryBudget,
    read: u64,
    written: u64,
}

impl Residency {
    pub(super) fn new(config: &ArenaConfig, place: SpillPlace) -> std::io::Result<Residency> {
        config.budget.join();
        Ok(Residency {
            pages: Column::reserve(config.pages_max as usize, config.backing)?,
            file: SpillFile::new(place),
            buffer: None,
            cooling: VecDeque::new(),
            hand: 1,
            resident: 0,
            came: 0,
            charged: 0,
            budget: config.budget.clone(),
            read: 0,
            written: 0,
        })
    }

    fn charge(&mut self, bytes: u64) {
        self.budget.overdraw(bytes);
        self.charged += bytes;
    }

    /// Charges what the arena keeps for pages that were never in use before, beside their bytes.
    pub(super) fn enter(&mut self, pages: u32) {
        let each = size_of::<PageMeta>() + size_of::<u32>() + size_of::<Whereabouts>();
        self.charge(u64::from(pages) * each as u64);
    }

    /// A page is about to be filled: what the file may hold of it is void.
    pub(super) fn fill(&mut self, page: PageNo) {
        self.pages[page.index()].marks &= !IN_FILE;
        self.enters_memory(page);
    }

    pub(super) fn enters_memory(&mut self, page: PageNo) {
        let at = &mut self.pages[page.index()];
        if !at.has(IN_MEMORY) {
            at.marks |= IN_MEMORY;
            self.resident += 1;
            self.came += 1;
            self.charge(PAGE_BYTES as u64);
        }
    }

    /// What a page holds may change from now on, or has no meaning any more.
    pub(super) fn forget_copy(&mut self, page: PageNo) {
        self.pages[page.index()].marks &= !IN_FILE;
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.resident) * PAGE_BYTES as u64
    }

    /// What was charged for pages, in memory or not, beside their bytes.
    pub(super) fn bytes_beside(&self) -> u64 {
        self.charged - self.bytes()
    }

    fn read_page(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), SpillFailure> {
        self.file.read(page, into).map_err(SpillFailure::Disk)?;
        self.read += 1;
        match crc32fast::hash(into) == self.pages[page.index()].crc {
            true => Ok(()),
            false => Err(SpillFailure::Damaged),
        }
    }

    fn read_to_buffer(&mut self, page: PageNo) -> Result<&[u8; PAGE_BYTES], SpillFailure> {
        let mut buffer = self.buffer.take().unwrap_or_else(|| Box::new([0; PAGE_BYTES]));
        let read = self.read_page(page, &mut buffer[..]);
        let buffer = self.buffer.insert(buffer);
        read.map(|()| &**buffer)
    }
}

impl Drop for Residency {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
        self.budget.leave();
    }
}

/// Why a page does not come back.
enum SpillFailure {
    Disk(DiskError),
    Damaged,
}

impl Arena {
    /// Lets pages go as far as the job uses more memory than it may, a bounded number at a time. To be called where no table of the arena is in
    /// use. Does nothing in an arena without a [`SpillPlace`].
    ///
    /// # Errors
    /// [`StateError::SpillWrite`].
    #[inline]
    pub fn make_room(&mut self) -> Result<(), StateError> {
        let Some(residency) = &self.residency else { return Ok(()) };
        match residency.budget.excess(residency.bytes()) {
            0 => Ok(()),
            excess => self.let_go(excess.div_ceil(PAGE_BYTES as u64)),
        }
    }

    /// Whether there are pages that may go when others need their memory.
    pub fn may_let_go(&self) -> bool {
        self.residency.as_ref().is_some_and(|residency| residency.resident > RESIDENT_MIN)
    }

    /// Whether there are pages in the file.
    #[inline]
    pub fn has_spilled(&self) -> bool {
        self.residency.as_ref().is_some_and(|residency| residency.written > 0)
    }

    /// How many pages were read from the arena's file, and how many were written there.
    pub fn pages_spilled(&self) -> (u64, u64) {
        self.residency.as_ref().map_or((0, 0), |residency| (residency.read, residency.written))
    }

    /// Says that a page will be needed soon.
    #[inline]
    pub(crate) fn announce(&self, page: PageNo) {
        if let Some(residency) = &self.residency
            && residency.pages[page.index()].is_gone()
        {
            residency.file.announce(page);
        }
    }

    /// Whether every page that is in use is in memory, and none is about to go.
    #[inline(always)]
    pub(crate) fn is_all_resident(&self) -> bool {
        self.absent == 0
    }

    /// The tag of a page, wherever it is.
    pub(super) fn tag(&self, page: PageNo) -> u32 {
        match (self.tags[page.index()], &self.residency) {
            (ABSENT, Some(residency)) => match residency.pages[page.index()] {
                at if at.is_out() => at.tag,
                _ => ABSENT,
            },
            (tag, _) => tag,
        }
    }

    /// Changes the tag of a page, wherever it is.
    pub(super) fn set_tag(&mut self, page: PageNo, tag: u32) {
        let is_current = tag == self.turn;
        if let Some(residency) = &mut self.residency {
            let at = &mut residency.pages[page.index()];
            if self.tags[page.index()] == ABSENT && at.is_out() {
                at.tag = tag;
                return;
            }
            if is_current {
                // From now on it may be written without more ado.
                at.marks &= !IN_FILE;
            }
        }
        self.tags[page.index()] = tag;
    }

    /// Whether a page is cooling or gone.
    pub(super) fn is_out(&self, page: PageNo) -> bool {
        self.tags[page.index()] == ABSENT
            && self.residency.as_ref().is_some_and(|residency| residency.pages[page.index()].is_out())
    }

    /// Whether a page's bytes are in the file alone.
    pub(super) fn is_gone(&self, page: PageNo) -> bool {
        self.residency.as_ref().is_some_and(|residency| residency.pages[page.index()].is_gone())
    }

    /// Takes a page that is cooling or gone back, with its bytes.
    pub(super) fn take_back(&mut self, page: PageNo) -> Result<(), StateError> {
        if self.is_gone(page) {
            // SAFETY: the page lies in the reservation, the arena is borrowed mutably, and `read_page` sees nothing of the reservation.
            let into = unsafe { std::slice::from_raw_parts_mut(self.at(page), PAGE_BYTES) };
            let residency = self.residency.as_mut().expect("only an arena with a file has pages in it");
            if let Err(failure) = residency.read_page(page, into) {
                // Zeros are what tables may see of a page that is not there.
                into.fill(0);
                return Err(self.not_read(page, failure));
            }
            residency.enters_memory(page);
            self.moved += 1;
        }
        self.comes_back(page);
        Ok(())
    }

    /// Gives a page that is cooling or gone its tag back.
    pub(super) fn comes_back(&mut self, page: PageNo) {
        let Some(residency) = &mut self.residency else { return };
        let at = &mut residency.pages[page.index()];
        at.marks &= !COOLING;
        if at.tag == self.turn {
            at.marks &= !IN_FILE;
        }
        self.tags[page.index()] = at.tag;
        self.absent -= 1;
    }

    /// Gives a page that is gone to a checkpoint.
    pub(super) fn show_gone(
        &mut self,
        page: PageNo,
        show: impl FnOnce(&[u8; PAGE_BYTES]),
    ) -> Result<(), StateError> {
        let residency = self.residency.as_mut().expect("only an arena with a file has pages in it");
        match residency.read_to_buffer(page) {
            Ok(bytes) => {
                show(bytes);
                Ok(())
            }
            Err(failure) => Err(self.not_read(page, failure)),
        }
    }

    #[cold]
    fn not_read(&self, page: PageNo, failure: SpillFailure) -> StateError {
        let name = self.name_of(self.info(page).table);
        let file = self.residency.as_ref().map_or_else(String::new, |residency| residency.file.name());
        StateError::SpillRead {
            operator: name.operator.as_ref().into(),
            state: name.state.as_ref().into(),
            page,
            file: file.into(),
            offset: SpillFile::offset(page),
            message: match failure {
                SpillFailure::Disk(error) => error.message.into(),
                SpillFailure::Damaged => "its checksum is wrong".into(),
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn let_go(&mut self, excess: u64) -> Result<(), StateError> {
        let Some(residency) = &mut self.residency else { return Ok(()) };
        let most = residency.came.saturating_mul(2).saturating_add(PAGES_PER_CALL);
        residency.came = 0;
        let spare = residency.resident.saturating_sub(RESIDENT_MIN);
        let wanted = most.min(spare).min(u32::try_from(excess).unwrap_or(u32::MAX));
        let mut going = self.choose(wanted);
        going.sort_unstable();
        let (written, result) = self.write_out(&going);
        let stay = going.split_off(written);
        self.give_back(&going);
        self.keep(&stay);
        result
    }

    /// The pages that go: those at the front of the queue that nobody has needed, and what needs no second chance.
    fn choose(&mut self, wanted: u32) -> Vec<PageNo> {
        let mut going = Vec::with_capacity(wanted as usize);
        let mut left = wanted.saturating_mul(PASSED_PER_PAGE);
        while going.len() < wanted as usize {
            self.cool(&mut left, &mut going);
            let Some(residency) = &mut self.residency else { break };
            let Some(page) = residency.cooling.pop_front() else { break };
            let at = &mut residency.pages[page.index()];
            if at.has(COOLING) && !at.has(GOING) {
                at.marks |= GOING;
                going.push(page);
            }
        }
        going
    }

    /// Fills the queue up. Free pages, and copies that wait for a checkpoint, go at once.
    fn cool(&mut self, left: &mut u32, going: &mut Vec<PageNo>) {
        let Some(residency) = &mut self.residency else { return };
        let enough = (residency.resident / COOLING_PART).max(1) as usize;
        while *left > 0 && residency.cooling.len() < enough {
            *left -= 1;
            residency.hand = if residency.hand + 1 < self.next { residency.hand + 1 } else { 1 };
            let page = PageNo(residency.hand);
            let at = &mut residency.pages[page.index()];
            if !at.has(IN_MEMORY) || at.has(COOLING | GOING) {
                continue;
            }
            let meta = self.meta[page.index()];
            if meta.is_aside || meta.info.kind == PageKind::Free {
                at.marks |= GOING;
                going.push(page);
            } else if self.tables.contains_key(&meta.info.table) {
                // (Pages of a dropped table are taken back in a moment; those that nobody has taken up yet are still to be checked.)
                at.tag = std::mem::replace(&mut self.tags[page.index()], ABSENT);
                at.marks |= COOLING;
                self.absent += 1;
                residency.cooling.push_back(page);
            }
        }
    }

    /// Whether a page holds what is nowhere else.
    fn is_to_be_written(&self, page: PageNo) -> bool {
        let meta = &self.meta[page.index()];
        let is_used = meta.is_aside || meta.info.kind != PageKind::Free;
        is_used
            && self.residency.as_ref().is_some_and(|residency| !residency.pages[page.index()].has(IN_FILE))
    }

    /// Makes sure that the file has what pages hold, given in order. Says how many of them memory need not have any more.
    fn write_out(&mut self, pages: &[PageNo]) -> (usize, Result<(), StateError>) {
        let mut done = 0;
        let belong =
            |a: &PageNo, b: &PageNo| a.0 + 1 == b.0 && self.is_to_be_written(*a) == self.is_to_be_written(*b);
        let runs: Vec<&[PageNo]> = pages.chunk_by(belong).collect();
        for run in runs {
            if self.is_to_be_written(run[0]) {
                // SAFETY: pages of the reservation in a row, and nobody writes them while the arena is borrowed mutably.
                let bytes = unsafe { std::slice::from_raw_parts(self.at(run[0]), run.len() * PAGE_BYTES) };
                let residency = self.residency.as_mut().expect("only an arena with a file lets pages go");
                if let Err(error) = residency.file.write(run[0], bytes) {
                    return (done, Err(self.not_written(run[0], bytes.len(), error)));
                }
                residency.written += run.len() as u64;
                for (&page, bytes) in run.iter().zip(bytes.chunks(PAGE_BYTES)) {
                    residency.pages[page.index()].crc = crc32fast::hash(bytes);
                }
            }
            done += run.len();
        }
        (done, Ok(()))
    }

    #[cold]
    fn not_written(&self, page: PageNo, bytes: usize, error: DiskError) -> StateError {
        let name = self.name_of(self.info(page).table);
        StateError::SpillWrite {
            operator: name.operator.as_ref().into(),
            state: name.state.as_ref().into(),
            file: error.path.display().to_string().into(),
            bytes: bytes as u64,
            message: error.message.into(),
        }
    }

    /// Gives the memory of pages back to the kernel, given in order. The file has what they hold.
    fn give_back(&mut self, gone: &[PageNo]) {
        let Some(residency) = &mut self.residency else { return };
        for &page in gone {
            let meta = &self.meta[page.index()];
            let at = &mut residency.pages[page.index()];
            if !at.has(COOLING) {
                at.tag = self.tags[page.index()];
            }
            let is_used = meta.is_aside || meta.info.kind != PageKind::Free;
            at.marks = if is_used { IN_FILE } else { 0 };
        }
        residency.resident -= gone.len() as u32;
        let bytes = (gone.len() * PAGE_BYTES) as u64;
        residency.charged -= bytes;
        residency.budget.give_back(bytes);
        for run in gone.chunk_by(|a, b| a.0 + 1 == b.0) {
            // SAFETY: pages of the reservation, of which the file has a copy or which hold nothing; nobody has their addresses while the
            // arena is borrowed mutably.
            unsafe { self.pages.give_back(run[0].index() * PAGE_BYTES, run.len() * PAGE_BYTES) };
        }
    }

    /// Pages that could not go stay as they are, and are the next that go.
    fn keep(&mut self, pages: &[PageNo]) {
        let Some(residency) = &mut self.residency else { return };
        for &page in pages.iter().rev() {
            let at = &mut residency.pages[page.index()];
            at.marks &= !GOING;
            if at.has(COOLING) {
                residency.cooling.push_front(page);
            }
        }
    }
}
