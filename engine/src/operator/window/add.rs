//! Taking records in.
//!
//! Most records are plain: none of their windows has fired, so that all there is to do is to add them to their slice. The others come after
//! the watermark: they are too late for all their windows, or their slice is in the totals already, or windows they belong to have fired
//! and fire again.

use std::cell::Cell;

use super::WindowAggregate;
use super::finish::{Finish, OnLate};
use super::fire::retained_from;
use super::rule::WindowRule;
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::Push;
use crate::operator::failure::{BatchCursor, Blame, Cause, raise};
use crate::operator::fold::Rule;
use crate::operator::keyed::FromExchange;
use crate::operator::typed::BatchOf;
use crate::record::{Record, View};
use crate::state::{StateError, Table};
use crate::window::{Firing, Slices, TimeWindow, WindowContext};

/// Room for taking a batch apart that falls into several slices.
#[derive(Default)]
pub(super) struct Scratch {
    pending: Vec<u32>,
    rest: Vec<u32>,
    chosen: Vec<u32>,
    hashes: Vec<KeyHash>,
}

impl<T, K, W, R, F, L> WindowAggregate<T, K, W, R, F, L>
where
    T: Record,
    K: Key + ?Sized,
    W: Slices,
    R: WindowRule<T>,
    F: Finish<K, R::Out>,
    L: OnLate<T>,
{
    pub(super) fn take<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let slice = self.windows.slice_of(batch.timestamps()[0]);
        if contains_all(slice, batch.timestamps()) && self.is_plain(slice) {
            self.add(slice.end, batch, batch.hashes(), |index| index);
        } else {
            self.take_mixed(batch, push);
        }
    }

    /// Whether a record of this slice has nothing to do but be added to it.
    #[inline]
    fn is_plain(&self, slice: TimeWindow) -> bool {
        slice.end > self.plain_after && self.floors.is_empty() && self.windows.is_assigned(slice)
    }

    /// Adds records of one batch to one slice: those that `pick` numbers, whose hashes are `hashes`.
    fn add(
        &mut self,
        slice: Timestamp,
        batch: &BatchOf<'_, T>,
        hashes: &[KeyHash],
        pick: impl Fn(usize) -> usize,
    ) {
        let panes = self.panes.as_mut().expect("open comes before the first batch");
        let table = panes.slices.entry(slice).or_insert_with(|| panes.tables.create(&panes.slice));
        let (op, rule) = (self.op, &self.rule);
        let cursor = BatchCursor::over(batch.timestamps());
        let result = table.update_batch(
            panes.tables.arena(),
            hashes,
            |index| batch.key_bytes::<K>(pick(index)),
            |index| {
                let index = pick(index);
                cursor.set(index);
                Blame::on(op, || rule.first(batch.record(index)))
            },
            |index, acc, new| {
                if !new {
                    let index = pick(index);
                    cursor.set(index);
                    Blame::on(op, || rule.next(acc, batch.record(index)));
                }
            },
        );
        if let Err(error) = result {
            raise(self.op, Cause::state(error));
        }
    }

    /// Takes a batch apart whose records fall into several slices, or are not all plain.
    #[cold]
    fn take_mixed<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.pending.clear();
        // Plain records change no window that has fired, so that the others can go before them.
        let cursor = BatchCursor::over(batch.timestamps());
        let mut known = self.windows.slice_of(batch.timestamps()[0]);
        let mut plain = self.is_plain(known);
        for (index, &at) in batch.timestamps().iter().enumerate() {
            if !known.contains(at) {
                known = self.windows.slice_of(at);
                plain = self.is_plain(known);
            }
            if plain {
                scratch.pending.push(index as u32);
            } else {
                cursor.set(index);
                let taken = self.take_late(known, at, batch, index, push);
                taken.unwrap_or_else(|error| raise(self.op, Cause::state(error)));
            }
        }
        drop(cursor);
        while let Some(&first) = scratch.pending.first() {
            let slice = self.windows.slice_of(batch.timestamps()[first as usize]);
            scratch.chosen.clear();
            scratch.hashes.clear();
            scratch.rest.clear();
            for &index in &scratch.pending {
                if slice.contains(batch.timestamps()[index as usize]) {
                    scratch.chosen.push(index);
                    scratch.hashes.push(batch.hashes()[index as usize]);
                } else {
                    scratch.rest.push(index);
                }
            }
            std::mem::swap(&mut scratch.pending, &mut scratch.rest);
            let chosen = &scratch.chosen;
            self.add(slice.end, batch, &scratch.hashes, |index| chosen[index] as usize);
        }
        self.scratch = scratch;
    }

    /// Takes a record some of whose windows may have fired or be over.
    fn take_late<P: Push<FromExchange<Self>>>(
        &mut self,
        slice: TimeWindow,
        at: Timestamp,
        batch: &BatchOf<'_, T>,
        index: usize,
        push: &mut P,
    ) -> Result<(), StateError> {
        let (hash, key, record) = (batch.hashes()[index], batch.key_bytes::<K>(index), batch.record(index));
        if !self.windows.is_assigned(slice) {
            self.unassigned += 1;
            return Ok(());
        }
        let seen = self.watermark.max(self.floors.watermark(hash));
        let retained = if seen == self.watermark {
            self.retained
        } else {
            retained_from(&self.windows, seen, self.lateness)
        };
        if slice.end <= retained {
            let last = self.windows.windows_of(slice.end).next_back().unwrap_or(slice);
            self.late.enter(hash, key, at, seen, last);
            self.on_late.late(self.op, record, at);
            return Ok(());
        }
        let panes = self.panes.as_mut().expect("open comes before the first batch");
        let table = panes.slices.entry(slice.end).or_insert_with(|| panes.tables.create(&panes.slice));
        let arena = panes.tables.arena();
        let (op, rule) = (self.op, &self.rule);
        let new = add_one::<T, K, R>(table, arena, op, rule, hash, key, record)?;
        if slice.end <= self.position.entered {
            for level in 1..=panes.blocks.levels() {
                let Some(block) = panes.blocks.block_of(level, slice.end) else { continue };
                let table = panes.blocks.table(block, arena, &panes.names.blocks);
                add_one::<T, K, R>(table, arena, op, rule, hash, key, record)?;
            }
            if let Some(totals) = &mut panes.totals
                && slice.end > self.position.left
            {
                add_one::<T, K, R>(&mut totals.values, arena, op, rule, hash, key, record)?;
                if new {
                    totals.add_part(arena, hash, key)?;
                }
            }
        }
        self.fire_again(slice, hash, key, seen, push)
    }

    /// Fires those windows of a slice for one key that have fired before and are not over. The latest comes first, as in Flink.
    fn fire_again<P: Push<FromExchange<Self>>>(
        &mut self,
        slice: TimeWindow,
        hash: KeyHash,
        key_bytes: &[u8],
        seen: Timestamp,
        push: &mut P,
    ) -> Result<(), StateError> {
        if self.lateness == 0 {
            return Ok(());
        }
        let panes = self.panes.as_mut().expect("open comes before the first batch");
        let fired = self.windows.last_end(self.position.done).max(self.floors.fired(hash));
        let (op, rule) = (self.op, &self.rule);
        for window in self.windows.windows_of(slice.end).rev() {
            if window.is_gone_at(seen, self.lateness) {
                break;
            }
            if window.end > fired {
                continue;
            }
            let merge = |acc: &mut R::Acc, part: &R::Acc| Blame::on(op, || rule.merge(acc, part));
            let value = panes.value(&self.windows, window, self.position.entered, hash, key_bytes, merge)?;
            let value = value.expect("the record has just been added to a slice of the window");
            let value = Blame::on(op, || rule.result(value));
            let key = K::decode(hash, key_bytes, self.seed);
            let context = WindowContext { key, window, firing: Firing::Late, watermark: self.watermark };
            let result_at = window.max_timestamp();
            self.finish.finish(op, context, value, |record| push.push(record, result_at));
        }
        Ok(())
    }
}

/// Whether all records fall into a slice. Never says so wrongly; may deny it where a slice is longer than half of all time.
fn contains_all(slice: TimeWindow, timestamps: &[Timestamp]) -> bool {
    let (start, last) = (slice.start.0, slice.max_timestamp().0);
    // Negative where a timestamp is outside: of two differences, at most one wraps around, and then the other is negative.
    let outside =
        timestamps.iter().fold(0, |outside, at| outside | at.0.wrapping_sub(start) | last.wrapping_sub(at.0));
    outside >= 0
}

/// Adds a record to a table. Says whether its key is new.
pub(crate) fn add_one<T: Record, K: Key + ?Sized, R: Rule<T>>(
    table: &mut Table<K, R::Acc>,
    arena: &mut Arena,
    op: OpId,
    rule: &R,
    hash: KeyHash,
    key: &[u8],
    record: &View<T>,
) -> Result<bool, StateError> {
    let new = Cell::new(false);
    let first = || {
        new.set(true);
        Blame::on(op, || rule.first(record))
    };
    table.update(arena, hash, key, first, |acc| {
        if !new.get() {
            Blame::on(op, || rule.next(acc, record));
        }
    })?;
    Ok(new.get())
}
