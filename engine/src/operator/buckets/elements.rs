//! The elements of a window themselves: for functions that want to see them all, and for evictors.

use super::contents::Contents;
use super::intake::FromOne;
use super::list::{Lists, Names};
use super::slot::Slot;
use crate::arena::Arena;
use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::{Blame, Cause};
use crate::operator::store::{Contents as Saved, Opening};
use crate::operator::views::Viewed;
use crate::record::Record;
use crate::state::StateError;
use crate::window::{Evicting, Evictor, TimeWindow, Timed};

/// The elements, of which an evictor `E` takes some out when the window fires.
pub struct Elements<T: Record, K: Key + ?Sized, E> {
    evictor: E,
    lists: Option<Lists<K, T>>,
    /// The numbers of those that the function at hand is given.
    numbers: Vec<u64>,
}

impl<T: Record, K: Key + ?Sized, E: Evictor<T>> Elements<T, K, E> {
    pub(crate) fn new(evictor: E) -> Self {
        Elements { evictor, lists: None, numbers: Vec::new() }
    }

    fn lists(&mut self) -> &mut Lists<K, T> {
        self.lists.as_mut().expect("open comes first")
    }

    /// Lets the evictor choose, and takes out what does not stay.
    fn evict(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
        values: &mut Vec<Timed<T>>,
        choose: impl FnOnce(&E, &mut Evicting<'_, T>),
    ) -> Result<(), StateError> {
        let mut stays = vec![true; values.len()];
        let evictor = &self.evictor;
        Blame::on(op, || choose(evictor, &mut Evicting { window, elements: values, stays: &mut stays }));
        if stays.iter().all(|stays| *stays) {
            return Ok(());
        }
        let gone = self.numbers.iter().zip(&stays).filter(|(_, stays)| !**stays);
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        self.lists().remove(arena, slot, &gone)?;
        let mut left = stays.iter();
        values.retain(|_| *left.next().expect("one for each value"));
        let mut left = stays.iter();
        self.numbers.retain(|_| *left.next().expect("one for each value"));
        Ok(())
    }
}

impl<T: Record, K: Key + ?Sized, E: Evictor<T>> Contents<FromOne<T>, K> for Elements<T, K, E> {
    type Values = Vec<Timed<T>>;

    fn open(&mut self, opening: &mut Opening<'_>) -> Result<(), Cause> {
        self.lists = Some(Lists::open(opening, Names::ONLY)?);
        Ok(())
    }

    fn list(&self, saved: &mut Saved) {
        if let Some(lists) = &self.lists {
            lists.list(saved);
        }
    }

    fn add(
        &mut self,
        arena: &mut Arena,
        _: OpId,
        slot: &Slot,
        item: Viewed<'_, T>,
        at: Timestamp,
    ) -> Result<bool, StateError> {
        self.lists().push(arena, slot, item.bytes, at)
    }

    fn merge(&mut self, arena: &mut Arena, _: OpId, into: &Slot, of: &Slot) -> Result<(), StateError> {
        self.lists().append(arena, into, of)
    }

    fn gather(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
    ) -> Result<Option<Vec<Timed<T>>>, StateError> {
        let (mut values, mut numbers) = (Vec::new(), std::mem::take(&mut self.numbers));
        numbers.clear();
        self.lists().read(arena, slot, |number, value| {
            numbers.push(number);
            values.push(value);
        })?;
        self.numbers = numbers;
        if values.is_empty() {
            return Ok(None);
        }
        self.evict(arena, op, slot, window, &mut values, |evictor, elements| evictor.evict_before(elements))?;
        Ok(Some(values))
    }

    fn fired(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
        mut values: Vec<Timed<T>>,
    ) -> Result<(), StateError> {
        self.evict(arena, op, slot, window, &mut values, |evictor, elements| evictor.evict_after(elements))
    }

    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        self.lists().clear(arena, slot)
    }

    fn clear_all(&mut self, arena: &mut Arena) {
        self.lists().clear_all(arena);
    }

    fn windows(&self) -> u64 {
        self.lists.as_ref().map_or(0, Lists::len)
    }
}
