//! Firing windows, in bounded pieces.
//!
//! For each window that falls due, in the order of their ends:
//!
//! ```text
//! Enter   what the slices that are new in the window add up to is merged into the totals (and into blocks)
//! Leave   what the slices that are no longer in it add up to is taken out
//! Emit    the totals are walked, and each key's result given out
//! ```
//!
//! Where windows do not overlap, the one slice of a window is walked instead. A window in which no key has a record does not fire.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::WindowAggregate;
use super::finish::{Finish, OnLate};
use super::rule::WindowRule;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::Push;
use crate::operator::failure::{Blame, Cause, KeyAtHand, raise};
use crate::operator::keyed::{self, FromExchange};
use crate::record::Record;
use crate::state::StateError;
use crate::window::{Firing, Slices, TimeWindow, WindowContext};

/// How many entries of tables one piece of a firing handles, give or take a page. In tests, every turn is a piece, so that a firing can be
/// cut anywhere.
const ENTRIES_PER_PIECE: usize = if cfg!(test) { 1 } else { 256 };
/// What going from one table or phase to the next is reckoned as.
const ENTRIES_PER_TURN: usize = 16;
/// How many totals are put together anew at a time: each takes a few dozen look-ups.
const ANEW_PER_PIECE: usize = 16;
/// How many slices and blocks that are over are dropped in one piece.
const DROPS_PER_PIECE: usize = 64;
/// How many pages of a table one piece walks.
const PAGES_PER_PIECE: usize = 1;

/// What has been fired, and what is in the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The totals hold the slices that end after `left`, up to `entered`; blocks hold all up to `entered`.
    pub(super) entered: Timestamp,
    pub(super) left: Timestamp,
    /// All windows that are complete at this watermark have fired.
    pub(super) done: Timestamp,
    /// The window that is being fired.
    pub(super) work: Option<Work>,
}

impl Position {
    pub(super) const START: Position =
        Position { entered: Timestamp::MIN, left: Timestamp::MIN, done: Timestamp::MIN, work: None };
}

/// How far the firing of a window has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) window: TimeWindow,
    pub(super) phase: Phase,
    /// Where the walk through the table at hand goes on, if it has begun.
    pub(super) resume: Option<KeyHash>,
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Enter,
    Leave,
    Emit,
}

impl Phase {
    pub(super) fn number(self) -> u8 {
        match self {
            Phase::Enter => 0,
            Phase::Leave => 1,
            Phase::Emit => 2,
        }
    }

    pub(super) fn of_number(number: u8) -> Option<Phase> {
        [Phase::Enter, Phase::Leave, Phase::Emit].into_iter().find(|phase| phase.number() == number)
    }
}

impl<T, K, W, R, F, L> WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
    L: OnLate<T>,
{
    /// Does a bounded piece of what the watermark makes due.
    pub(super) fn fire<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, push: &mut P) -> keyed::Firing {
        self.watermark = self.watermark.max(at);
        let mut budget = ENTRIES_PER_PIECE;
        loop {
            let work = match self.position.work {
                Some(work) => work,
                None => match self.next_due(at) {
                    Some(window) => self.begin(window),
                    None => return self.rest(at),
                },
            };
            let piece = match work.phase {
                Phase::Enter => self.enter(work),
                Phase::Leave => self.leave(work),
                Phase::Emit => self.emit(work, push),
            };
            let handled = piece.unwrap_or_else(|error| raise(self.op, Cause::state(error)));
            match budget.checked_sub(handled + ENTRIES_PER_TURN) {
                Some(left) => budget = left,
                None => return keyed::Firing::More,
            }
        }
    }

    /// The next window to fire: the first one not fired yet in which any key has a record.
    fn next_due(&self, at: Timestamp) -> Option<TimeWindow> {
        let next = self.windows.next_window(self.position.done).filter(|next| next.fires_at(at))?;
        let panes = self.panes.as_ref().expect("open comes before the first watermark");
        if panes.totals.as_ref().is_some_and(|totals| !totals.is_empty())
            && next.start < self.position.entered
        {
            return Some(next);
        }
        let (&end, _) = panes.slices.range((Excluded(next.start), Unbounded)).next()?;
        let window = if end <= next.end { next } else { self.windows.windows_of(end).next()? };
        window.fires_at(at).then_some(window)
    }

    fn begin(&mut self, window: TimeWindow) -> Work {
        let panes = self.panes.as_mut().expect("open comes before the first watermark");
        let mut phase = Phase::Emit;
        if let Some(totals) = &mut panes.totals {
            if window.start >= self.position.entered {
                // None of what is in the totals is in the window.
                totals.clear(panes.tables.arena());
                self.position.left = window.start;
            }
            phase = Phase::Enter;
        }
        let work = Work { window, phase, resume: None };
        self.position.work = Some(work);
        work
    }

    fn enter(&mut self, work: Work) -> Result<usize, StateError> {
        let panes = self.panes.as_mut().expect("a window is being fired");
        let new = (Excluded(self.position.entered), Included(work.window.end));
        let empty = self.position.entered >= work.window.end;
        let Some((&end, table)) = (!empty).then(|| panes.slices.range(new).next()).flatten() else {
            self.position.entered = self.position.entered.max(work.window.end);
            self.position.work = Some(Work { phase: Phase::Leave, resume: None, ..work });
            return Ok(0);
        };
        let (op, rule, arena) = (self.op, &self.rule, panes.tables.arena());
        let merge = |acc: &mut R::Acc, part: &R::Acc| Blame::on(op, || rule.merge(acc, part));
        let resume = self.gathered.take(table, arena, work.resume.unwrap_or_default())?;
        if let Some(totals) = &mut panes.totals
            && end > self.position.left
        {
            totals.enter(arena, &self.gathered, merge)?;
        }
        panes.blocks.enter(arena, &panes.names.blocks, end, &self.gathered, merge)?;
        if resume.is_none() {
            self.position.entered = end;
        }
        self.position.work = Some(Work { resume, ..work });
        Ok(self.gathered.len())
    }

    fn leave(&mut self, work: Work) -> Result<usize, StateError> {
        let panes = self.panes.as_mut().expect("a window is being fired");
        let old = (Excluded(self.position.left), Included(work.window.start));
        let empty = self.position.left >= work.window.start;
        let Some((&end, table)) = (!empty).then(|| panes.slices.range(old).next()).flatten() else {
            self.position.left = self.position.left.max(work.window.start);
            self.position.work = Some(Work { phase: Phase::Emit, resume: None, ..work });
            return Ok(0);
        };
        let mut resume = self.gathered.take(table, panes.tables.arena(), work.resume.unwrap_or_default())?;
        if !R::ALWAYS_RETRACTS {
            resume = self.gathered.cut(ANEW_PER_PIECE, resume);
        }
        let mut handled = self.gathered.len();
        let (op, rule, gathered) = (self.op, &self.rule, &self.gathered);
        let totals = panes.totals.as_mut().expect("windows with a phase of leaving have totals");
        self.anew.clear();
        for (index, &hash) in gathered.hashes().iter().enumerate() {
            let retract = |acc: &mut R::Acc| Blame::on(op, || rule.retract(acc, gathered.value(index)));
            if !totals.leave(panes.tables.arena(), hash, gathered.key(index), retract)? {
                self.anew.push(index);
            }
        }
        if !self.anew.is_empty() {
            // Slices that leave after this one are still in the totals.
            handled += self.put_together_anew(TimeWindow { start: end, end: work.window.end })?;
        }
        if resume.is_none() {
            self.position.left = end;
        }
        self.position.work = Some(Work { resume, ..work });
        Ok(handled)
    }

    /// Sets the totals of those gathered keys from which a part could not be taken out: to what the slices in `rest` add up to.
    fn put_together_anew(&mut self, rest: TimeWindow) -> Result<usize, StateError> {
        let panes = self.panes.as_mut().expect("a window is being fired");
        let (op, rule, gathered, anew) = (self.op, &self.rule, &self.gathered, &self.anew);
        let hashes: Vec<KeyHash> = anew.iter().map(|index| gathered.hashes()[*index]).collect();
        let (values, tables) = panes.values(
            &self.windows,
            rest,
            self.position.entered,
            &hashes,
            |index| gathered.key(anew[index]),
            |acc, part| Blame::on(op, || rule.merge(acc, part)),
        )?;
        let totals = panes.totals.as_mut().expect("windows with a phase of leaving have totals");
        for (index, value) in values.into_iter().enumerate() {
            let value = value.expect("the key is in another slice of the totals");
            totals.set(panes.tables.arena(), hashes[index], gathered.key(anew[index]), &value)?;
        }
        Ok(tables * hashes.len() / 4)
    }

    fn emit<P: Push<FromExchange<Self>>>(&mut self, work: Work, push: &mut P) -> Result<usize, StateError> {
        let panes = self.panes.as_mut().expect("a window is being fired");
        let table = match &panes.totals {
            Some(totals) => Some(&totals.values),
            None => panes.slices.get(&work.window.end),
        };
        let (op, rule, seed, floors) = (self.op, &self.rule, self.seed, &self.floors);
        let (finish, watermark, window) = (&mut self.finish, self.watermark, work.window);
        let result_at = window.max_timestamp();
        let mut handled = 0;
        let resume = match table {
            None => None,
            Some(table) => table.walk(
                panes.tables.arena(),
                work.resume.unwrap_or_default(),
                KeyHash(u64::MAX),
                PAGES_PER_PIECE,
                |hash, key_bytes, value| {
                    handled += 1;
                    if !floors.is_empty() && window.end <= floors.fired(hash) {
                        return;
                    }
                    let at_hand = KeyAtHand::<K>::new((hash, key_bytes), seed);
                    let key = K::decode(hash, key_bytes, seed);
                    let value = Blame::on(op, || rule.result(R::Acc::owned(value)));
                    let context = WindowContext { key, window, firing: Firing::OnTime, watermark };
                    finish.finish(op, context, value, |record| push.push(record, result_at));
                    std::mem::forget(at_hand);
                },
            )?,
        };
        if resume.is_some() {
            self.position.work = Some(Work { resume, ..work });
        } else {
            self.position.work = None;
            self.position.done = self.position.done.max(window.max_timestamp());
        }
        Ok(handled)
    }

    /// All that is due has fired: drops what no window needs any more.
    fn rest(&mut self, at: Timestamp) -> keyed::Firing {
        self.position.done = self.position.done.max(at);
        self.floors.pass(self.position.done);
        self.settle();
        let panes = self.panes.as_mut().expect("open comes before the first watermark");
        let in_totals = panes.totals.as_ref().is_some_and(|totals| !totals.is_empty());
        let needed = if in_totals { self.retained.min(self.position.left) } else { self.retained };
        match panes.drop_before(needed, DROPS_PER_PIECE) {
            true => keyed::Firing::More,
            false => keyed::Firing::Done,
        }
    }

    /// Reckons anew what follows from how far event time has come.
    pub(super) fn settle(&mut self) {
        let done = self.position.done;
        self.retained = retained_from(&self.windows, done, self.lateness);
        self.plain_after = self.windows.last_end(done).max(self.position.entered);
    }
}

/// Slices that end no later than this belong to no window any more, at this watermark.
pub(super) fn retained_from(windows: &impl Slices, watermark: Timestamp, lateness: i64) -> Timestamp {
    if watermark == Timestamp::MAX {
        return Timestamp::MAX;
    }
    // Windows are over when `end - 1 + lateness <= watermark`.
    let Some(over) = watermark.0.checked_sub(lateness) else { return Timestamp::MIN };
    windows.next_window(Timestamp(over)).map_or(Timestamp::MAX, |first| first.start)
}
