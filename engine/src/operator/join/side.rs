//! What a join keeps of one of its streams: records by key and bucket of time.
//!
//! A bucket is as long as the interval, so that the partners of a record lie in two buckets at most, whatever came before and after. A bucket
//! goes as a whole, when event time has passed its last possible partner; there is one timer for it. Only where records without a partner are
//! wanted is there a timer for each time of a record.

use super::grid::Grid;
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, Sub};
use crate::operator::buckets::{ListNames, Lists, WindowSlot as Slot, WindowSlotOf as SlotOf};
use crate::operator::failure::Cause;
use crate::operator::store::{Contents, Opening};
use crate::record::Record;
use crate::state::{StateError, Table};
use crate::timers::TimerQueue;
use crate::window::Timed;

/// A record by its bucket and its number there.
pub(super) type RecordOf<K> = Sub<SlotOf<K>, u64>;

/// What the tables of a side are called.
#[derive(Clone, Copy)]
pub(super) struct Names {
    lists: ListNames,
    timers: &'static str,
    partnered: &'static str,
}

impl Names {
    pub(super) const LEFT: Names =
        Names { lists: ListNames::FIRST, timers: "first timers", partnered: "first with partners" };
    pub(super) const RIGHT: Names =
        Names { lists: ListNames::SECOND, timers: "second timers", partnered: "second with partners" };
}

/// See the [module](self).
pub(super) struct Side<K: Key + ?Sized, T: Record> {
    names: Names,
    pub(super) lists: Lists<K, T>,
    pub(super) timers: TimerQueue<SlotOf<K>>,
    /// The records that have had a partner, where that matters.
    partnered: Option<Table<RecordOf<K>, ()>>,
    grid: Grid,
    slot: Slot,
    number: Vec<u8>,
}

impl<K: Key + ?Sized, T: Record> Side<K, T> {
    pub(super) fn open(
        opening: &mut Opening<'_>,
        names: Names,
        wants_unmatched: bool,
        grid: Grid,
    ) -> Result<Self, Cause> {
        Ok(Side {
            names,
            lists: Lists::open(opening, names.lists)?,
            timers: opening.timers(names.timers)?,
            partnered: wants_unmatched.then(|| opening.table(names.partnered)).transpose()?,
            grid,
            slot: Slot::default(),
            number: Vec::new(),
        })
    }

    pub(super) fn list(&self, contents: &mut Contents) {
        self.lists.list(contents);
        contents.timers(self.names.timers, &self.timers);
        if let Some(partnered) = &self.partnered {
            contents.table(self.names.partnered, partnered.meta());
        }
    }

    /// Keeps a record.
    pub(super) fn add(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        bytes: &[u8],
        at: Timestamp,
        has_partner: bool,
    ) -> Result<(), StateError> {
        let bucket = self.grid.bucket_of(at);
        self.slot.set::<K>(key, bucket);
        let number = self.lists.push_numbered(arena, &self.slot, bytes, at)?;
        if number == 0 {
            let over_at = self.grid.over_at(bucket.max_timestamp());
            self.timers.register(arena, over_at, self.slot.hash, &self.slot.bytes)?;
        }
        if self.partnered.is_some() {
            match has_partner {
                true => self.note_partner(arena, number)?,
                false => {
                    let over_at = self.grid.over_at(at);
                    self.timers.register(arena, over_at, self.slot.hash, &self.slot.bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a record of the bucket at hand has had a partner.
    fn note_partner(&mut self, arena: &mut Arena, number: u64) -> Result<(), StateError> {
        let Some(partnered) = &mut self.partnered else { return Ok(()) };
        let hash = RecordOf::<K>::encode_parts(self.slot.hash, &self.slot.bytes, &number, &mut self.number);
        partnered.insert(arena, hash, &self.number, &()).map(drop)
    }

    /// Hands the records of a key out that are of the first time to the last, both included, and are still waited for at the watermark `seen`:
    /// in the order of their buckets and their arrival. Notes that they have a partner.
    pub(super) fn partners(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        (from, to): (Timestamp, Timestamp),
        seen: Timestamp,
        found: &mut Vec<Timed<T>>,
    ) -> Result<(), StateError> {
        let from = from.max(self.grid.waited_from(seen));
        let mut numbers = Vec::new();
        let mut bucket = self.grid.bucket_of(from);
        loop {
            self.slot.set::<K>(key, bucket);
            numbers.clear();
            self.lists.read_between(arena, &self.slot, (from, to), |number, record| {
                numbers.push(number);
                found.push(record);
            })?;
            if self.partnered.is_some() {
                for number in &numbers {
                    self.note_partner(arena, *number)?;
                }
            }
            if to < bucket.end || bucket.end == Timestamp::MAX {
                return Ok(());
            }
            bucket = self.grid.bucket_of(bucket.end);
        }
    }

    /// A timer of a bucket has come due: hands out the records that have had no partner and are waited for no longer, and forgets the bucket
    /// where all of them are.
    pub(super) fn over(
        &mut self,
        arena: &mut Arena,
        slot: &Slot,
        at: Timestamp,
        alone: &mut Vec<Timed<T>>,
    ) -> Result<(), StateError> {
        let (bucket, ..) = Slot::split::<K>(&slot.bytes);
        let is_last = at >= self.grid.over_at(bucket.max_timestamp());
        if let Some(partnered) = &mut self.partnered {
            let mut due = Vec::new();
            let (grid, mut all) = (self.grid, Vec::new());
            self.lists.read(arena, slot, |number, record| {
                all.push(number);
                if grid.over_at(record.at) == at {
                    due.push((number, record));
                }
            })?;
            let mut gone = Vec::new();
            for (number, record) in due {
                let hash = RecordOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.number);
                if !partnered.contains(arena, hash, &self.number)? {
                    alone.push(record);
                    gone.push(number);
                }
            }
            // Another record of the same time may still come, and be over in its turn.
            self.lists.remove(arena, slot, &gone)?;
            if is_last {
                for number in all {
                    let hash = RecordOf::<K>::encode_parts(slot.hash, &slot.bytes, &number, &mut self.number);
                    partnered.remove(arena, hash, &self.number)?;
                }
            }
        }
        if is_last {
            self.lists.clear(arena, slot)?;
        }
        Ok(())
    }

    /// How many lists, timers, and notes of partners there are.
    #[cfg(test)]
    pub(super) fn left_behind(&self) -> [u64; 3] {
        [self.lists.len(), self.timers.len(), self.partnered.as_ref().map_or(0, Table::len)]
    }
}
