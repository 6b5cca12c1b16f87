//! The tables of a window operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocks::{Blocks, Part};
use super::saved::{self, Saved};
use super::totals::Totals;
use crate::arena::{StateError, StateName};
use crate::element::{KeyHash, ShardId, Timestamp};
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::Failure;
use crate::operator::keyed_state::{OperatorState, State};
use crate::operator::segment::OpenContext;
use crate::record::Record;
use crate::runtime::restored::Restored;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::savepoint::Form;
use crate::state::{Table, TableMeta};
use crate::window::{Slices, TimeWindow};

/// Which tables a kind of windows needs for an aggregate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// A window may have several slices.
    pub(super) totals: bool,
    /// Values are put together from parts now and then.
    pub(super) blocks: bool,
}

/// See the [module](self).
pub(super) struct Panes<K: Key + ?Sized, V: Record> {
    pub(super) tables: OperatorState,
    pub(super) slice: State<K, V>,
    /// By the end of the slice.
    pub(super) slices: BTreeMap<Timestamp, Table<K, V>>,
    pub(super) blocks: Blocks<K, V>,
    pub(super) totals: Option<Totals<K, V>>,
    pub(super) names: Names,
    parts: Vec<Part>,
}

/// The name of the state that slices are of.
pub(super) const SLICE: &str = "window";

/// What the tables are called in errors.
pub(super) struct Names {
    pub(super) blocks: StateName,
    totals: StateName,
    parts: StateName,
}

impl<K: Key + ?Sized, V: Record + Clone> Panes<K, V> {
    pub(super) fn open(
        context: &OpenContext,
        op: OpId,
        needs: Needs,
        windows: &impl Slices,
    ) -> Result<Self, Box<Failure>> {
        let name = |state| StateName::new(context.name(op), state);
        let names = Names {
            blocks: name("window blocks"),
            totals: name("window totals"),
            parts: name("window parts"),
        };
        let mut tables = OperatorState::open(context, op)?;
        let slice = tables
            .declare(context, SLICE)
            .and_then(|slice| tables.refuse_others(context).map(|()| slice))
            .map_err(|cause| Box::new(Failure::of(op, cause)))?;
        context.types.form(context.name(op), Form::Tables(saved::tables_of));
        let totals = needs.totals.then(|| Totals::new(tables.arena(), &names.totals, &names.parts));
        let blocks = if needs.blocks { Blocks::for_windows(windows) } else { Blocks::none() };
        Ok(Panes { tables, slice, slices: BTreeMap::new(), blocks, totals, names, parts: Vec::new() })
    }

    /// The value of one window for a key, put together from its parts. Blocks hold the slices up to `entered`.
    pub(super) fn value(
        &mut self,
        windows: &impl Slices,
        window: TimeWindow,
        entered: Timestamp,
        hash: KeyHash,
        key: &[u8],
        merge: impl Fn(&mut V, &V),
    ) -> Result<Option<V>, StateError> {
        self.list_parts(windows, window, entered);
        let mut value: Option<V> = None;
        for part in &self.parts {
            let Some(table) = table_of(&self.slices, &self.blocks, *part) else { continue };
            if let Some(next) = table.get(self.tables.arena(), hash, key, V::owned)? {
                match &mut value {
                    Some(value) => merge(value, &next),
                    None => value = Some(next),
                }
            }
        }
        Ok(value)
    }

    /// The values of one window for several keys, as [`Panes::value`], and how many tables were looked at.
    pub(super) fn values<'k>(
        &mut self,
        windows: &impl Slices,
        window: TimeWindow,
        entered: Timestamp,
        hashes: &[KeyHash],
        key: impl Fn(usize) -> &'k [u8],
        merge: impl Fn(&mut V, &V),
    ) -> Result<(Vec<Option<V>>, usize), StateError> {
        self.list_parts(windows, window, entered);
        let mut values: Vec<Option<V>> = hashes.iter().map(|_| None).collect();
        for part in &self.parts {
            let Some(table) = table_of(&self.slices, &self.blocks, *part) else { continue };
            table.get_batch(self.tables.arena(), hashes, &key, |index, view| {
                if let Some(view) = view {
                    let next = V::owned(view);
                    match &mut values[index] {
                        Some(value) => merge(value, &next),
                        empty => *empty = Some(next),
                    }
                }
            })?;
        }
        Ok((values, self.parts.len()))
    }

    fn list_parts(&mut self, windows: &impl Slices, window: TimeWindow, entered: Timestamp) {
        self.blocks.parts(windows, &self.slices, window, entered, &mut self.parts);
    }

    /// Drops up to `tables_max` slices and blocks that no window after `at` has. Says whether there are more of them.
    pub(super) fn drop_before(&mut self, at: Timestamp, tables_max: usize) -> bool {
        let mut dropped = 0;
        while dropped < tables_max
            && let Some(first) = self.slices.first_entry()
            && *first.key() <= at
        {
            first.remove().discard(self.tables.arena());
            dropped += 1;
        }
        // A block may reach beyond its last slice; without any slice, none is of use.
        let blocks = if self.slices.is_empty() { Timestamp::MAX } else { at };
        dropped += self.blocks.drop_before(blocks, tables_max - dropped, self.tables.arena());
        dropped == tables_max
    }

    /// Takes the tables of a checkpoint up, on the same shard.
    pub(super) fn restore(&mut self, saved: &Saved) -> Result<(), StateError> {
        for (end, meta) in &saved.slices {
            let table = self.tables.restore(&self.slice, *meta)?;
            self.slices.insert(*end, table);
        }
        self.blocks.restore(self.tables.arena(), &self.names.blocks, saved.blocks.clone())?;
        if let Some(metas) = saved.totals {
            let names = (&self.names.totals, &self.names.parts);
            self.totals = Some(Totals::restore(self.tables.arena(), metas, names)?);
        }
        Ok(())
    }

    /// Takes over what belongs to this shard of the slices of an old shard.
    pub(super) fn import(
        &mut self,
        restored: &Arc<Restored>,
        old_shard: ShardId,
        snapshot: &OperatorSnapshot,
        slices: &[(Timestamp, TableMeta)],
    ) -> Result<(), StateError> {
        let mut old = self.tables.old_shard(restored, old_shard, snapshot)?;
        for (end, meta) in slices {
            let into = self.slices.entry(*end).or_insert_with(|| self.tables.create(&self.slice));
            self.tables.import(&self.slice, into, &mut old, *meta)?;
        }
        Ok(())
    }
}

fn table_of<'a, K: Key + ?Sized, V: Record + Clone>(
    slices: &'a BTreeMap<Timestamp, Table<K, V>>,
    blocks: &'a Blocks<K, V>,
    part: Part,
) -> Option<&'a Table<K, V>> {
    match part {
        Part::Block(block) => blocks.get(block),
        Part::Slice(end) => slices.get(&end),
    }
}
