//! One accumulator per key and window.

use std::marker::PhantomData;

use super::contents::Contents;
use super::intake::FromOne;
use super::slot::{Slot, SlotOf};
use crate::arena::Arena;
use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::{Blame, Cause};
use crate::operator::store::{Contents as Saved, Opening};
use crate::operator::views::Viewed;
use crate::operator::window::add_one;
use crate::operator::window::rule::WindowRule;
use crate::record::Record;
use crate::state::{StateError, Table};
use crate::window::{TimeWindow, Timed};

const NAME: &str = "window";

/// What the records add up to by a rule.
pub struct Accumulated<T: Record, K: Key + ?Sized, R: WindowRule<T>> {
    rule: R,
    table: Option<Table<SlotOf<K>, R::Acc>>,
    record: PhantomData<fn() -> T>,
}

impl<T: Record, K: Key + ?Sized, R: WindowRule<T>> Accumulated<T, K, R> {
    pub(crate) fn new(rule: R) -> Self {
        Accumulated { rule, table: None, record: PhantomData }
    }

    fn table(&mut self) -> &mut Table<SlotOf<K>, R::Acc> {
        self.table.as_mut().expect("open comes first")
    }
}

impl<T: Record, K: Key + ?Sized, R: WindowRule<T>> Contents<FromOne<T>, K> for Accumulated<T, K, R> {
    type Values = Vec<Timed<R::Out>>;

    fn open(&mut self, opening: &mut Opening<'_>) -> Result<(), Cause> {
        self.table = Some(opening.table(NAME)?);
        Ok(())
    }

    fn list(&self, saved: &mut Saved) {
        if let Some(table) = &self.table {
            saved.table(NAME, table.meta());
        }
    }

    fn add(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        item: Viewed<'_, T>,
        _: Timestamp,
    ) -> Result<bool, StateError> {
        let table = self.table.as_mut().expect("open comes first");
        add_one(table, arena, op, &self.rule, slot.hash, &slot.bytes, item.view)
    }

    fn merge(&mut self, arena: &mut Arena, op: OpId, into: &Slot, of: &Slot) -> Result<(), StateError> {
        let Some(absorbed) = self.table().get(arena, of.hash, &of.bytes, R::Acc::owned)? else {
            return Ok(());
        };
        self.table().remove(arena, of.hash, &of.bytes)?;
        let (rule, table) = (&self.rule, self.table.as_mut().expect("open comes first"));
        let merge = |acc: &mut R::Acc| Blame::on(op, || rule.merge(acc, &absorbed));
        if table.modify(arena, into.hash, &into.bytes, merge)?.is_none() {
            table.insert(arena, into.hash, &into.bytes, &absorbed)?;
        }
        Ok(())
    }

    fn gather(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
    ) -> Result<Option<Vec<Timed<R::Out>>>, StateError> {
        let acc = self.table().get(arena, slot.hash, &slot.bytes, R::Acc::owned)?;
        Ok(acc.map(|acc| {
            let value = Blame::on(op, || self.rule.result(acc));
            vec![Timed { value, at: window.max_timestamp() }]
        }))
    }

    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        self.table().remove(arena, slot.hash, &slot.bytes).map(drop)
    }

    fn clear_all(&mut self, arena: &mut Arena) {
        if let Some(table) = self.table.as_mut().filter(|table| !table.is_empty()) {
            table.clear(arena);
        }
    }

    fn windows(&self) -> u64 {
        self.table.as_ref().map_or(0, Table::len)
    }
}
