//! Reading savepoints without the program that they are of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocks::{BlockReader, data_file};
use super::conversion::named_timers;
use super::error::SavepointError;
use super::head::{FILE, Head, HeadError, SavedOperator, SavedTable, StateHead, StateKind};
use super::types::TableRole;
use crate::arena::TableId;
use crate::checkpoint::codec::Reader;
use crate::disk::{Disk, DiskError, RealDisk};
use crate::element::{Epoch, KeyHash, ShardId};
use crate::operator::process::saved_lists;
use crate::operator::store::timer_names;
use crate::schema::{KeySchema, Schema, Type, Value, read_value};
use crate::time::Tick;

/// A savepoint (Flink's State Processor API,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/libs/state_processor_api/>): what each operator keeps, key by key.
///
/// ```no_run
/// use millstream_engine::savepoint::Savepoint;
///
/// let savepoint = Savepoint::open("savepoints/savepoint-12")?;
/// for state in savepoint.states() {
///     println!("{}.{}: {} entries of {}", state.operator, state.state, state.entries, state.value);
/// }
/// savepoint.each("count", "count", |entry| {
///     println!("{} = {}", entry.key, entry.value);
///     Ok(())
/// })?;
/// # Ok::<(), millstream_engine::savepoint::SavepointError>(())
/// ```
pub struct Savepoint {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(crate) head: Head,
}

/// A state in a savepoint.
#[derive(Clone, Debug)]
pub struct StateInfo {
    /// Its operator.
    pub operator: String,
    /// Its name.
    pub state: String,
    /// How it is kept.
    pub kind: StateKind,
    /// What its keys look like.
    pub key: KeySchema,
    /// What its values look like.
    pub value: Schema,
    /// How many entries it has on all shards together.
    pub entries: u64,
}

/// Where the reader of a partition goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The source.
    pub operator: String,
    /// The partition.
    pub partition: String,
    /// The source's own words.
    pub offset: Vec<u8>,
    /// Whether the partition had ended.
    pub ended: bool,
}

/// An entry of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key of the stream. Of records of an operator, whatever the key: `()`.
    pub key: Value,
    /// What is beside it in the keys of the state: the key of a map's entry, the number of a chunk of a list, a window. Of a timer, when it
    /// is due.
    pub part: Option<Value>,
    /// What is kept. Of a timer, its name, if it has one.
    pub value: Value,
}

impl Savepoint {
    /// Opens a savepoint. What it holds is read when it is asked for, and checked then.
    ///
    /// # Errors
    /// The directory holds none, one of another format, or a damaged one.
    pub fn open(dir: impl AsRef<Path>) -> Result<Savepoint, SavepointError> {
        Savepoint::open_on(Arc::new(RealDisk), dir.as_ref())
    }

    pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Savepoint, SavepointError> {
        let path = dir.join(FILE);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SavepointError::NotASavepoint { dir: dir.to_owned() });
            }
            Err(error) => return Err(DiskError::new("cannot open", &path, &error).into()),
        };
        let read = file.len().and_then(|len| {
            let mut bytes = vec![0; len as usize];
            file.read_exact_at(&mut bytes, 0).map(|()| bytes)
        });
        let bytes = read.map_err(|error| DiskError::new("cannot read", &path, &error))?;
        let head = Head::decode(&bytes).map_err(|error| match error {
            HeadError::Version(found) => SavepointError::OtherVersion { dir: dir.to_owned(), found },
            HeadError::Damaged(error) => SavepointError::in_file(&path, 0, error),
        })?;
        Ok(Savepoint { dir: dir.to_owned(), disk, head })
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The job that it is of.
    pub fn job(&self) -> &str {
        &self.head.job
    }

    /// The checkpoint that it was made of.
    pub fn epoch(&self) -> Epoch {
        self.head.epoch
    }

    /// What a tick of event time means.
    pub fn tick(&self) -> Tick {
        self.head.tick
    }

    /// How many shards the job had.
    pub fn shards(&self) -> u16 {
        self.head.shards.len() as u16
    }

    /// The operators that keep something or are fed by an exchange, in order of their names.
    pub fn operators(&self) -> impl Iterator<Item = &str> {
        self.head.operators.iter().map(|operator| operator.name.as_str())
    }

    /// All states, by operator and name.
    pub fn states(&self) -> Vec<StateInfo> {
        let states = self.head.operators.iter().flat_map(|operator| {
            operator.states.iter().map(|state| StateInfo {
                operator: operator.name.clone(),
                state: state.name.clone(),
                kind: state.kind,
                key: state.key.clone(),
                value: state.value.clone(),
                entries: self.count(&operator.name, state),
            })
        });
        states.collect()
    }

    fn count(&self, operator: &str, state: &StateHead) -> u64 {
        if state.kind == StateKind::Records {
            let lists =
                self.saved(operator).filter_map(|(_, saved)| saved_lists(&saved.words).ok()).flatten();
            return lists.filter(|(name, _)| *name == state.name).map(|(_, list)| list.len() as u64).sum();
        }
        let blocks = self.tables(operator, &state.name).flat_map(|(_, table)| &table.blocks);
        blocks.map(|block| u64::from(block.entries)).sum()
    }

    /// Where the sources stood.
    pub fn sources(&self) -> Vec<SourcePosition> {
        let partitions = self.head.shards.iter().flat_map(|shard| &shard.partitions);
        let positions = partitions.map(|partition| SourcePosition {
            operator: partition.operator.clone(),
            partition: partition.partition.clone(),
            offset: partition.offset.clone(),
            ended: partition.time.ended,
        });
        positions.collect()
    }

    /// What is known of a state.
    ///
    /// # Errors
    /// There is none.
    pub fn state(&self, operator: &str, state: &str) -> Result<StateInfo, SavepointError> {
        let found = self.states().into_iter().find(|info| info.operator == operator && info.state == state);
        found.ok_or_else(|| {
            let known: Vec<String> =
                self.states().iter().map(|info| format!("`{}` `{}`", info.operator, info.state)).collect();
            SavepointError::NoSuchState {
                operator: operator.to_owned(),
                state: state.to_owned(),
                known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            }
        })
    }

    /// Shows all entries of a state, shard by shard, in the order of their hashes as far as they lie in order.
    ///
    /// # Errors
    /// There is no such state, it is damaged, or `each` says so.
    pub fn each(
        &self,
        operator: &str,
        state: &str,
        mut each: impl FnMut(Entry) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let info = self.state(operator, state)?;
        if info.kind == StateKind::Records {
            return self.each_record(operator, &info, each);
        }
        self.each_within(&info, (KeyHash(0), KeyHash(u64::MAX)), &mut each)
    }

    /// The entries of a key of the stream: one, or one for each part that there is beside it.
    ///
    /// # Errors
    /// There is no such state, the key does not fit, or the state is damaged.
    pub fn get(&self, operator: &str, state: &str, key: &Value) -> Result<Vec<Entry>, SavepointError> {
        let info = self.state(operator, state)?;
        let plain = KeySchema { key: info.key.key.clone(), part: None };
        let (hash, _) = plain.encode(key, None, self.head.seed).map_err(|cause| SavepointError::Misfit {
            place: format!("a key of state `{state}` of operator `{operator}`"),
            cause,
        })?;
        // Whatever is beside a key, it lies in the key's group.
        let below = u64::MAX >> crate::element::KEY_GROUPS.trailing_zeros();
        let hashes = (KeyHash(hash.0 & !below), KeyHash(hash.0 | below));
        let mut found = Vec::new();
        self.each_within(&info, hashes, &mut |entry: Entry| {
            if entry.key == *key {
                found.push(entry);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn each_record(
        &self,
        operator: &str,
        info: &StateInfo,
        mut each: impl FnMut(Entry) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let unreadable = |error: String| SavepointError::unreadable(operator, error);
        for (_, saved) in self.saved(operator) {
            let lists = saved_lists(&saved.words).map_err(|error| unreadable(error.to_string()))?;
            for bytes in lists.iter().filter(|(name, _)| *name == info.state).flat_map(|(_, list)| list) {
                let value =
                    Value::decode(&info.value, bytes).map_err(|error| unreadable(error.to_string()))?;
                each(Entry { key: Value::Unit, part: None, value })?;
            }
        }
        Ok(())
    }

    fn each_within(
        &self,
        info: &StateInfo,
        hashes: (KeyHash, KeyHash),
        each: &mut dyn FnMut(Entry) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let StateInfo { operator, state, .. } = info;
        for (shard, saved) in self.saved(operator) {
            let names = match info.kind {
                StateKind::Timers => timer_names(&saved.words, state)
                    .map_err(|error| SavepointError::unreadable(operator, error))?,
                _ => Vec::new(),
            };
            for table in saved.tables.iter().filter(|table| table.state == *state) {
                let key = key_of(&info.key, table.role);
                let mut one = |hash, stored: &[u8], value| {
                    let decoded = key.decode(hash, stored, self.head.seed);
                    let (key, part) = decoded.map_err(|error| SavepointError::unreadable(operator, error))?;
                    each(entry(table.role, &names, key, part, value))
                };
                self.each_of_table(operator, shard, table.id, hashes, &mut one)?;
            }
        }
        Ok(())
    }

    /// What an operator has on each of the shards.
    pub(crate) fn saved(&self, operator: &str) -> impl Iterator<Item = (ShardId, &SavedOperator)> {
        self.head.shards.iter().enumerate().flat_map(move |(shard, saved)| {
            let of_shard = saved.operators.iter().filter(move |saved| saved.operator == operator);
            of_shard.map(move |saved| (ShardId(shard as u16), saved))
        })
    }

    fn tables(&self, operator: &str, state: &str) -> impl Iterator<Item = (ShardId, &SavedTable)> {
        self.saved(operator).flat_map(move |(shard, saved)| {
            saved.tables.iter().filter(move |table| table.state == state).map(move |table| (shard, table))
        })
    }

    /// Shows the entries of one table with hashes of a range.
    pub(crate) fn each_of_table(
        &self,
        operator: &str,
        shard: ShardId,
        id: TableId,
        (first, last): (KeyHash, KeyHash),
        each: &mut dyn FnMut(KeyHash, &[u8], Value) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let saved = self.saved(operator).find(|(of, _)| *of == shard).map(|(_, saved)| saved);
        let Some(table) = saved.and_then(|saved| saved.tables.iter().find(|table| table.id == id)) else {
            return Ok(());
        };
        let state = self.head.operator(operator).and_then(|operator| operator.state(&table.state));
        let undeclared = || SavepointError::Undeclared { operator: operator.to_owned() };
        let schema = value_of(state.ok_or_else(undeclared)?, table.role);
        let mut blocks = table.blocks.iter().filter(|block| block.first <= last && first <= block.last);
        let Some(block) = blocks.next() else { return Ok(()) };
        let file = self.data(shard)?;
        for block in std::iter::once(block).chain(blocks) {
            file.each(block, |hash, key, value| {
                if hash < first || last < hash {
                    return Ok(());
                }
                let mut bytes = Reader::new(value);
                let read = read_value(&schema, &mut bytes).and_then(|value| bytes.finish().map(|()| value));
                let path = data_file(&self.dir, shard);
                let value = read.map_err(|error| SavepointError::in_file(&path, block.offset, error))?;
                each(hash, key, value)
            })?;
        }
        Ok(())
    }

    pub(super) fn data(&self, shard: ShardId) -> Result<BlockReader, SavepointError> {
        let bytes = self.head.shards[shard.index()].data_bytes;
        BlockReader::open(self.disk.as_ref(), data_file(&self.dir, shard), bytes)
    }
}

/// The keys of a table of a state.
fn key_of(key: &KeySchema, role: TableRole) -> KeySchema {
    match role {
        TableRole::Entries | TableRole::Timers => key.clone(),
        TableRole::NamedTimers => {
            let number = Schema { root: Type::Int { bits: 16, signed: false }, definitions: Vec::new() };
            KeySchema { key: key.key.clone(), part: Some(number) }
        }
    }
}

/// The values of a table of a state.
fn value_of(state: &StateHead, role: TableRole) -> Schema {
    match role {
        TableRole::Entries | TableRole::Timers => state.value.clone(),
        TableRole::NamedTimers => named_timers(),
    }
}

/// An entry as it is shown: of timers, when they are due and what they are called.
fn entry(role: TableRole, names: &[String], key: Value, part: Option<Value>, value: Value) -> Entry {
    match role {
        TableRole::Entries => Entry { key, part, value },
        TableRole::Timers => Entry { key, part, value: Value::Option(None) },
        TableRole::NamedTimers => {
            let number =
                part.as_ref().and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
            let name = number.and_then(|number| names.get(number)).cloned();
            let due = value.items().and_then(|times| times.first()).cloned();
            Entry { key, part: due, value: name.into() }
        }
    }
}
