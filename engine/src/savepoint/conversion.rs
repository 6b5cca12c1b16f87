//! A durable checkpoint becomes a savepoint: off the shards, key by key, with the types that the operators declared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocks::{Block, BlockWriter, data_file};
use super::error::SavepointError;
use super::flight::save_frames;
use super::head::{
    FILE, Head, OperatorHead, SavedChannel, SavedInputs, SavedOperator, SavedTable, ShardHead,
};
use super::head::{StateHead, StateKind};
use super::types::{Form, OperatorTypes, StateType, StateTypes, TableOfState, TableRole, TableType};
use crate::arena::{ArenaConfig, StateName};
use crate::checkpoint::{ArenaNo, RestoredJob};
use crate::disk::{Disk, DiskError};
use crate::element::{Epoch, KeyHash, ShardId};
use crate::key::Key;
use crate::record::Record;
use crate::runtime::job_meta::JobMeta;
use crate::runtime::restored::old_arena;
use crate::runtime::snapshot::{ChannelSnapshot, OperatorSnapshot, ShardSnapshot};
use crate::schema::Schema;

/// How many pages of an operator are held in memory at once: 256 MiB. A larger state is read in as many passes as it takes, each over a
/// part of the keys.
const PAGES_PER_PASS: usize = 64 * 1024;

/// What a savepoint is made of. It needs nothing of the job any more but the checkpoint's files.
pub(crate) struct Conversion {
    pub(crate) job: String,
    pub(crate) checkpoint: RestoredJob,
    pub(crate) disk: Arc<dyn Disk>,
    types: BTreeMap<String, OperatorTypes>,
}

impl Conversion {
    /// That of a checkpoint of a job whose operators have declared `types`.
    pub(crate) fn new(job: &str, checkpoint: RestoredJob, disk: Arc<dyn Disk>, types: &StateTypes) -> Self {
        Conversion { job: job.to_owned(), checkpoint, disk, types: types.all() }
    }

    /// Writes the savepoint into a new directory in `into`, and gives its path. It is complete, or it is none.
    pub(crate) fn write(&self, into: &Path) -> Result<PathBuf, SavepointError> {
        let dir = self.new_dir(into)?;
        let shards = 0..self.checkpoint.shards.len() as u16;
        let shards = shards.map(|shard| self.shard(&dir, ShardId(shard)));
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        let meta = JobMeta::decode(&self.checkpoint.meta);
        let meta = meta.map_err(|error| SavepointError::unreadable("the job", error))?;
        let head = Head {
            id: 0,
            job: self.job.clone(),
            seed: self.checkpoint.hash_seed,
            tick: meta.tick,
            epoch: self.checkpoint.epoch,
            chains: meta.chains,
            operators: self.types.iter().map(|(name, types)| operator_head(name, types)).collect(),
            shards,
        };
        write_head(self.disk.as_ref(), &dir, head)?;
        Ok(dir)
    }

    /// A new directory for the savepoint.
    fn new_dir(&self, into: &Path) -> Result<PathBuf, SavepointError> {
        let disk = self.disk.as_ref();
        new_dir(disk, into, self.checkpoint.epoch)
    }

    /// What a shard left. The entries of its tables go into its file.
    fn shard(&self, dir: &Path, shard: ShardId) -> Result<ShardHead, SavepointError> {
        let snapshot = ShardSnapshot::decode(&self.checkpoint.shards[shard.index()].meta);
        let snapshot =
            snapshot.map_err(|error| SavepointError::unreadable(&format!("shard {shard}"), error))?;
        let mut out = BlockWriter::create(self.disk.as_ref(), data_file(dir, shard))?;
        let operators = snapshot.operators.iter().map(|operator| self.operator(shard, operator, &mut out));
        let operators = operators.collect::<Result<_, _>>()?;
        let channels = snapshot.in_rings.iter().chain(&snapshot.unsent);
        let channels = channels.map(|channel| self.channel(channel)).collect::<Result<_, _>>()?;
        let inputs = snapshot.inputs.into_iter();
        let inputs = inputs.map(|inputs| SavedInputs {
            operator: inputs.operator,
            merge: inputs.merge,
            due: inputs.due,
        });
        Ok(ShardHead {
            partitions: snapshot.partitions,
            inputs: inputs.collect(),
            operators,
            channels,
            sinks: snapshot.sinks,
            accumulators: snapshot.accumulators,
            data_bytes: out.finish()?,
        })
    }

    fn types_of(&self, operator: &str) -> Result<&OperatorTypes, SavepointError> {
        let undeclared = || SavepointError::Undeclared { operator: operator.to_owned() };
        self.types.get(operator).ok_or_else(undeclared)
    }

    fn operator(
        &self,
        shard: ShardId,
        snapshot: &OperatorSnapshot,
        out: &mut BlockWriter,
    ) -> Result<SavedOperator, SavepointError> {
        let name = &snapshot.operator;
        let types = self.types_of(name)?;
        let (words, tables) = match &types.form {
            Form::Unknown => return Err(SavepointError::Undeclared { operator: name.clone() }),
            Form::Words(words) => {
                let words = words(&snapshot.data).map_err(|cause| SavepointError::unreadable(name, cause))?;
                (words, Vec::new())
            }
            Form::Tables(tables) => {
                let tables =
                    tables(&snapshot.data).map_err(|error| SavepointError::unreadable(name, error))?;
                (snapshot.data.clone(), self.tables(shard, snapshot, types, tables, out)?)
            }
        };
        Ok(SavedOperator { operator: name.clone(), words, tables })
    }

    fn tables(
        &self,
        shard: ShardId,
        snapshot: &OperatorSnapshot,
        types: &OperatorTypes,
        tables: Vec<TableOfState>,
        out: &mut BlockWriter,
    ) -> Result<Vec<SavedTable>, SavepointError> {
        let operator = &snapshot.operator;
        let mut saved = Vec::with_capacity(tables.len());
        for TableOfState { state, role, meta } in &tables {
            saved.push(SavedTable { id: meta.id, state: state.clone(), role: *role, blocks: Vec::new() });
        }
        let pages = self.checkpoint.shards[shard.index()].pages.iter_arena(ArenaNo(snapshot.arena)).count();
        for hashes in passes(pages) {
            let config = ArenaConfig::new(operator);
            let mut arena = old_arena(&self.checkpoint, self.disk.clone(), shard, snapshot.arena, config)?;
            for (table, saved) in tables.iter().zip(&mut saved) {
                let undeclared = || SavepointError::Undeclared { operator: operator.clone() };
                let of = table_type(types, table).ok_or_else(undeclared)?;
                let name = StateName::new(operator, &table.state);
                let blocks: &mut Vec<Block> = &mut saved.blocks;
                let mut each = |hash: KeyHash, key: &[u8], value: &[u8]| -> Result<(), SavepointError> {
                    Ok(out.add((hash, key), value, blocks)?)
                };
                of.walk(&mut arena, (&name, table.meta), hashes, &mut each)?;
                out.close(&mut saved.blocks)?;
            }
        }
        Ok(saved)
    }

    fn channel(&self, channel: &ChannelSnapshot) -> Result<SavedChannel, SavepointError> {
        let ChannelSnapshot { operator, port, from, to, frames } = channel;
        let undeclared = || SavepointError::Undeclared { operator: operator.clone() };
        let (of, shape) = self.types_of(operator)?.inputs.get(usize::from(port.0)).ok_or_else(undeclared)?;
        let records = save_frames(frames, shape, *of);
        let records = records.map_err(|cause| SavepointError::unreadable(operator, cause))?;
        Ok(SavedChannel { operator: operator.clone(), port: *port, from: *from, to: *to, records })
    }
}

/// A directory in `into` that holds nothing yet.
pub(super) fn new_dir(disk: &dyn Disk, into: &Path, epoch: Epoch) -> Result<PathBuf, SavepointError> {
    let is_taken = |dir: &Path| disk.list(dir).is_ok_and(|names| !names.is_empty());
    let name = |nth: u32| match nth {
        1 => format!("savepoint-{epoch}"),
        _ => format!("savepoint-{epoch}-{nth}"),
    };
    let mut dirs = (1..).map(|nth| into.join(name(nth)));
    let dir = dirs.find(|dir| !is_taken(dir)).expect("there are more numbers than directories");
    disk.create_dir_all(&dir).map_err(|error| DiskError::new("cannot create the directory", &dir, &error))?;
    Ok(dir)
}

/// Writes the file that makes a savepoint of a directory. All others are durable by now.
pub(super) fn write_head(disk: &dyn Disk, dir: &Path, mut head: Head) -> Result<(), SavepointError> {
    let (new, path) = (dir.join("SAVEPOINT.new"), dir.join(FILE));
    let at_new = |error| DiskError::new("cannot write", &new, &error);
    let file = disk.create(&new).map_err(at_new)?;
    file.write_all_at(&head.encode(), 0).and_then(|()| file.sync()).map_err(at_new)?;
    let named = disk.rename(&new, &path).and_then(|()| disk.sync_dir(dir));
    let named = named.and_then(|()| dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent)));
    Ok(named.map_err(|error| DiskError::new("cannot name", &path, &error))?)
}

/// The ranges of hashes in which the tables of so many pages are read.
fn passes(pages: usize) -> impl Iterator<Item = (KeyHash, KeyHash)> {
    let count = pages.div_ceil(PAGES_PER_PASS).max(1) as u128;
    let start = move |nth: u128| ((nth << 64) / count) as u64;
    (0..count).map(move |nth| {
        let last = if nth + 1 == count { u64::MAX } else { start(nth + 1) - 1 };
        (KeyHash(start(nth)), KeyHash(last))
    })
}

fn table_type<'a>(types: &'a OperatorTypes, table: &TableOfState) -> Option<&'a dyn TableType> {
    match (types.states.get(&table.state)?, table.role) {
        (StateType::Table(table), TableRole::Entries) => Some(table.as_ref()),
        (StateType::Timers { plain, .. }, TableRole::Timers) => Some(plain.as_ref()),
        (StateType::Timers { named, .. }, TableRole::NamedTimers) => Some(named.as_ref()),
        _ => None,
    }
}

/// What an operator keeps, as data.
pub(super) fn operator_head(name: &str, types: &OperatorTypes) -> OperatorHead {
    let states = types.states.iter().map(|(name, state)| {
        let name = name.clone();
        match state {
            StateType::Table(table) => {
                StateHead { name, kind: StateKind::Table, key: table.key(), value: table.value() }
            }
            StateType::Timers { plain, .. } => {
                StateHead { name, kind: StateKind::Timers, key: plain.key(), value: plain.value() }
            }
            StateType::Records(record) => {
                let key = <() as Key>::schema();
                StateHead { name, kind: StateKind::Records, key, value: (record.schema)() }
            }
        }
    });
    OperatorHead {
        name: name.to_owned(),
        states: states.collect(),
        inputs: types.inputs.iter().map(|(record, _)| (record.schema)()).collect(),
    }
}

/// The schema of the values of a table that is for timers with names.
pub(super) fn named_timers() -> Schema {
    <[i64; 2]>::schema()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_cover_all_hashes_once() {
        for pages in [0, 1, PAGES_PER_PASS, PAGES_PER_PASS + 1, 5 * PAGES_PER_PASS] {
            let all: Vec<_> = passes(pages).collect();
            assert_eq!(all.len(), pages.div_ceil(PAGES_PER_PASS).max(1));
            assert_eq!((all[0].0, all[all.len() - 1].1), (KeyHash(0), KeyHash(u64::MAX)));
            assert!(all.windows(2).all(|pair| pair[0].1.0 + 1 == pair[1].0.0));
        }
    }
}
