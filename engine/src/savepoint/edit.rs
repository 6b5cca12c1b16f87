//! Savepoints with other entries: to mend a state, or to begin with one.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::blocks::{Block, BlockWriter, data_file};
use super::conversion::{new_dir, write_head};
use super::error::SavepointError;
use super::head::{Head, StateKind};
use super::reader::{Entry, Savepoint, StateInfo};
use super::types::TableRole;
use crate::element::{KeyHash, ShardId};
use crate::graph::ShardRange;
use crate::schema::{Misfit, Value};

/// Other entries for some states of a savepoint. The savepoint itself stays as it is: [`Edit::write`] makes another one.
///
/// A state of one value per key can be changed, and so can any whose entries lie in one table. The tables that a map keeps beside its
/// entries have to agree with them, and are changed along with them by whoever changes them.
pub struct Edit<'a> {
    savepoint: &'a Savepoint,
    /// By operator and state: per shard its entries, as they lie in a block, by hash and key.
    states: BTreeMap<(String, String), Vec<Entries>>,
    /// What is known of the states that were asked for: gathering it goes through all blocks.
    known: BTreeMap<(String, String), Arc<StateInfo>>,
}

type Entries = BTreeMap<(KeyHash, Vec<u8>), Vec<u8>>;

impl Savepoint {
    /// Begins a savepoint with other entries.
    pub fn edit(&self) -> Edit<'_> {
        Edit { savepoint: self, states: BTreeMap::new(), known: BTreeMap::new() }
    }
}

impl Edit<'_> {
    /// Takes all entries out of a state, for others to be put in.
    ///
    /// # Errors
    /// There is no such state, or none that can be changed.
    pub fn clear(&mut self, operator: &str, state: &str) -> Result<&mut Self, SavepointError> {
        let info = self.known(operator, state)?;
        let shards = vec![Entries::new(); self.savepoint.head.shards.len()];
        self.states.insert((info.operator.clone(), info.state.clone()), shards);
        Ok(self)
    }

    /// Puts an entry in, in the place of an older one if there is one.
    ///
    /// # Errors
    /// There is no such state or none that can be changed; or the entry does not fit it.
    pub fn put(&mut self, operator: &str, state: &str, entry: &Entry) -> Result<&mut Self, SavepointError> {
        let info = self.known(operator, state)?;
        let misfit = |cause| SavepointError::Misfit {
            place: format!("an entry of state `{state}` of operator `{operator}`"),
            cause,
        };
        let seed = self.savepoint.head.seed;
        let stored = info.key.encode(&entry.key, entry.part.as_ref(), seed).map_err(misfit)?;
        let value = entry.value.encode(&info.value).map_err(misfit)?;
        let shard = self.home_of(operator, stored.0);
        let shards = self.entries_of(&info)?;
        shards[shard.index()].insert(stored, value);
        Ok(self)
    }

    /// Takes a key out, with all that is beside it.
    ///
    /// # Errors
    /// There is no such state or none that can be changed; or the key does not fit it.
    pub fn remove(&mut self, operator: &str, state: &str, key: &Value) -> Result<&mut Self, SavepointError> {
        let info = self.known(operator, state)?;
        let seed = self.savepoint.head.seed;
        let schema = info.key.clone();
        for entries in self.entries_of(&info)? {
            entries.retain(|(hash, stored), _| {
                schema.decode(*hash, stored, seed).map_or(true, |(other, _)| other != *key)
            });
        }
        Ok(self)
    }

    /// Puts entries in that lines of JSON stand for, as [`Savepoint::export_json`] writes them. Gives their number.
    ///
    /// # Errors
    /// As [`Edit::put`], with the line; or the lines cannot be read.
    pub fn import_json(
        &mut self,
        operator: &str,
        state: &str,
        lines: &mut dyn BufRead,
    ) -> Result<u64, SavepointError> {
        let info = self.known(operator, state)?;
        let mut count = 0;
        for (line, text) in (1..).zip(lines.lines()) {
            let wrong = |problem: String| SavepointError::Json { line, problem };
            let text = text.map_err(|error| wrong(error.to_string()))?;
            if text.trim().is_empty() {
                continue;
            }
            let json: Json = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            let entry = entry_of(&info, &json).map_err(|misfit| wrong(misfit.to_string()))?;
            self.put(operator, state, &entry).map_err(|error| wrong(error.to_string()))?;
            count += 1;
        }
        Ok(count)
    }

    /// Writes the other savepoint into a new directory in `into`, and gives its path.
    ///
    /// # Errors
    /// The savepoint is damaged, or the other one cannot be written.
    pub fn write(&self, into: impl AsRef<Path>) -> Result<PathBuf, SavepointError> {
        let disk = self.savepoint.disk.as_ref();
        let dir = new_dir(disk, into.as_ref(), self.savepoint.head.epoch)?;
        let mut head: Head = self.savepoint.head.clone();
        for (number, saved) in head.shards.iter_mut().enumerate() {
            let shard = ShardId(number as u16);
            let old = self.savepoint.data(shard)?;
            let mut out = BlockWriter::create(disk, data_file(&dir, shard))?;
            for operator in &mut saved.operators {
                for table in &mut operator.tables {
                    let mut blocks: Vec<Block> = Vec::new();
                    let name = (operator.operator.clone(), table.state.clone());
                    match self.states.get(&name) {
                        Some(shards) => {
                            for ((hash, key), value) in &shards[number] {
                                out.add((*hash, key), value, &mut blocks)?;
                            }
                        }
                        None => {
                            for block in &table.blocks {
                                old.each(block, |hash, key, value| {
                                    Ok(out.add((hash, key), value, &mut blocks)?)
                                })?;
                            }
                        }
                    }
                    out.close(&mut blocks)?;
                    table.blocks = blocks;
                }
            }
            saved.data_bytes = out.finish()?;
        }
        write_head(disk, &dir, head)?;
        Ok(dir)
    }

    fn known(&mut self, operator: &str, state: &str) -> Result<Arc<StateInfo>, SavepointError> {
        let name = (operator.to_owned(), state.to_owned());
        if let Some(info) = self.known.get(&name) {
            return Ok(info.clone());
        }
        let info = Arc::new(self.state(operator, state)?);
        self.known.insert(name, info.clone());
        Ok(info)
    }

    /// What is known of a state that can be changed.
    ///
    /// # Errors
    /// There is no such state, or none that can be changed.
    pub fn state(&self, operator: &str, state: &str) -> Result<StateInfo, SavepointError> {
        let info = self.savepoint.state(operator, state)?;
        let refused =
            |why| SavepointError::NotEditable { operator: operator.to_owned(), state: state.to_owned(), why };
        if info.kind != StateKind::Table {
            return Err(refused("only states of entries by key can be"));
        }
        for (_, saved) in self.savepoint.saved(operator) {
            let tables = saved.tables.iter().filter(|table| table.state == state);
            match tables.clone().count() {
                1 if tables.clone().all(|table| table.role == TableRole::Entries) => {}
                0 => return Err(refused("it has no table on a shard that there was")),
                _ => return Err(refused("its entries lie in several tables, one for each window")),
            }
        }
        Ok(info)
    }

    /// The entries of a state, which are read where they have not been yet.
    fn entries_of(&mut self, info: &StateInfo) -> Result<&mut Vec<Entries>, SavepointError> {
        let name = (info.operator.clone(), info.state.clone());
        if !self.states.contains_key(&name) {
            let mut shards = vec![Entries::new(); self.savepoint.head.shards.len()];
            for (shard, saved) in self.savepoint.saved(&info.operator) {
                let file = self.savepoint.data(shard)?;
                let tables = saved.tables.iter().filter(|table| table.state == info.state);
                for block in tables.flat_map(|table| &table.blocks) {
                    file.each(block, |hash, key, value| {
                        shards[shard.index()].insert((hash, key.to_vec()), value.to_vec());
                        Ok(())
                    })?;
                }
            }
            self.states.insert(name.clone(), shards);
        }
        Ok(self.states.get_mut(&name).expect("it was just put in"))
    }

    /// The shard that a key of an operator was on.
    fn home_of(&self, operator: &str, hash: KeyHash) -> ShardId {
        let head = &self.savepoint.head;
        let all = ShardRange::all(head.shards.len() as u16);
        let on = head.chains.iter().find(|(name, _)| name == operator).map_or(all, |(_, on)| *on);
        on.nth(hash.shard(on.count).index())
    }
}

fn entry_of(info: &StateInfo, json: &Json) -> Result<Entry, Misfit> {
    let member = |name: &str| json.get(name).ok_or_else(|| Misfit::new("it is missing").within(name));
    let within = |name: &'static str| move |misfit: Misfit| misfit.within(name);
    let part = match &info.key.part {
        Some(schema) => Some(Value::from_json(schema, member("part")?).map_err(within("part"))?),
        None => None,
    };
    Ok(Entry {
        key: Value::from_json(&info.key.key, member("key")?).map_err(within("key"))?,
        part,
        value: Value::from_json(&info.value, member("value")?).map_err(within("value"))?,
    })
}
