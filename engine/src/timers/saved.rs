//! Timers in checkpoints: what is saved beside the pages, how a queue comes back from it, and how it takes over another shard's.

use super::index::Index;
use super::leaf::{Leaf, When};
use super::named::{Named, Times, TooManyNames};
use super::queue::TimerQueue;
use crate::arena::{Arena, StateError, StateName, TableId};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::{KeyGroups, Timestamp};
use crate::key::{Key, Sub};
use crate::state::{OldTables, Table, TableMeta};

const LEAF_BYTES: usize = 28;

/// What a checkpoint says of a queue beside its pages. The layout is in `docs/formats/timers.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedTimers {
    plain: Vec<SavedLeaf>,
    named: Vec<SavedLeaf>,
    times: TableMeta,
    names: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SavedLeaf {
    start: i64,
    last: i64,
    table: TableMeta,
}

/// Timers of another shard could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Their state could not be read, or there was no room for it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The shards together have too many names of timers.
    #[error(transparent)]
    Names(#[from] TooManyNames),
    /// A timer has a name that the checkpoint does not know: damage, or a checkpoint of another program.
    #[error(
        "operator `{operator}`, state `{state}`: a timer has the name number {number} of {names}; go back to an older checkpoint"
    )]
    UnknownName {
        /// The operator whose timer it is.
        operator: Box<str>,
        /// The state it belongs to.
        state: Box<str>,
        /// The number.
        number: u16,
        /// How many names there are.
        names: usize,
    },
}

impl SavedTimers {
    /// Reads what [`TimerQueue::save`] wrote.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(SavedTimers {
            plain: read_leaves(input)?,
            named: read_leaves(input)?,
            times: read_table(input)?,
            names: input.list("names of timers", 8, |input| Ok(input.str("name of a timer")?.into()))?,
        })
    }
}

impl SavedTimers {
    /// The tables of timers without names.
    pub(crate) fn tables(&self) -> impl Iterator<Item = TableMeta> {
        self.plain.iter().map(|leaf| leaf.table)
    }

    /// The table that says when timers with names are due.
    pub(crate) fn named(&self) -> TableMeta {
        self.times
    }

    /// The names of timers, by number.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

impl<K: Key + ?Sized> TimerQueue<K> {
    /// Writes what has to be saved beside the pages, at the switch to a new epoch: 28 bytes for every one or two hundred timers.
    pub fn save(&self, out: &mut Writer) {
        put_leaves(out, &self.plain);
        put_leaves(out, &self.named.index);
        put_table(out, &self.named.times.meta());
        out.put_list(&self.named.names, |out, name| {
            out.put_str(name);
        });
    }

    /// The queue of a restored arena. No page is read.
    pub fn restore(arena: &mut Arena, name: &StateName, saved: &SavedTimers) -> Result<Self, StateError> {
        let plain = restore_index(arena, name, &saved.plain)?;
        let index = restore_index(arena, name, &saved.named)?;
        let times = Table::restore(arena, saved.times, name)?;
        Ok(TimerQueue { plain, named: Named::new(saved.names.clone(), index, times) })
    }

    /// Takes over the timers of these key groups from the queue of an old shard, of which `old` has the tables and `saved` is the rest. Blocks
    /// while it reads.
    ///
    /// # Errors
    /// As for every operation, and where the names of timers do not fit.
    pub fn import(
        &mut self,
        arena: &mut Arena,
        old: &mut impl OldTables,
        saved: &SavedTimers,
        groups: KeyGroups,
    ) -> Result<(), ImportError> {
        let Some(last) = groups.last_hash() else { return Ok(()) };
        let hashes = (groups.first_hash(), last);
        let name = self.plain.name().clone();
        for table in saved.tables() {
            old.each::<Sub<K, i64>, (), ImportError>(&name, table, hashes, |_, bytes, _| {
                let (at, hash, key) = Sub::<K, i64>::split(bytes);
                arena.make_room()?;
                self.register(arena, Timestamp(at), hash, key)?;
                Ok(())
            })?;
        }
        let names =
            saved.names.iter().map(|name| self.name(name)).collect::<Result<Vec<_>, TooManyNames>>()?;
        old.each::<Sub<K, u16>, Times, ImportError>(&name, saved.times, hashes, |_, bytes, times| {
            let (number, hash, key) = Sub::<K, u16>::split(bytes);
            let Some(&timer) = names.get(usize::from(number)) else {
                return Err(ImportError::UnknownName {
                    operator: name.operator.as_ref().into(),
                    state: name.state.as_ref().into(),
                    number,
                    names: names.len(),
                });
            };
            let (at, _) = times.split_first_chunk().expect("times are two numbers of eight bytes");
            self.reset(arena, timer, Timestamp(i64::from_le_bytes(*at)), hash, key)?;
            Ok(())
        })
    }
}

fn restore_index<K: Key + ?Sized, W: When>(
    arena: &mut Arena,
    name: &StateName,
    leaves: &[SavedLeaf],
) -> Result<Index<K, W>, StateError> {
    let mut index = Index::new(name);
    for leaf in leaves {
        index.put_leaf(leaf.start, Leaf::new(Table::restore(arena, leaf.table, name)?, leaf.last));
    }
    Ok(index)
}

fn put_leaves<K: Key + ?Sized, W: When>(out: &mut Writer, index: &Index<K, W>) {
    out.put_list(index.leaves(), |out, (start, leaf)| {
        out.put_i64(start).put_i64(leaf.last);
        put_table(out, &leaf.table.meta());
    });
}

fn read_leaves(input: &mut Reader<'_>) -> Result<Vec<SavedLeaf>, CodecError> {
    let mut before = None;
    input.list("leaves", LEAF_BYTES, |input| {
        let leaf = SavedLeaf {
            start: input.i64("start of a leaf")?,
            last: input.i64("end of a leaf")?,
            table: read_table(input)?,
        };
        if before.is_some_and(|before| leaf.start <= before) || leaf.last < leaf.start {
            let range =
                format_args!("{} to {} is no range of time after the one before", leaf.start, leaf.last);
            return Err(input.error("leaf", range));
        }
        before = Some(leaf.last);
        Ok(leaf)
    })
}

fn put_table(out: &mut Writer, table: &TableMeta) {
    out.put_u32(table.id.0).put_u64(table.len);
}

fn read_table(input: &mut Reader<'_>) -> Result<TableMeta, CodecError> {
    Ok(TableMeta { id: TableId(input.u32("table")?), len: input.u64("keys of the table")? })
}
