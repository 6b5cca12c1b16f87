//! What runs of slices add up to, per key: a window's value from a few tables instead of all its slices.
//!
//! A block of level `n` holds what the slices of `4^n` steps add up to. Blocks lie side by side, so any window is covered by at most three
//! blocks of each level at either end, and slices for the rest (a segment tree; FlatFAT, Tangwongsan et al., VLDB 2015, with tables of
//! keys in its nodes).

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use super::gathered::Gathered;
use super::totals::merge_all;
use crate::arena::{Arena, StateError, StateName};
use crate::element::Timestamp;
use crate::key::Key;
use crate::record::Record;
use crate::state::{Table, TableMeta};
use crate::window::{Grid, Slices, TimeWindow};

/// How many blocks make one of the next level.
const FAN_OUT: i64 = 4;

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlockId {
    pub(super) level: u8,
    pub(super) start: Timestamp,
}

/// A table that holds a part of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Block(BlockId),
    /// The slice with this end.
    Slice(Timestamp),
}

/// All blocks, or none where they are not needed.
pub(super) struct Blocks<K: Key + ?Sized, V: Record> {
    /// By level, from level 1 on, where blocks of that level begin.
    levels: Vec<Grid>,
    tables: BTreeMap<BlockId, Table<K, V>>,
}

impl<K: Key + ?Sized, V: Record + Clone> Blocks<K, V> {
    /// No blocks at all.
    pub(super) fn none() -> Self {
        Blocks { levels: Vec::new(), tables: BTreeMap::new() }
    }

    /// The blocks that windows of this kind are made of.
    pub(super) fn for_windows(windows: &impl Slices) -> Self {
        let mut levels = Vec::new();
        let mut length = windows.step();
        while let Some(longer) = length.checked_mul(FAN_OUT).filter(|longer| *longer <= windows.longest()) {
            length = longer;
            levels.push(Grid::through(windows.phase(), length));
        }
        Blocks { levels, tables: BTreeMap::new() }
    }

    /// From level 1 on, how many levels there are.
    pub(super) fn levels(&self) -> u8 {
        self.levels.len() as u8
    }

    /// The block of a level that a slice lies in. None where it begins before all time: no window does.
    pub(super) fn block_of(&self, level: u8, end: Timestamp) -> Option<BlockId> {
        let start = self.levels[usize::from(level) - 1].at_or_before(i128::from(end.0) - 1);
        i64::try_from(start).ok().map(|start| BlockId { level, start: Timestamp(start) })
    }

    /// The table of a block, which is made where it is missing.
    pub(super) fn table(&mut self, block: BlockId, arena: &mut Arena, name: &StateName) -> &mut Table<K, V> {
        self.tables.entry(block).or_insert_with(|| Table::new(arena, name))
    }

    /// The table of a block.
    pub(super) fn get(&self, block: BlockId) -> Option<&Table<K, V>> {
        self.tables.get(&block)
    }

    /// Merges entries of a slice in.
    pub(super) fn enter(
        &mut self,
        arena: &mut Arena,
        name: &StateName,
        end: Timestamp,
        slice: &Gathered<V>,
        merge: impl Fn(&mut V, &V),
    ) -> Result<(), StateError> {
        for level in 1..=self.levels() {
            let Some(block) = self.block_of(level, end) else { continue };
            merge_all(self.table(block, arena, name), arena, slice, &merge)?;
        }
        Ok(())
    }

    /// The tables that make up a window, in the order of time. Blocks hold the slices up to `entered`.
    pub(super) fn parts<W: Slices, S>(
        &self,
        windows: &W,
        slices: &BTreeMap<Timestamp, S>,
        window: TimeWindow,
        entered: Timestamp,
        into: &mut Vec<Part>,
    ) {
        into.clear();
        let mut at = window.start;
        while at < window.end
            && let Some((&end, _)) = slices.range((Excluded(at), Included(window.end))).next()
        {
            // Nothing lies between.
            at = at.max(windows.slice_of(Timestamp(end.0 - 1)).start);
            match self.block_at(at, window.end.min(entered)) {
                Some((block, block_end)) => {
                    if self.tables.contains_key(&block) {
                        into.push(Part::Block(block));
                    }
                    at = block_end;
                }
                None => {
                    into.push(Part::Slice(end));
                    at = end;
                }
            }
        }
    }

    /// The largest block that begins here and ends no later than `limit`.
    fn block_at(&self, at: Timestamp, limit: Timestamp) -> Option<(BlockId, Timestamp)> {
        (1..=self.levels()).rev().find_map(|level| {
            let starts = self.levels[usize::from(level) - 1];
            let end = Timestamp(at.0.checked_add(starts.step())?);
            (starts.past(at) == 0 && end <= limit).then_some((BlockId { level, start: at }, end))
        })
    }

    /// Drops up to `tables_max` blocks that lie wholly before `at`. Says how many it dropped.
    pub(super) fn drop_before(&mut self, at: Timestamp, tables_max: usize, arena: &mut Arena) -> usize {
        let mut dropped = 0;
        for (level, starts) in (1..).zip(&self.levels) {
            let first = BlockId { level, start: Timestamp::MIN };
            while dropped < tables_max
                && let Some((&block, _)) = self.tables.range(first..).next()
                && block.level == level
                && block.start.0.saturating_add(starts.step()) <= at.0
            {
                if let Some(table) = self.tables.remove(&block) {
                    table.discard(arena);
                }
                dropped += 1;
            }
        }
        dropped
    }

    pub(super) fn metas(&self) -> Vec<(BlockId, TableMeta)> {
        self.tables.iter().map(|(block, table)| (*block, table.meta())).collect()
    }

    pub(super) fn restore(
        &mut self,
        arena: &mut Arena,
        name: &StateName,
        metas: Vec<(BlockId, TableMeta)>,
    ) -> Result<(), StateError> {
        for (block, meta) in metas {
            self.tables.insert(block, Table::restore(arena, meta, name)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::ArenaConfig;
    use crate::time::{Tick, Ticks};
    use crate::window::Sliding;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_made_up_of_blocks_and_slices_without_gap_or_overlap(
            size in 1i64..200,
            slide in 1i64..12,
            offset in -12i64..12,
            times in proptest::collection::btree_set(-300i64..300, 0..60),
            window_at in -300i64..300,
            entered in -300i64..300,
        ) {
            let windows = Sliding::of(Ticks(size))
                .every(Ticks(slide))
                .offset(Ticks(offset % slide))
                .build(Tick::Millisecond)
                .unwrap();
            let mut arena = Arena::new(ArenaConfig::new("test")).unwrap();
            let name = StateName::new("test", "blocks");
            let mut blocks = Blocks::<u64, u64>::for_windows(&windows);
            let slices: BTreeMap<Timestamp, TimeWindow> = times
                .iter()
                .map(|at| windows.slice_of(Timestamp(*at)))
                .filter(|slice| windows.is_assigned(*slice))
                .map(|slice| (slice.end, slice))
                .collect();
            let window = windows.next_window(Timestamp(window_at)).unwrap();
            let entered = windows.slice_of(Timestamp(entered)).end;
            for end in slices.keys().filter(|end| **end <= entered) {
                for level in 1..=blocks.levels() {
                    blocks.table(blocks.block_of(level, *end).unwrap(), &mut arena, &name);
                }
            }
            let mut parts = Vec::new();
            blocks.parts(&windows, &slices, window, entered, &mut parts);
            let mut covered = Vec::new();
            for part in &parts {
                let (from, to) = match *part {
                    Part::Slice(end) => (slices[&end].start, end),
                    Part::Block(block) => {
                        let length = slide * FAN_OUT.pow(block.level.into());
                        let end = Timestamp(block.start.0 + length);
                        prop_assert!(end <= entered);
                        (block.start, end)
                    }
                };
                prop_assert!(window.start <= from && to <= window.end);
                covered.extend(slices.range((Excluded(from), Included(to))).map(|(end, _)| *end));
            }
            let all: Vec<Timestamp> =
                slices.range((Excluded(window.start), Included(window.end))).map(|(end, _)| *end).collect();
            prop_assert_eq!(covered, all);
            if entered >= window.end {
                // Two slices to each of three steps at either end, and three blocks of each level.
                prop_assert!(parts.len() <= 14 + 6 * blocks.levels.len());
            }
        }
    }
}
