//! Handing pages out and taking them back.

use super::region::HUGE_PAGE_BYTES;
use super::*;

/// All pages of a table: linked through the arena's page metadata.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageList {
    head: PageNo,
    count: u32,
}

impl PageList {
    /// The newest page, or none.
    pub(crate) fn first(self) -> PageNo {
        self.head
    }

    /// How many pages there are.
    pub(crate) fn len(self) -> u32 {
        self.count
    }
}

/// How many pages of dropped tables are taken back when a page is needed and none is free.
const RECLAIM_AT_ONCE: usize = 8;

/// How many pages are to be ready before they are needed: this part of those in use, within these bounds.
const AHEAD_OF_USE: u32 = 8;
const AHEAD_MIN: u32 = 32;
const AHEAD_MAX: u32 = 4096;
/// The part of what is left of the memory budget that pages may take before they are needed: others may need it at once.
const AHEAD_OF_BUDGET: u64 = 4;

impl Arena {
    /// Hands out a page, entered for the next checkpoint. What it holds is left over from earlier.
    pub(crate) fn alloc(&mut self, list: &mut PageList, info: PageInfo) -> Result<PageNo, StateError> {
        let page = self.take_page(info.table)?;
        self.adopt(page, list, info);
        Ok(page)
    }

    /// Hands out `count` pages in a row, the first of kind [`PageKind::Extent`].
    pub(crate) fn alloc_run(
        &mut self,
        list: &mut PageList,
        table: TableId,
        count: u32,
    ) -> Result<PageNo, StateError> {
        let first = self.take_run(table, count)?;
        self.adopt(
            first,
            list,
            PageInfo { prefix: u64::from(count), ..PageInfo::of_kind(PageKind::Extent, table) },
        );
        for rest in 1..count {
            self.adopt(PageNo(first.0 + rest), list, PageInfo::of_kind(PageKind::ExtentRest, table));
        }
        Ok(first)
    }

    /// Takes a page back. One that a running checkpoint has yet to save is kept as it is until then.
    pub(crate) fn free(&mut self, list: &mut PageList, page: PageNo) {
        self.unlink(list, page);
        if self.release(page) {
            self.free.push(page);
        }
    }

    /// Takes the pages of an extent back.
    pub(crate) fn free_run(&mut self, list: &mut PageList, first: PageNo, count: u32) {
        let mut whole = true;
        let mut released = Vec::with_capacity(count as usize);
        for page in (first.0..first.0 + count).map(PageNo) {
            self.unlink(list, page);
            if self.release(page) {
                released.push(page);
            } else {
                whole = false;
            }
        }
        if whole {
            self.free_runs.entry(count).or_default().push(first);
        } else {
            self.free.extend(released);
        }
    }

    /// Drops a table: its pages are taken back a few at a time, by [`Arena::reclaim`] or when pages are needed.
    pub(crate) fn discard(&mut self, table: TableId, pages: PageList) {
        self.tables.remove(&table);
        if pages.head != PageNo::NONE {
            self.discarded.push_back(Discarded { pages, turn: self.turn, table });
        }
    }

    /// Takes back at most `pages_max` pages of dropped tables. Says whether there are more.
    pub fn reclaim(&mut self, pages_max: usize) -> bool {
        for _ in 0..pages_max {
            let Some(front) = self.discarded.front_mut() else { return false };
            let mut list = front.pages;
            let page = list.head;
            // A checkpoint that began after the table was dropped does not need the page.
            let was_dropped_before = front.turn < self.turn;
            if was_dropped_before && self.tag(page) == self.turn - 1 {
                self.set_tag(page, CLEAN);
            }
            self.free(&mut list, page);
            if list.head == PageNo::NONE {
                self.discarded.pop_front();
            } else if let Some(front) = self.discarded.front_mut() {
                front.pages = list;
            }
        }
        !self.discarded.is_empty()
    }

    /// Plans ahead of the growth that an arena of this size may see: [`Arena::plan_prefault`] for a part of the pages in use, once half of
    /// those planned before are used up.
    #[inline]
    pub fn plan_ahead(&mut self) -> Option<Prefault> {
        let ahead = (self.in_use / AHEAD_OF_USE).clamp(AHEAD_MIN, AHEAD_MAX);
        let ready = self.pages_ready();
        if ready >= ahead / 2 {
            return None;
        }
        let budget = &self.config.budget;
        let room = budget.limit().saturating_sub(budget.used()) / AHEAD_OF_BUDGET / PAGE_BYTES as u64;
        self.plan_prefault(ready + (ahead - ready).min(room.try_into().unwrap_or(u32::MAX)))
    }

    /// How many pages can be handed out of memory that is charged, and given or about to be.
    #[inline]
    fn pages_ready(&self) -> u32 {
        self.free.len() as u32 + (self.charged - self.next)
    }

    /// Plans to have `pages_max` free pages whose memory the kernel has given, so that no hot path waits for a page fault: says what is
    /// to be touched, `None` where that many are ready or the memory budget has no more. A shard hands the answer to a helper
    /// thread; [`Arena::prefault`] is for where a pause does no harm.
    ///
    /// An arena whose pages may go plans nothing: what it has is in use.
    pub fn plan_prefault(&mut self, pages_max: u32) -> Option<Prefault> {
        if self.residency.is_some() {
            return None;
        }
        let wanted = pages_max.saturating_sub(self.pages_ready()).min(self.config.pages_max - self.charged);
        let budget = &self.config.budget;
        let left = (budget.limit().saturating_sub(budget.used()) / PAGE_BYTES as u64).min(u64::from(wanted));
        let bytes = left as usize * PAGE_BYTES;
        if left == 0 || !budget.take(bytes as u64) {
            return None;
        }
        let from = self.charged as usize * PAGE_BYTES;
        self.charged += left as u32;
        Some(Prefault { region: self.pages.clone(), from, bytes })
    }

    /// Plans as [`Arena::plan_prefault`] does, and carries it out at once.
    pub fn prefault(&mut self, pages_max: u32) {
        if let Some(plan) = self.plan_prefault(pages_max) {
            plan.run();
        }
    }

    /// How many pages the kernel gives at once where huge pages are on.
    pub const PAGES_PER_FAULT: u32 = (HUGE_PAGE_BYTES / PAGE_BYTES) as u32;

    /// A page for whatever purpose: not linked, not tagged.
    pub(super) fn take_page(&mut self, table: TableId) -> Result<PageNo, StateError> {
        if self.free.is_empty() && !self.discarded.is_empty() {
            self.reclaim(RECLAIM_AT_ONCE);
        }
        if let Some(page) = self.free.pop() {
            self.in_use += 1;
            return Ok(page);
        }
        // Breaking up a run is better than growing only where growing is impossible or must be paid for.
        if self.next == self.charged
            && let Some((&count, _)) = self.free_runs.first_key_value()
        {
            let first = self.pop_run(count);
            self.free.extend((first.0 + 1..first.0 + count).map(PageNo));
            self.in_use += 1;
            return Ok(first);
        }
        self.grow(table, 1)
    }

    fn take_run(&mut self, table: TableId, count: u32) -> Result<PageNo, StateError> {
        if let Some((&found, _)) = self.free_runs.range(count..).next() {
            let first = self.pop_run(found);
            match found - count {
                0 => {}
                1 => self.free.push(PageNo(first.0 + count)),
                rest => self.free_runs.entry(rest).or_default().push(PageNo(first.0 + count)),
            }
            self.in_use += count;
            return Ok(first);
        }
        self.grow(table, count)
    }

    fn pop_run(&mut self, count: u32) -> PageNo {
        let runs = self.free_runs.get_mut(&count).expect("the run was just seen");
        let first = runs.pop().expect("no empty list of runs is kept");
        if runs.is_empty() {
            self.free_runs.remove(&count);
        }
        first
    }

    /// Takes pages that were never used.
    fn grow(&mut self, table: TableId, count: u32) -> Result<PageNo, StateError> {
        let end = self.next.checked_add(count).filter(|&end| end <= self.config.pages_max);
        let Some(end) = end else {
            let name = self.name_of(table);
            return Err(StateError::ReservationFull {
                operator: name.operator.as_ref().into(),
                state: name.state.as_ref().into(),
                pages: self.config.pages_max,
            });
        };
        if let Some(residency) = &mut self.residency {
            residency.enter(count);
            self.charged = end;
        } else if end > self.charged {
            let bytes = u64::from(end - self.charged) * PAGE_BYTES as u64;
            if !self.config.budget.take(bytes) {
                return Err(self.budget_exceeded(table));
            }
            self.charged = end;
        }
        let first = PageNo(self.next);
        self.next = end;
        self.in_use += count;
        Ok(first)
    }

    #[cold]
    pub(super) fn budget_exceeded(&self, table: TableId) -> StateError {
        let name = self.name_of(table);
        StateError::BudgetExceeded {
            operator: name.operator.as_ref().into(),
            state: name.state.as_ref().into(),
            limit: self.config.budget.limit(),
            used: self.config.budget.used(),
            remedy: "give the job a larger budget (Job::memory_limit), let state expire, or let what does not fit lie on disk (Job::spill_state)",
        }
    }

    fn adopt(&mut self, page: PageNo, list: &mut PageList, info: PageInfo) {
        let meta = &mut self.meta[page.index()];
        meta.info = info;
        // It is in use again, so it must not be reported as removed.
        let freed_at = meta.freed_at as usize;
        if self.freed.get(freed_at) == Some(&page) {
            self.freed.swap_remove(freed_at);
            if let Some(&moved) = self.freed.get(freed_at) {
                self.meta[moved.index()].freed_at = freed_at as u32;
            }
        }
        if let Some(residency) = &mut self.residency {
            residency.fill(page);
        }
        // A free page holds nothing that a checkpoint could want: no copy is made.
        if self.tags[page.index()] != self.turn {
            self.tags[page.index()] = self.turn;
            self.dirty.push(page);
        }
        self.link(list, page);
    }

    /// Ends a page's use. Says whether it may be handed out again at once.
    fn release(&mut self, page: PageNo) -> bool {
        self.in_use -= 1;
        self.enter_freed(page);
        let tag = self.tag(page);
        if self.is_out(page) {
            self.comes_back(page);
        } else if tag == ABSENT {
            self.tags[page.index()] = CLEAN;
            self.page_came_in();
        }
        if self.running.is_some() && tag == self.turn - 1 {
            // It becomes its own copy; saving it frees it.
            self.in_use += 1;
            let meta = &mut self.meta[page.index()];
            meta.aside = page;
            meta.is_aside = true;
            return false;
        }
        self.meta[page.index()].info = PageInfo::FREE;
        self.forget_copy(page);
        true
    }

    /// What the file may have of a page has no meaning any more.
    fn forget_copy(&mut self, page: PageNo) {
        if let Some(residency) = &mut self.residency {
            residency.forget_copy(page);
        }
    }

    /// Puts a page into the list of freed pages, unless it is there.
    pub(super) fn enter_freed(&mut self, page: PageNo) {
        let freed_at = self.meta[page.index()].freed_at as usize;
        if self.freed.get(freed_at) != Some(&page) {
            self.meta[page.index()].freed_at = self.freed.len() as u32;
            self.freed.push(page);
        }
    }

    /// Gives back a page that held bytes for a checkpoint.
    pub(super) fn free_aside(&mut self, page: PageNo) {
        let meta = &mut self.meta[page.index()];
        meta.is_aside = false;
        meta.info = PageInfo::FREE;
        self.forget_copy(page);
        self.in_use -= 1;
        self.free.push(page);
    }

    /// Whether a page belongs to a table (dropped or not).
    pub(super) fn holds_state(&self, page: PageNo) -> bool {
        let meta = &self.meta[page.index()];
        meta.info.kind != PageKind::Free && !meta.is_aside
    }

    pub(super) fn link(&mut self, list: &mut PageList, page: PageNo) {
        let next = list.head;
        self.meta[page.index()].links = Links { prev: PageNo::NONE, next };
        if next != PageNo::NONE {
            self.meta[next.index()].links.prev = page;
        }
        list.head = page;
        list.count += 1;
    }

    fn unlink(&mut self, list: &mut PageList, page: PageNo) {
        list.count -= 1;
        let Links { prev, next } = std::mem::take(&mut self.meta[page.index()].links);
        if prev == PageNo::NONE {
            list.head = next;
        } else {
            self.meta[prev.index()].links.next = next;
        }
        if next != PageNo::NONE {
            self.meta[next.index()].links.prev = prev;
        }
    }

    /// The pages of a list, newest first.
    pub(crate) fn list(&self, list: PageList) -> impl Iterator<Item = PageNo> + '_ {
        let newest = Some(list.head).filter(|&page| page != PageNo::NONE);
        std::iter::successors(newest, |&page| Some(self.after(page)).filter(|&next| next != PageNo::NONE))
    }

    /// The page that comes after this one in its list, or none.
    pub(crate) fn after(&self, page: PageNo) -> PageNo {
        self.meta[page.index()].links.next
    }

    /// Puts a slab page into the list of pages of its class that have free slots.
    pub(crate) fn link_partial(&mut self, head: &mut PageNo, page: PageNo) {
        let next = *head;
        self.meta[page.index()].partial = Links { prev: PageNo::NONE, next };
        if next != PageNo::NONE {
            self.meta[next.index()].partial.prev = page;
        }
        *head = page;
    }

    /// Takes a slab page out of that list.
    pub(crate) fn unlink_partial(&mut self, head: &mut PageNo, page: PageNo) {
        let Links { prev, next } = std::mem::take(&mut self.meta[page.index()].partial);
        if prev == PageNo::NONE {
            *head = next;
        } else {
            self.meta[prev.index()].partial.next = next;
        }
        if next != PageNo::NONE {
            self.meta[next.index()].partial.prev = prev;
        }
    }
}
