//! The keyed state of one operator on one shard: its arena, its tables, and how they come back from a checkpoint.

use std::sync::Arc;

use super::OpId;
use super::failure::{Cause, Failure};
use super::segment::OpenContext;
use crate::arena::{Arena, ArenaConfig, StateName, TableId};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyGroups, KeyHash, ShardId};
use crate::key::Key;
use crate::record::{Layout, Record};
use crate::runtime::restored::{RestoreFailure, Restored};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::{StateError, Table, TableMeta};

/// How many pages a walk through another shard's table reads at a time.
const IMPORT_PAGES: usize = 64;

/// The tables of one state of an operator, in an arena of their own.
pub(crate) struct KeyedTables<K: Key + ?Sized, V: Record> {
    arena: Arena,
    name: StateName,
    mine: KeyGroups,
    types: std::marker::PhantomData<fn() -> (Box<K>, V)>,
}

/// The state of an operator on a shard of the time before a rescaling.
pub(crate) struct OldShard {
    arena: Arena,
    groups: KeyGroups,
}

impl<K: Key + ?Sized, V: Record> KeyedTables<K, V> {
    /// Makes or restores the arena of an operator. Layouts are compared with what the checkpoint was written with.
    pub(crate) fn open(context: &OpenContext, op: OpId, state: &str) -> Result<Self, Box<Failure>> {
        let name = StateName::new(context.name(op), state);
        let config = ArenaConfig { budget: context.budget.clone(), ..ArenaConfig::new(context.name(op)) };
        let arena =
            Self::arena_of(context, config, &name).map_err(|cause| Box::new(Failure::of(op, cause)))?;
        let mine = KeyGroups::of_shard(context.shard, context.shards);
        Ok(KeyedTables { arena, name, mine, types: std::marker::PhantomData })
    }

    fn arena_of(context: &OpenContext, config: ArenaConfig, name: &StateName) -> Result<Arena, Cause> {
        let Some(restored) = &context.restored else { return Arena::new(config).map_err(Cause::state) };
        for (_, snapshot) in restored.operators(&name.operator) {
            Self::check_layouts(name, snapshot).map_err(Cause::fatal)?;
        }
        match restored.operator(context.shard, &name.operator).filter(|_| restored.fits(context)) {
            Some(snapshot) => restored.arena(context.shard, snapshot.arena, config).map_err(Cause::state),
            None => Arena::new(config).map_err(Cause::state),
        }
    }

    fn check_layouts(name: &StateName, snapshot: &OperatorSnapshot) -> Result<(), RestoreFailure> {
        let differs = |what, then: &Layout, now: Layout| match then.fingerprint == now.fingerprint {
            true => Ok(()),
            false => Err(RestoreFailure::LayoutChanged {
                operator: name.operator.to_string(),
                state: snapshot.state.clone(),
                what,
                then: then.text.clone(),
                now: now.text,
            }),
        };
        differs("keys", &snapshot.key, K::layout())?;
        differs("values", &snapshot.value, V::layout())
    }

    pub(crate) fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// A new, empty table.
    pub(crate) fn create(&mut self) -> Table<K, V> {
        Table::new(&mut self.arena, &self.name)
    }

    /// A table of the checkpoint, on the same shard.
    pub(crate) fn restore(&mut self, meta: TableMeta) -> Result<Table<K, V>, StateError> {
        Table::restore(&mut self.arena, meta, &self.name)
    }

    /// The pages of a shard of the time before a rescaling, to be imported from.
    pub(crate) fn old_shard(
        &self,
        restored: &Arc<Restored>,
        shard: ShardId,
        snapshot: &OperatorSnapshot,
    ) -> Result<OldShard, StateError> {
        // What is copied is charged to the job's budget; what it is copied from is gone in a moment.
        let arena = restored.arena(shard, snapshot.arena, ArenaConfig::new(&self.name.operator))?;
        Ok(OldShard { arena, groups: KeyGroups::of_shard(shard, restored.shards()) })
    }

    /// Takes over the entries of an old shard's table that belong to this shard, beginning at `from`.
    pub(crate) fn import(
        &mut self,
        into: &mut Table<K, V>,
        old: &mut OldShard,
        meta: TableMeta,
        from: Option<KeyHash>,
    ) -> Result<(), StateError> {
        let table = Table::<K, V>::restore(&mut old.arena, meta, &self.name)?;
        let mine = KeyGroups {
            start: self.mine.start.max(old.groups.start),
            end: self.mine.end.min(old.groups.end),
        };
        let Some(last) = mine.last_hash() else { return Ok(()) };
        let mut next = Some(mine.first_hash().max(from.unwrap_or_default()));
        let mut moved: Vec<(KeyHash, Vec<u8>, Vec<u8>)> = Vec::new();
        while let Some(from) = next.filter(|from| *from <= last) {
            next = table.walk_raw(&mut old.arena, from, last, IMPORT_PAGES, |hash, key, value| {
                moved.push((hash, key.to_vec(), value.to_vec()));
            })?;
            for (hash, key, value) in moved.drain(..) {
                into.insert_raw(&mut self.arena, hash, &key, &value)?;
            }
        }
        Ok(())
    }

    /// What a checkpoint has to know.
    pub(crate) fn snapshot(&self, data: Vec<u8>) -> OperatorSnapshot {
        OperatorSnapshot {
            operator: self.name.operator.to_string(),
            state: self.name.state.to_string(),
            key: K::layout(),
            value: V::layout(),
            data,
            arena: 0,
        }
    }
}

/// One table: one value per key.
pub(crate) struct KeyedState<K: Key + ?Sized, V: Record> {
    tables: KeyedTables<K, V>,
    table: Table<K, V>,
}

impl<K: Key + ?Sized, V: Record> KeyedState<K, V> {
    /// Makes or restores the state of an operator.
    pub(crate) fn open(context: &OpenContext, op: OpId, state: &str) -> Result<Self, Box<Failure>> {
        let mut tables = KeyedTables::open(context, op, state)?;
        let table = Self::table(context, &mut tables, context.name(op))
            .map_err(|cause| Box::new(Failure::of(op, cause)))?;
        Ok(KeyedState { tables, table })
    }

    fn table(
        context: &OpenContext,
        tables: &mut KeyedTables<K, V>,
        name: &str,
    ) -> Result<Table<K, V>, Cause> {
        let decode = |snapshot: &OperatorSnapshot| {
            let mut input = Reader::new(&snapshot.data);
            let meta = table(&mut input).map_err(Cause::fatal)?;
            input.finish().map_err(Cause::fatal)?;
            Ok::<TableMeta, Cause>(meta)
        };
        let Some(restored) = &context.restored else { return Ok(tables.create()) };
        if restored.fits(context) {
            return match restored.operator(context.shard, name) {
                Some(snapshot) => tables.restore(decode(snapshot)?).map_err(Cause::state),
                None => Ok(tables.create()),
            };
        }
        let mut table = tables.create();
        for (shard, snapshot) in restored.operators(name) {
            let mut old = tables.old_shard(restored, shard, snapshot).map_err(Cause::state)?;
            tables.import(&mut table, &mut old, decode(snapshot)?, None).map_err(Cause::state)?;
        }
        Ok(table)
    }

    /// The table and the arena it lies in.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&mut Table<K, V>, &mut Arena) {
        (&mut self.table, &mut self.tables.arena)
    }

    pub(crate) fn arena(&mut self) -> &mut Arena {
        &mut self.tables.arena
    }

    pub(crate) fn len(&self) -> u64 {
        self.table.len()
    }

    /// What a checkpoint has to know.
    pub(crate) fn snapshot(&self) -> OperatorSnapshot {
        let mut data = Writer::new();
        put_table(&mut data, &self.table.meta());
        self.tables.snapshot(data.into_bytes())
    }
}

/// Writes what a table is known by.
pub(crate) fn put_table(out: &mut Writer, table: &TableMeta) {
    out.put_u32(table.id.0).put_u64(table.len);
}

/// Reads what [`put_table`] wrote.
pub(crate) fn table(input: &mut Reader<'_>) -> Result<TableMeta, CodecError> {
    Ok(TableMeta { id: TableId(input.u32("table")?), len: input.u64("keys of the table")? })
}
