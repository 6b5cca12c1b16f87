//! Bringing an arena back: what its pages are is known at once, what they hold comes in when it is needed.

use super::*;

/// Reads pages of a checkpoint.
pub trait PageLoader {
    /// Reads a page and checks its checksum. Blocks. The error is [`StateError::Load`], with the page's place.
    fn load(&mut self, page: PageNo, into: &mut [u8]) -> Result<(), StateError>;
}

impl Arena {
    /// An arena with the pages of a checkpoint, given in ascending order with their encoded infos. No page is read: each comes in when it
    /// is first touched, through `loader`, or by [`Arena::load_some`] or [`Arena::install`]. The tables are then taken up by
    /// `Table::restore`.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] where a page is there twice, has no valid number or says nothing sensible about itself; otherwise as
    /// [`Arena::new`], and where the pages do not fit the reservation or the budget.
    pub fn restore(
        config: ArenaConfig,
        infos: impl IntoIterator<Item = (PageNo, [u8; PageInfo::BYTES])>,
        loader: Box<dyn PageLoader>,
    ) -> Result<Self, StateError> {
        let mut arena = Arena::new(config)?;
        let mut lists: BTreeMap<TableId, PageList> = BTreeMap::new();
        // The list of the table that the page before belonged to: of most pages it is theirs, too.
        let (mut table, mut list) = (TableId(0), PageList::default());
        infos.into_iter().try_for_each(|(page, info)| {
            let info = PageInfo::decode(page, info)?;
            if page.0 < arena.next {
                return Err(arena.corrupt(page, info.table, "the page map names it out of order"));
            }
            if page.0 >= arena.config.pages_max {
                let name = arena.name_of(info.table);
                return Err(StateError::ReservationFull {
                    operator: name.operator.as_ref().into(),
                    state: name.state.as_ref().into(),
                    pages: arena.config.pages_max,
                });
            }
            arena.free.extend((arena.next..page.0).map(PageNo));
            arena.next = page.0 + 1;
            arena.meta[page.index()].info = info;
            if info.table != table {
                if arena.missing > 0 {
                    lists.insert(table, list);
                }
                (table, list) = (info.table, lists.get(&info.table).copied().unwrap_or_default());
                arena.next_table = arena.next_table.max(table.0.saturating_add(1));
            }
            arena.link(&mut list, page);
            arena.missing += 1;
            arena.absent += 1;
            Ok(())
        })?;
        if arena.missing > 0 {
            lists.insert(table, list);
        }
        // The lowest is handed out first.
        arena.free.reverse();
        let bytes = u64::from(arena.next - 1) * PAGE_BYTES as u64;
        if let Some(residency) = &mut arena.residency {
            // Pages are charged as they come in.
            residency.enter(arena.next - 1);
        } else if !arena.config.budget.take(bytes) {
            return Err(arena.budget_exceeded(TableId(0)));
        }
        arena.charged = arena.next;
        arena.in_use = arena.missing;
        arena.restored = lists;
        arena.loader = (arena.missing > 0).then_some(loader);
        Ok(arena)
    }

    /// Takes up a table of a restored arena: all its pages, some of them perhaps in memory already.
    pub(crate) fn claim_table(&mut self, table: TableId, name: StateName, check: PageCheck) -> PageList {
        self.next_table = self.next_table.max(table.0.saturating_add(1));
        self.tables.insert(table, TableOwner { name, check });
        self.restored.remove(&table).unwrap_or_default()
    }

    /// Drops the tables of a restored arena that nobody took up: they were being dropped when the checkpoint was made. To be called
    /// once all operators have taken up theirs.
    pub fn discard_unclaimed(&mut self) {
        for (table, pages) in std::mem::take(&mut self.restored) {
            self.discard(table, pages);
        }
    }

    /// How many pages of the checkpoint have not been in memory yet.
    pub fn missing(&self) -> u32 {
        self.missing
    }

    /// The pages of the checkpoint that have not been in memory yet, from `first` on, in order.
    pub fn missing_pages(&self, first: PageNo) -> impl Iterator<Item = PageNo> + '_ {
        let end = if self.missing == 0 { 0 } else { self.next };
        (first.0.max(1)..end).map(PageNo).filter(|&page| self.is_missing(page))
    }

    /// Puts a page's bytes in place, which somebody else has read and checked. Says whether they were still needed: a page that was
    /// touched or freed meanwhile is passed over.
    ///
    /// # Panics
    /// Where `bytes` is not a page.
    pub fn install(&mut self, page: PageNo, bytes: &[u8]) -> Result<bool, StateError> {
        assert_eq!(bytes.len(), PAGE_BYTES, "a page has a fixed size");
        if page.0 >= self.next || !self.is_missing(page) {
            return Ok(false);
        }
        self.bytes_mut(page).copy_from_slice(bytes);
        self.accept(page)?;
        Ok(true)
    }

    /// Reads up to `pages_max` missing pages from `first` on. Returns where to go on, `None` once no page is missing any more.
    pub fn load_some(&mut self, first: PageNo, pages_max: usize) -> Result<Option<PageNo>, StateError> {
        let mut from = first;
        for _ in 0..pages_max {
            let Some(page) = self.missing_pages(from).next() else { break };
            self.bring_in(page)?;
            from = PageNo(page.0 + 1);
        }
        if self.missing == 0 {
            return Ok(None);
        }
        // Pages before `first` may be missing as well: start again at the front.
        let ahead = self.missing_pages(from).next();
        Ok(Some(ahead.unwrap_or(PageNo(1))))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn bring_in_slow(&mut self, page: PageNo) -> Result<(), StateError> {
        if self.is_out(page) {
            return self.take_back(page);
        }
        if !self.is_missing(page) {
            return Ok(());
        }
        let mut loader = self.loader.take().expect("an arena with missing pages has a loader");
        let loaded = loader.load(page, self.bytes_mut(page));
        self.loader = Some(loader);
        if loaded.is_err() {
            self.bytes_mut(page).fill(0);
        }
        loaded?;
        self.moved += 1;
        self.accept(page)
    }

    fn is_missing(&self, page: PageNo) -> bool {
        // A copy for a checkpoint may lie in a page that was never in use: it has no tag, but nothing is missing.
        self.tags[page.index()] == ABSENT && self.holds_state(page) && !self.is_out(page)
    }

    /// Takes a page in whose bytes are in place, after a look at its structure. A page that does not come in is left as zeros, which
    /// is how tables may see it.
    fn accept(&mut self, page: PageNo) -> Result<(), StateError> {
        let table = self.info(page).table;
        if let Some(owner) = self.tables.get(&table)
            && let Err(what) = (owner.check)(self, page)
        {
            self.bytes_mut(page).fill(0);
            return Err(self.corrupt(page, table, what));
        }
        self.tags[page.index()] = CLEAN;
        if let Some(residency) = &mut self.residency {
            residency.fill(page);
        }
        self.page_came_in();
        Ok(())
    }

    /// One page less is missing.
    pub(super) fn page_came_in(&mut self) {
        self.absent -= 1;
        self.missing -= 1;
        if self.missing == 0 {
            // Files it holds open can go.
            self.loader = None;
        }
    }

    fn bytes_mut(&mut self, page: PageNo) -> &mut [u8] {
        // SAFETY: the page lies in the reservation, and the arena is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at(page), PAGE_BYTES) }
    }
}
