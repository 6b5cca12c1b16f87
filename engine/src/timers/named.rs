//! Named timers: at most one per key and name, and resetting replaces.
//!
//! What counts is a table from (key, name) to the timestamp. The timer also stands in an ordered index, at this time or earlier: a reset
//! to a later time, which is the rule (`timer("idle").reset(now + 10 min)` at every record), changes one value in place. When the index
//! says that the timer is due and it is not, it is entered again, at its time.

use super::index::{Index, Ready};
use super::queue::Due;
use crate::arena::{Arena, StateError, StateName};
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::state::Table;

/// A timer's name, as [`TimerQueue::name`](super::TimerQueue::name) has numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerName(pub(super) u16);

/// A queue has as many names of timers as it can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "timer `{name}`: the operator already has {count} names of timers; a name is for a purpose, what differs between timers belongs \
     into the key"
)]
pub struct TooManyNames {
    /// The name that was asked for.
    pub name: String,
    /// How many there are.
    pub count: usize,
}

/// When a timer is due, and where it stands in the index, which is not later.
pub(super) type Times = [i64; 2];

/// All named timers of a queue.
pub(super) struct Named<K: Key + ?Sized> {
    pub(super) names: Vec<Box<str>>,
    pub(super) index: Index<K, (i64, u16)>,
    pub(super) times: Table<Sub<K, u16>, Times>,
    /// Stored sub-keys of `times`.
    key: Vec<u8>,
}

impl<K: Key + ?Sized> Named<K> {
    pub(super) fn new(
        names: Vec<Box<str>>,
        index: Index<K, (i64, u16)>,
        times: Table<Sub<K, u16>, Times>,
    ) -> Self {
        Named { names, index, times, key: Vec::new() }
    }

    pub(super) fn empty(arena: &mut Arena, name: &StateName) -> Self {
        Named::new(Vec::new(), Index::new(name), Table::new(arena, name))
    }

    pub(super) fn name(&mut self, name: &str) -> Result<TimerName, TooManyNames> {
        if let Some(number) = self.names.iter().position(|known| **known == *name) {
            return Ok(TimerName(number as u16));
        }
        let count = self.names.len();
        let number = u16::try_from(count).map_err(|_| TooManyNames { name: name.to_owned(), count })?;
        self.names.push(name.into());
        Ok(TimerName(number))
    }

    pub(super) fn name_of(&self, name: TimerName) -> &str {
        &self.names[usize::from(name.0)]
    }

    pub(super) fn len(&self) -> u64 {
        self.times.len()
    }

    /// A time at or before the first timer.
    pub(super) fn first(&self) -> Option<i64> {
        self.index.first()
    }

    /// When a timer is due.
    pub(super) fn set_for(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<i64>, StateError> {
        let sub_hash = Sub::<K, u16>::encode_parts(hash, key, &name.0, &mut self.key);
        self.times.get(arena, sub_hash, &self.key, |times| times[0])
    }

    /// Sets a timer, and gives the time for which it was set before.
    pub(super) fn reset(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        at: i64,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<i64>, StateError> {
        let sub_hash = Sub::<K, u16>::encode_parts(hash, key, &name.0, &mut self.key);
        let before = self.times.modify(arena, sub_hash, &self.key, |times| {
            let before = *times;
            *times = [at, at.min(before[1])];
            before
        })?;
        match before {
            Some([_, indexed]) if indexed <= at => {}
            Some([_, indexed]) => {
                self.index.delete(arena, (indexed, name.0), hash, key)?;
                self.index.register(arena, (at, name.0), hash, key)?;
            }
            None => {
                self.times.insert(arena, sub_hash, &self.key, &[at, at])?;
                self.index.register(arena, (at, name.0), hash, key)?;
            }
        }
        Ok(before.map(|[due, _]| due))
    }

    /// Deletes a timer, and gives the time for which it was set.
    pub(super) fn cancel(
        &mut self,
        arena: &mut Arena,
        name: TimerName,
        hash: KeyHash,
        key: &[u8],
    ) -> Result<Option<i64>, StateError> {
        let sub_hash = Sub::<K, u16>::encode_parts(hash, key, &name.0, &mut self.key);
        let Some([due, indexed]) = self.times.get(arena, sub_hash, &self.key, |times| *times)? else {
            return Ok(None);
        };
        self.times.remove(arena, sub_hash, &self.key)?;
        self.index.delete(arena, (indexed, name.0), hash, key)?;
        Ok(Some(due))
    }

    /// As [`Index::ready`]; the time is that in the index.
    pub(super) fn ready(&mut self, arena: &mut Arena, up_to: i64) -> Result<Ready, StateError> {
        self.index.ready(arena, up_to)
    }

    /// Takes what stands first in the index into `due`. Says whether it is due at that time; where it is not, it is entered again.
    pub(super) fn take(&mut self, arena: &mut Arena, due: &mut Due) -> Result<bool, StateError> {
        let Some((at, number)) = self.index.take(arena, |when, hash, key| {
            due.hash = hash;
            due.key.clear();
            due.key.extend_from_slice(key);
            when
        })?
        else {
            return Ok(false);
        };
        let sub_hash = Sub::<K, u16>::encode_parts(due.hash, &due.key, &number, &mut self.key);
        let later = self.times.modify(arena, sub_hash, &self.key, |times| {
            times[1] = times[0];
            times[0]
        })?;
        match later {
            Some(later) if later > at => {
                self.index.register(arena, (later, number), due.hash, &due.key)?;
                Ok(false)
            }
            _ => {
                self.times.remove(arena, sub_hash, &self.key)?;
                (due.at, due.name) = (Timestamp(at), Some(TimerName(number)));
                Ok(true)
            }
        }
    }
}
