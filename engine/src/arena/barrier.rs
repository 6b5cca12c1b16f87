//! The write barrier: which pages the next checkpoint has to save, and what they held when it began.
//!
//! A page awaits saving by the running checkpoint exactly while its tag is the turn before the current one. From there it goes
//! one of three ways: it is saved and becomes clean; it is written first, its bytes are copied aside, and the copy is saved; it
//! is freed, and stays as it is until it is saved.

use super::*;
use crate::state::probe::prefetch;

/// How many pages before its turn a page to be saved is asked for: it has been out of the processor's caches since it was written.
const SAVED_AHEAD: usize = 8;

/// How many pages are copied aside before a free page is taken that is asked for now.
const COPIED_AHEAD: usize = 4;

/// A page as it was when the running checkpoint began.
#[derive(Clone, Copy, Debug)]
pub struct SavedPage<'a> {
    /// Which page.
    pub page: PageNo,
    /// What it says about itself: to be kept in the page map.
    pub info: PageInfo,
    /// All of its bytes.
    pub bytes: &'a [u8; PAGE_BYTES],
}

impl Arena {
    #[cold]
    #[inline(never)]
    pub(super) fn touch_slow(&mut self, page: PageNo) -> Result<(), StateError> {
        self.bring_in(page)?;
        if self.is_current(page) {
            // It was only away.
            return Ok(());
        }
        if self.running.is_some() && self.tags[page.index()] == self.turn - 1 {
            let copy = self.take_page(self.info(page).table)?;
            if let Some(later) = self.free.iter().nth_back(COPIED_AHEAD) {
                prefetch((&raw const self.meta[later.index()]).cast());
            }
            if let Some(residency) = &mut self.residency {
                residency.fill(copy);
            }
            // SAFETY: two different pages of the reservation, the second of which was free.
            unsafe { std::ptr::copy_nonoverlapping(self.at(page), self.at(copy), PAGE_BYTES) };
            self.moved += 1;
            let info = self.info(page);
            let meta = &mut self.meta[copy.index()];
            meta.info = info;
            meta.is_aside = true;
            self.meta[page.index()].aside = copy;
        }
        self.set_tag(page, self.turn);
        self.dirty.push(page);
        Ok(())
    }

    /// Begins a checkpoint: fixes what it will save, namely the pages as they are now that were written since the last one
    /// began. A checkpoint that is still running is aborted first.
    pub fn begin_checkpoint(&mut self, epoch: Epoch) {
        self.abort_checkpoint();
        if self.turn == u32::MAX {
            self.renumber();
        }
        self.turn += 1;
        self.running = Some(epoch);
        self.save.clear();
        std::mem::swap(&mut self.save, &mut self.dirty);
        self.save_at = 0;
        self.removed.clear();
        std::mem::swap(&mut self.removed, &mut self.freed);
    }

    /// Which checkpoint is running.
    pub fn running_checkpoint(&self) -> Option<Epoch> {
        self.running
    }

    /// The pages that were in use at some time since the last checkpoint began and were not any more when this one began: the page
    /// map forgets them. Some may never have been in it.
    pub fn removed_pages(&self) -> &[PageNo] {
        &self.removed
    }

    /// At most how many pages are left to be saved.
    pub fn pages_to_save(&self) -> usize {
        self.save.len() - self.save_at
    }

    /// Hands out up to `pages_max` pages of the running checkpoint, as they were when it began. Says whether all are done.
    ///
    /// # Errors
    /// [`StateError::SpillRead`]: a page that memory has no room for does not come back. It is handed out next.
    pub fn save_some(
        &mut self,
        pages_max: usize,
        out: &mut dyn FnMut(SavedPage<'_>),
    ) -> Result<bool, StateError> {
        let end = self.save.len().min(self.save_at.saturating_add(pages_max));
        while self.save_at < end {
            self.expect_to_save();
            let page = self.save[self.save_at];
            let aside = self.meta[page.index()].aside;
            if aside != PageNo::NONE {
                self.hand_out(page, aside, out)?;
                self.meta[page.index()].aside = PageNo::NONE;
                if aside == page {
                    self.tags[page.index()] = CLEAN;
                }
                self.free_aside(aside);
            } else if self.tag(page) == self.turn - 1 && self.holds_state(page) && !self.was_dropped(page) {
                self.hand_out(page, page, out)?;
                self.set_tag(page, CLEAN);
            }
            self.save_at += 1;
        }
        Ok(end == self.save.len())
    }

    /// Asks for what the pages that come next are saved from.
    #[inline]
    fn expect_to_save(&self) {
        if let Some(page) = self.save.get(self.save_at + SAVED_AHEAD) {
            prefetch((&raw const self.meta[page.index()]).cast());
            prefetch((&raw const self.tags[page.index()]).cast());
        }
        if let Some(&page) = self.save.get(self.save_at + SAVED_AHEAD / 2)
            && self.is_resident(page)
        {
            let aside = self.meta[page.index()].aside;
            // The processor sees for itself that the lines behind these two follow.
            let bytes = self.at(if aside == PageNo::NONE { page } else { aside });
            prefetch(bytes);
            prefetch(bytes.wrapping_add(64));
        }
    }

    /// Asks for what [`Arena::touch`] will look at if it copies a page aside: soon.
    #[inline]
    pub(crate) fn expect_to_touch(&self, page: PageNo) {
        if self.tag(page) == self.turn - 1 {
            prefetch((&raw const self.meta[page.index()]).cast());
        }
    }

    /// Hands out a page whose bytes lie in another one, or in itself.
    fn hand_out(
        &mut self,
        page: PageNo,
        bytes_in: PageNo,
        out: &mut dyn FnMut(SavedPage<'_>),
    ) -> Result<(), StateError> {
        let info = self.info(bytes_in);
        if self.is_gone(bytes_in) {
            return self.show_gone(bytes_in, |bytes| out(SavedPage { page, info, bytes }));
        }
        out(SavedPage { page, info, bytes: self.bytes(bytes_in) });
        Ok(())
    }

    /// Ends the running checkpoint: its pages are in the caller's hands, and clean unless they were written again.
    ///
    /// # Panics
    /// Where [`Arena::save_some`] has not said that all is done.
    pub fn finish_checkpoint(&mut self) {
        assert!(self.save_at == self.save.len(), "a checkpoint is finished once all its pages were saved");
        self.running = None;
        self.save.clear();
        self.save_at = 0;
    }

    /// Gives the running checkpoint up, if there is one: everything it would have saved or removed is handed on to the next, what
    /// it has saved already included.
    ///
    /// To be called as well for a checkpoint whose pages could not be made durable, instead of [`Arena::finish_checkpoint`].
    pub fn abort_checkpoint(&mut self) {
        if self.running.take().is_none() {
            return;
        }
        let save = std::mem::take(&mut self.save);
        for &page in &save {
            let aside = std::mem::take(&mut self.meta[page.index()].aside);
            if aside != PageNo::NONE {
                self.free_aside(aside);
            }
            self.mark_dirty(page);
        }
        self.save = save;
        self.save.clear();
        self.save_at = 0;
        let removed = std::mem::take(&mut self.removed);
        for &page in &removed {
            if !self.holds_state(page) {
                self.enter_freed(page);
            }
        }
    }

    /// Makes the next checkpoint save these pages again although they are clean, so that the file that holds them can go. Pages that
    /// are free, will be saved anyway, or are nowhere but in the checkpoint are passed over; returns how many of the last kind there were.
    pub fn mark_for_rewrite(&mut self, pages: impl IntoIterator<Item = PageNo>) -> usize {
        let mut absent = 0;
        for page in pages {
            match self.tag(page) {
                ABSENT if self.holds_state(page) => absent += 1,
                // A tag of the turn before means that the running checkpoint will save it.
                tag if self.running.is_none() || tag != self.turn - 1 => self.mark_dirty(page),
                _ => {}
            }
        }
        absent
    }

    /// Enters a page for the next checkpoint, if it holds state and is not entered yet.
    fn mark_dirty(&mut self, page: PageNo) {
        if self.holds_state(page) && self.tag(page) != self.turn {
            self.set_tag(page, self.turn);
            self.dirty.push(page);
        }
    }

    /// Whether the page's table was dropped before the running checkpoint began.
    fn was_dropped(&self, page: PageNo) -> bool {
        let table = self.info(page).table;
        self.discarded.iter().any(|dropped| dropped.table == table && dropped.turn < self.turn)
    }

    /// The bytes of a page that is in memory.
    fn bytes(&self, page: PageNo) -> &[u8; PAGE_BYTES] {
        // SAFETY: the page lies in the reservation, whose memory is zeroed or written; pages are written only through `&mut Arena`.
        unsafe { &*self.at(page).cast() }
    }

    /// Starts counting turns anew: after four thousand million checkpoints.
    fn renumber(&mut self) {
        for page in (0..self.next).map(PageNo) {
            let tag = match self.tag(page) {
                ABSENT => ABSENT,
                tag if tag == self.turn => FIRST_TURN,
                _ => CLEAN,
            };
            self.set_tag(page, tag);
        }
        self.turn = FIRST_TURN;
    }

    #[cfg(test)]
    pub(crate) fn set_turn_near_its_end(&mut self) {
        assert!(self.running.is_none());
        for page in (0..self.next).map(PageNo) {
            if self.tag(page) == self.turn {
                self.set_tag(page, u32::MAX - 1);
            }
        }
        self.turn = u32::MAX - 1;
    }
}
