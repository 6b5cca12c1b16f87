//! The keyed state of one operator on one shard: its arena, its tables, and how they come back from a checkpoint.

use std::marker::PhantomData;
use std::sync::Arc;

use super::OpId;
use super::failure::{Cause, Failure};
use super::segment::OpenContext;
use super::store::{Contents, Opening, Store};
use crate::arena::{Arena, ArenaConfig, MemoryBudget, StateName, TableId};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyGroups, KeyHash, ShardId};
use crate::key::{Key, Sub};
use crate::record::{Layout, Record};
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::restored::{RestoreFailure, Restored};
use crate::runtime::snapshot::{OperatorSnapshot, StateSnapshot};
use crate::runtime::spill_dir::SpillDir;
use crate::savepoint::Portable;
use crate::state::{OldTables, StateError, Table, TableMeta};

/// An operator has two states of one name.
#[derive(Debug, thiserror::Error)]
#[error(
    "operator `{operator}` has two states named `{state}`, of the program's or the engine's own; names are the identity of state, give it \
     another"
)]
struct StateTwice {
    operator: String,
    state: String,
}

/// The states of an operator: tables of any types, in an arena of its own.
pub(crate) struct OperatorState {
    arena: Arena,
    /// Where state lies that memory has no room for, and what memory there is.
    spill: Option<(Arc<SpillDir>, MemoryBudget)>,
    operator: String,
    mine: KeyGroups,
    declared: Vec<StateSnapshot>,
    /// States that the program knows it has no more: what a checkpoint holds of them may be lost.
    let_go: Vec<String>,
}

/// A state of an operator, by its name: what the tables are made for that hold it.
pub(crate) struct State<K: ?Sized, V> {
    name: StateName,
    types: PhantomData<fn() -> (Box<K>, V)>,
}

/// The state of an operator on a shard of the time before a rescaling.
pub(crate) struct OldShard {
    from: Origin,
    groups: KeyGroups,
}

/// Where it lies.
enum Origin {
    Pages(Box<Arena>),
    Savepoint(Portable, ShardId),
}

impl OldTables for OldShard {
    fn each<K: Key + ?Sized, V: Record, E: From<StateError>>(
        &mut self,
        name: &StateName,
        table: TableMeta,
        hashes: (KeyHash, KeyHash),
        each: impl FnMut(KeyHash, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.from {
            Origin::Pages(arena) => arena.each::<K, V, E>(name, table, hashes, each),
            Origin::Savepoint(portable, shard) => {
                portable.each_archived::<K, V, E>((name, *shard, table.id), hashes, each)
            }
        }
    }
}

impl OperatorState {
    /// Makes or restores the arena of an operator.
    pub(crate) fn open(context: &OpenContext, op: OpId) -> Result<Self, Box<Failure>> {
        let operator = context.name(op).to_owned();
        let config = context.arena_config(&operator);
        let saved = context.restored.as_ref().filter(|restored| restored.keeps_pages());
        let saved = saved.and_then(|restored| Some((restored, restored.operator(context.shard, &operator)?)));
        let arena = match saved {
            Some((restored, snapshot)) => restored.arena(context.shard, snapshot.arena, config),
            None => Arena::new(config),
        };
        let arena = arena.map_err(|error| Box::new(Failure::of(op, Cause::state(error))))?;
        let (instance, instances) = context.instance();
        let mine = KeyGroups::of_shard(instance, instances);
        let spill = context.spill.clone().map(|dir| (dir, context.budget.clone()));
        Ok(OperatorState { arena, spill, operator, mine, declared: Vec::new(), let_go: Vec::new() })
    }

    /// Says that the operator has a state. Its layouts are compared with what the checkpoint was written with.
    pub(crate) fn declare<K: Key + ?Sized, V: Record>(
        &mut self,
        context: &OpenContext,
        state: &str,
    ) -> Result<State<K, V>, Cause> {
        if self.declared.iter().any(|other| other.state == state) {
            let (operator, state) = (self.operator.clone(), state.to_owned());
            return Err(Cause::fatal(StateTwice { operator, state }));
        }
        context.types.table::<K, V>(&self.operator, state);
        let now = StateSnapshot { state: state.to_owned(), key: K::layout(), value: V::layout() };
        if let Some(portable) = context.restored.as_ref().and_then(|restored| restored.portable()) {
            let changes = portable.changes(&self.operator, state, &K::schema(), &V::schema());
            changes.map_err(Cause::fatal)?;
            self.declared.push(now);
            return Ok(State { name: StateName::new(&self.operator, state), types: PhantomData });
        }
        for (_, snapshot) in context.restored.iter().flat_map(|restored| restored.operators(&self.operator)) {
            for then in snapshot.states.iter().filter(|then| then.state == state) {
                self.compare("keys", then, &then.key, &now.key)?;
                self.compare("values", then, &then.value, &now.value)?;
            }
        }
        self.declared.push(now);
        Ok(State { name: StateName::new(&self.operator, state), types: PhantomData })
    }

    /// Says that the operator has timers, of which a checkpoint holds their keys.
    pub(crate) fn declare_timers<K: Key + ?Sized>(
        &mut self,
        context: &OpenContext,
        state: &str,
    ) -> Result<(), Cause> {
        if let Some(portable) = context.restored.as_ref().and_then(|restored| restored.portable()) {
            let key = Sub::<K, i64>::schema();
            portable.changes(&self.operator, state, &key, &<() as Record>::schema()).map_err(Cause::fatal)?;
            self.declared.push(StateSnapshot {
                state: state.to_owned(),
                key: K::layout(),
                value: <() as Record>::layout(),
            });
        } else {
            self.declare::<K, ()>(context, state)?;
        }
        context.types.timers::<K>(&self.operator, state);
        Ok(())
    }

    fn compare(
        &self,
        what: &'static str,
        state: &StateSnapshot,
        then: &Layout,
        now: &Layout,
    ) -> Result<(), Cause> {
        if then.fingerprint == now.fingerprint {
            return Ok(());
        }
        Err(Cause::fatal(RestoreFailure::LayoutChanged {
            operator: self.operator.clone(),
            state: state.state.clone(),
            what,
            then: then.text.clone(),
            now: now.text.clone(),
        }))
    }

    /// All states are declared: whatever else the checkpoint holds would be lost.
    pub(crate) fn refuse_others(&self, context: &OpenContext) -> Result<(), Cause> {
        let saved = context.restored.iter().flat_map(|restored| restored.operators(&self.operator));
        let mut saved = saved.flat_map(|(_, snapshot)| &snapshot.states);
        let is_unknown = |then: &&StateSnapshot| {
            self.declared.iter().all(|now| now.state != then.state) && !self.let_go.contains(&then.state)
        };
        match saved.find(is_unknown) {
            None => Ok(()),
            Some(unknown) if context.restored.iter().any(|restored| restored.leaves_behind()) => {
                let (operator, state) = (&self.operator, &unknown.state);
                tracing::warn!(
                    operator,
                    state,
                    "the program does not have the state any more: it is left behind"
                );
                Ok(())
            }
            Some(unknown) => Err(Cause::fatal(RestoreFailure::UnknownState {
                operator: self.operator.clone(),
                state: unknown.state.clone(),
            })),
        }
    }

    /// What the checkpoint may hold of a state by this name is not wanted.
    pub(crate) fn let_go(&mut self, state: String) {
        self.let_go.push(state);
    }

    /// The key groups that are this shard's.
    pub(crate) fn key_groups(&self) -> KeyGroups {
        self.mine
    }

    /// The name of the operator.
    pub(crate) fn operator(&self) -> &str {
        &self.operator
    }

    #[inline(always)]
    pub(crate) fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// A new, empty table.
    pub(crate) fn create<K: Key + ?Sized, V: Record>(&mut self, state: &State<K, V>) -> Table<K, V> {
        Table::new(&mut self.arena, &state.name)
    }

    /// A table of the checkpoint, on the same shard.
    pub(crate) fn restore<K: Key + ?Sized, V: Record>(
        &mut self,
        state: &State<K, V>,
        meta: TableMeta,
    ) -> Result<Table<K, V>, StateError> {
        Table::restore(&mut self.arena, meta, &state.name)
    }

    /// The pages of a shard of the time before a rescaling, to be imported from.
    pub(crate) fn old_shard(
        &self,
        restored: &Arc<Restored>,
        shard: ShardId,
        snapshot: &OperatorSnapshot,
    ) -> Result<OldShard, StateError> {
        let from = match restored.portable() {
            Some(portable) => Origin::Savepoint(portable.clone(), shard),
            // What is copied is charged to the job's budget; what it is copied from is gone in a moment, but may be larger than memory.
            None => {
                let mut config = ArenaConfig::new(&self.operator);
                if let Some((dir, budget)) = &self.spill {
                    config = ArenaConfig { budget: budget.clone(), spill: Some(dir.place()), ..config };
                }
                Origin::Pages(Box::new(restored.arena(shard, snapshot.arena, config)?))
            }
        };
        Ok(OldShard { from, groups: restored.key_groups(&self.operator, shard) })
    }

    /// Takes over the entries of an old shard's table that belong to this shard.
    pub(crate) fn import<K: Key + ?Sized, V: Record>(
        &mut self,
        state: &State<K, V>,
        into: &mut Table<K, V>,
        old: &mut OldShard,
        meta: TableMeta,
    ) -> Result<(), StateError> {
        let mine = KeyGroups {
            start: self.mine.start.max(old.groups.start),
            end: self.mine.end.min(old.groups.end),
        };
        let Some(last) = mine.last_hash() else { return Ok(()) };
        self.import_hashes(state, into, old, meta, (mine.first_hash(), last))
    }

    /// Takes over all entries of an old shard's table.
    pub(crate) fn copy<K: Key + ?Sized, V: Record>(
        &mut self,
        state: &State<K, V>,
        into: &mut Table<K, V>,
        old: &mut OldShard,
        meta: TableMeta,
    ) -> Result<(), StateError> {
        self.import_hashes(state, into, old, meta, (KeyHash(0), KeyHash(u64::MAX)))
    }

    fn import_hashes<K: Key + ?Sized, V: Record>(
        &mut self,
        state: &State<K, V>,
        into: &mut Table<K, V>,
        old: &mut OldShard,
        meta: TableMeta,
        (first, last): (KeyHash, KeyHash),
    ) -> Result<(), StateError> {
        old.each::<K, V, StateError>(&state.name, meta, (first, last), |hash, key, value| {
            self.arena.make_room()?;
            into.insert_raw(&mut self.arena, hash, key, value).map(drop)
        })
    }

    /// Whether somebody who reads a state from outside has the right types. `readable`: the states that can be read so.
    pub(crate) fn check_read<'a>(
        &self,
        read: &StateRead,
        readable: impl Iterator<Item = &'a str>,
    ) -> Result<(), Read> {
        let readable: Vec<&str> = readable.collect();
        let declared = self.declared.iter().find(|declared| *declared.state == *read.state);
        let Some(declared) = declared.filter(|_| readable.contains(&&*read.state)) else {
            return Err(Read::NoSuchState(readable.into_iter().map(str::to_owned).collect()));
        };
        if (declared.key.fingerprint, declared.value.fingerprint) == read.layouts {
            return Ok(());
        }
        Err(Read::OtherTypes { key: declared.key.clone(), value: declared.value.clone() })
    }

    /// What a checkpoint has to know, beside the operator's own words.
    pub(crate) fn snapshot(&self, data: Vec<u8>) -> OperatorSnapshot {
        OperatorSnapshot { operator: self.operator.clone(), states: self.declared.clone(), data, arena: 0 }
    }
}

/// One state in one table: one value per key.
pub(crate) struct KeyedState<K: Key + ?Sized, V: Record> {
    store: Store,
    name: &'static str,
    table: Table<K, V>,
}

impl<K: Key + ?Sized, V: Record> KeyedState<K, V> {
    /// Makes or restores the state of an operator.
    pub(crate) fn open(context: &OpenContext, op: OpId, name: &'static str) -> Result<Self, Box<Failure>> {
        let opened = Opening::new(context, op).and_then(|mut opening| {
            let table = opening.table(name)?;
            Ok(KeyedState { store: opening.finish()?, name, table })
        });
        opened.map_err(|cause| Box::new(Failure::of(op, cause)))
    }

    /// The table and the arena it lies in.
    #[inline(always)]
    pub(crate) fn parts(&mut self) -> (&mut Table<K, V>, &mut Arena) {
        (&mut self.table, self.store.arena())
    }

    pub(crate) fn arena(&mut self) -> &mut Arena {
        self.store.arena()
    }

    pub(crate) fn len(&self) -> u64 {
        self.table.len()
    }

    /// What it holds under a key, for somebody outside.
    pub(crate) fn read(&mut self, read: &StateRead) -> Read {
        if let Err(refused) = self.store.check_read(read, [self.name].into_iter()) {
            return refused;
        }
        let got = self.table.get_raw(self.store.arena(), read.hash, &read.key, <[u8]>::to_vec);
        got.map_or_else(|error| Read::Failed(error.to_string()), Read::Value)
    }

    /// What a checkpoint has to know.
    pub(crate) fn snapshot(&self) -> OperatorSnapshot {
        let mut contents = Contents::default();
        contents.table(self.name, self.table.meta());
        self.store.snapshot(contents)
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
