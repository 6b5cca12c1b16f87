//! An ordered set of timers: leaves by time.

use std::collections::BTreeMap;

use super::front::Front;
use super::leaf::{Leaf, LeafTable, When};
use crate::arena::{Arena, StateError, StateName};
use crate::element::KeyHash;
use crate::key::{Key, Sub};
use crate::state::Table;

/// A leaf with so many timers takes no more, unless all are due at the same tick. Two pages of timers of integer keys. Larger leaves make
/// checkpoints note fewer of them; smaller ones are read and sorted, or moved by halves, in less time (some ten microseconds).
pub(super) const LEAF_TIMERS: u64 = 256;

/// A leaf that shrinks to this looks for a neighbour to merge with...
const SPARSE: u64 = LEAF_TIMERS / 8;
/// ... whenever its length is a multiple of this...
const MERGE_EVERY: u64 = 16;
/// ... and merges where the two have no more timers than this.
const MERGED: u64 = LEAF_TIMERS / 2;

/// How many pages of a leaf of a single tick are read at a time.
const PIECE_PAGES: usize = 2;
/// How many times in a row such a reading may find nothing before others get a turn.
const EMPTY_READS: usize = 16;

/// The timers of one kind.
pub(super) struct Index<K: Key + ?Sized, W: When> {
    name: StateName,
    /// By start: a timer lies in the last leaf that starts at or before its timestamp. None is empty. One that has more than
    /// `LEAF_TIMERS` has one tick, at which it starts.
    leaves: BTreeMap<i64, Leaf<K, W>>,
    /// Tables of leaves that are gone. They are empty and have no page; using them again saves numbers of tables.
    spare: Vec<LeafTable<K, W>>,
    len: u64,
    front: Front,
    held: Held,
    /// The timer at hand as a stored sub-key.
    key: Vec<u8>,
    scratch: Front,
}

/// What the front holds of the first leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    /// Everything.
    Whole,
    /// Some timers of a leaf whose timers were all due at the same tick when they were read.
    Piece,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A timer due at this time is the first, and can be taken.
    At(i64),
    /// Nothing is due.
    Nothing,
    /// Nothing was found yet.
    Again,
}

impl<K: Key + ?Sized, W: When> Index<K, W> {
    pub(super) fn new(name: &StateName) -> Self {
        Index {
            name: name.clone(),
            leaves: BTreeMap::new(),
            spare: Vec::new(),
            len: 0,
            front: Front::default(),
            held: Held::Nothing,
            key: Vec::new(),
            scratch: Front::default(),
        }
    }

    /// What errors say.
    pub(super) fn name(&self) -> &StateName {
        &self.name
    }

    /// How many timers there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// A time at or before the first timer.
    pub(super) fn first(&self) -> Option<i64> {
        let start = *self.leaves.first_key_value()?.0;
        Some(self.front.first().unwrap_or(start))
    }

    /// All leaves, with their starts.
    pub(super) fn leaves(&self) -> impl ExactSizeIterator<Item = (i64, &Leaf<K, W>)> {
        self.leaves.iter().map(|(&start, leaf)| (start, leaf))
    }

    /// Puts a leaf of a checkpoint in its place.
    pub(super) fn put_leaf(&mut self, start: i64, leaf: Leaf<K, W>) {
        self.len += leaf.len();
        self.leaves.insert(start, leaf);
    }

    /// Enters a timer. Says whether it is new.
    pub(super) fn register(
        &mut self,
        arena: &mut Arena,
        when: W,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        let at = when.at();
        let start = self.leaf_for(arena, at)?;
        let sub_hash = Sub::<K, W>::encode_parts(hash, key, &when, &mut self.key);
        let leaf = self.leaves.get_mut(&start).expect("the leaf that was just found");
        if !leaf.table.insert(arena, sub_hash, &self.key, &())? {
            return Ok(false);
        }
        leaf.last = leaf.last.max(at);
        self.len += 1;
        // A piece need not know: what was added to its leaf is read once the piece is through.
        let grown = leaf.len() > LEAF_TIMERS;
        if self.held == Held::Whole
            && self.is_first(start)
            && (grown || !self.front.insert(at, sub_hash, &self.key))
        {
            self.forget_front();
        }
        Ok(true)
    }

    /// Takes a timer out. Says whether there was one.
    pub(super) fn delete(
        &mut self,
        arena: &mut Arena,
        when: W,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<bool, StateError> {
        let at = when.at();
        let Some((&start, leaf)) = self.leaves.range_mut(..=at).next_back() else { return Ok(false) };
        let sub_hash = Sub::<K, W>::encode_parts(hash, key, &when, &mut self.key);
        if !leaf.table.remove(arena, sub_hash, &self.key)? {
            return Ok(false);
        }
        self.len -= 1;
        let left = leaf.len();
        if self.held != Held::Nothing && self.is_first(start) {
            self.front.remove(at, sub_hash, &self.key);
        }
        if left == 0 {
            self.drop_leaf(start);
        } else if left <= SPARSE && left.is_multiple_of(MERGE_EVERY) {
            self.merge(arena, start)?;
        }
        Ok(true)
    }

    /// Looks for a timer that is due. A bounded amount of work.
    pub(super) fn ready(&mut self, arena: &mut Arena, up_to: i64) -> Result<Ready, StateError> {
        for _ in 0..EMPTY_READS {
            // What is in the front is of the first leaf.
            if let Some(at) = self.front.first() {
                return Ok(if at <= up_to { Ready::At(at) } else { Ready::Nothing });
            }
            match self.leaves.first_key_value() {
                Some((&start, _)) if start <= up_to => self.load(arena)?,
                _ => return Ok(Ready::Nothing),
            }
        }
        Ok(Ready::Again)
    }

    /// Takes the timer out that [`Index::ready`] has found, and shows it; `None` where it was not in its leaf any more.
    pub(super) fn take<R>(
        &mut self,
        arena: &mut Arena,
        show: impl FnOnce(W, KeyHash, &[u8]) -> R,
    ) -> Result<Option<R>, StateError> {
        let (Some(timer), Some(mut leaf)) = (self.front.pop(), self.leaves.first_entry()) else {
            return Ok(None);
        };
        let removed = leaf.get_mut().table.remove(arena, timer.hash, timer.key)?;
        debug_assert!(removed, "the front holds timers of the first leaf only");
        if !removed {
            return Ok(None);
        }
        self.len -= 1;
        let (when, hash, key) = Sub::<K, W>::split(timer.key);
        let shown = show(when, hash, key);
        if leaf.get().len() == 0 {
            self.spare.push(leaf.remove().table);
            self.forget_front();
        }
        Ok(Some(shown))
    }

    /// Reads timers of the first leaf, all of which lie there still when they are taken.
    fn load(&mut self, arena: &mut Arena) -> Result<(), StateError> {
        self.forget_front();
        let Some((_, leaf)) = self.leaves.iter_mut().next() else { return Ok(()) };
        if leaf.len() <= LEAF_TIMERS {
            leaf.resume = KeyHash::default();
            leaf.read_all(arena, &mut self.front)?;
            self.held = Held::Whole;
        } else {
            let next = leaf.read(arena, leaf.resume, PIECE_PAGES, &mut self.front)?;
            leaf.resume = next.unwrap_or_default();
            self.held = Held::Piece;
        }
        self.front.sort();
        Ok(())
    }

    fn forget_front(&mut self) {
        self.front.clear();
        self.held = Held::Nothing;
    }

    fn is_first(&self, start: i64) -> bool {
        self.leaves.first_key_value().is_some_and(|(&first, _)| first == start)
    }

    /// The start of the leaf that takes a timer due at `at`: one is made, extended or split if need be.
    fn leaf_for(&mut self, arena: &mut Arena, at: i64) -> Result<i64, StateError> {
        loop {
            if let Some((&start, leaf)) = self.leaves.range(..=at).next_back() {
                if leaf.len() < LEAF_TIMERS || (start == at && leaf.last == at) {
                    return Ok(start);
                }
                if at <= leaf.last {
                    self.split(arena, start)?;
                    continue;
                }
            }
            // No leaf's timers are around `at`, so the next leaf may as well begin here.
            let after = self.leaves.range(at..).next().map(|(&start, leaf)| (start, leaf.len()));
            match after {
                Some((start, len)) if len < LEAF_TIMERS => self.lower(start, at),
                _ => {
                    let first = self.leaves.first_key_value().is_none_or(|(&first, _)| at < first);
                    if first {
                        self.forget_front();
                    }
                    let leaf = Leaf::new(self.new_table(arena), at);
                    self.leaves.insert(at, leaf);
                }
            }
            return Ok(at);
        }
    }

    fn new_table(&mut self, arena: &mut Arena) -> LeafTable<K, W> {
        self.spare.pop().unwrap_or_else(|| Table::new(arena, &self.name))
    }

    /// Lets a leaf start earlier. There are no timers in between.
    fn lower(&mut self, start: i64, to: i64) {
        let mut leaf = self.leaves.remove(&start).expect("the leaf that was just found");
        // It may have had one tick, which was being read in pieces.
        leaf.resume = KeyHash::default();
        self.leaves.insert(to, leaf);
        if self.held == Held::Piece && self.is_first(to) {
            self.forget_front();
        }
    }

    /// Splits a full leaf in two, by moving the smaller half. Where all its timers are due at the same tick, it starts there from now on.
    #[cold]
    fn split(&mut self, arena: &mut Arena, start: i64) -> Result<(), StateError> {
        if self.is_first(start) {
            self.forget_front();
        }
        let mut leaf = self.leaves.remove(&start).expect("the leaf that was just found");
        let mut timers = std::mem::take(&mut self.scratch);
        timers.clear();
        leaf.read_all(arena, &mut timers)?;
        timers.sort();
        let (first, last) = timers.span().expect("a full leaf has timers");
        if let Some(middle) = timers.middle() {
            let all = timers.iter().len();
            let before = timers.iter().filter(|timer| timer.at < middle).count();
            let move_early = before <= all - before;
            let mut moved = self.new_table(arena);
            for timer in timers.iter().filter(|timer| (timer.at < middle) == move_early) {
                moved.insert(arena, timer.hash, timer.key, &())?;
                leaf.table.remove(arena, timer.hash, timer.key)?;
            }
            let (early, late) = if move_early { (moved, leaf.table) } else { (leaf.table, moved) };
            let before_middle = timers.iter().map(|timer| timer.at).take_while(|&at| at < middle).last();
            self.leaves.insert(start, Leaf::new(early, before_middle.unwrap_or(first)));
            self.leaves.insert(middle, Leaf::new(late, last));
        } else {
            leaf.last = last;
            self.leaves.insert(first, leaf);
        }
        self.scratch = timers;
        Ok(())
    }

    /// Moves the timers of a sparse leaf to a neighbour that has room for them.
    #[cold]
    fn merge(&mut self, arena: &mut Arena, start: i64) -> Result<(), StateError> {
        let len = self.leaves[&start].len();
        let fits = |other: &Leaf<K, W>| len + other.len() <= MERGED;
        let before = self.leaves.range(..start).next_back().filter(|(_, other)| fits(other));
        let after = (start.checked_add(1))
            .and_then(|after| self.leaves.range(after..).next())
            .filter(|(_, other)| fits(other));
        let Some(other_start) = before.or(after).map(|(&other, _)| other) else { return Ok(()) };
        if self.is_first(start.min(other_start)) {
            self.forget_front();
        }
        let mut leaf = self.leaves.remove(&start).expect("the leaf that became sparse");
        let mut other = self.leaves.remove(&other_start).expect("the leaf that was just found");
        let mut timers = std::mem::take(&mut self.scratch);
        timers.clear();
        leaf.read_all(arena, &mut timers)?;
        for timer in timers.iter() {
            other.table.insert(arena, timer.hash, timer.key, &())?;
            leaf.table.remove(arena, timer.hash, timer.key)?;
        }
        self.scratch = timers;
        self.spare.push(leaf.table);
        self.leaves.insert(start.min(other_start), Leaf::new(other.table, leaf.last.max(other.last)));
        Ok(())
    }

    fn drop_leaf(&mut self, start: i64) {
        if self.is_first(start) {
            self.forget_front();
        }
        if let Some(leaf) = self.leaves.remove(&start) {
            self.spare.push(leaf.table);
        }
    }
}

#[cfg(test)]
impl<K: Key + ?Sized, W: When> Index<K, W> {
    /// How many timers are in memory beside their pages.
    pub(super) fn in_front(&self) -> usize {
        self.front.iter().len()
    }

    /// Whether all promises about leaves and front hold. Reads everything.
    pub(super) fn check(&mut self, arena: &mut Arena) {
        let mut len = 0;
        let starts: Vec<i64> = self.leaves.keys().copied().collect();
        for (nth, (&start, leaf)) in self.leaves.iter().enumerate() {
            let end = starts.get(nth + 1).map_or(i128::from(i64::MAX) + 1, |&next| i128::from(next));
            let mut timers = Front::default();
            leaf.read_all(arena, &mut timers).unwrap();
            timers.sort();
            let (first, last) = timers.span().expect("no leaf is empty");
            assert!(start <= first && last <= leaf.last && i128::from(leaf.last) < end);
            assert!(leaf.len() <= LEAF_TIMERS || (start == first && leaf.last == start));
            len += leaf.len();
            if nth == 0 && self.held == Held::Whole {
                let timers: Vec<_> = timers.iter().collect();
                let front: Vec<_> = self.front.iter().collect();
                assert_eq!(timers.len(), front.len());
                assert!(front.iter().all(|timer| timers.contains(timer)));
            }
        }
        assert_eq!(len, self.len);
        assert!(self.spare.iter().all(Table::is_empty));
        assert!(self.held != Held::Nothing || self.in_front() == 0);
    }
}
