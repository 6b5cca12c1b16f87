//! The elements of two streams that fell into one window: for joins.

use super::contents::Contents;
use super::function::Elements;
use super::intake::{EitherItem, FromTwo};
use super::list::{Lists, Names};
use super::slot::Slot;
use crate::arena::Arena;
use crate::element::Timestamp;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::record::Record;
use crate::state::StateError;
use crate::window::{TimeWindow, Timed};

/// The elements of both sides.
pub struct Pair<A: Record, B: Record, K: Key + ?Sized> {
    lists: Option<(Lists<K, A>, Lists<K, B>)>,
}

impl<A: Record, B: Record, K: Key + ?Sized> Pair<A, B, K> {
    pub(crate) fn new() -> Self {
        Pair { lists: None }
    }

    fn lists(&mut self) -> &mut (Lists<K, A>, Lists<K, B>) {
        self.lists.as_mut().expect("open comes first")
    }
}

impl<A: Record, B: Record, K: Key + ?Sized> Contents<FromTwo<A, B>, K> for Pair<A, B, K> {
    type Values = (Vec<Timed<A>>, Vec<Timed<B>>);

    fn open(&mut self, opening: &mut Opening<'_>) -> Result<(), Cause> {
        let first = Lists::open(opening, Names::FIRST)?;
        self.lists = Some((first, Lists::open(opening, Names::SECOND)?));
        Ok(())
    }

    fn list(&self, saved: &mut Saved) {
        if let Some((first, second)) = &self.lists {
            first.list(saved);
            second.list(saved);
        }
    }

    fn add(
        &mut self,
        arena: &mut Arena,
        _: OpId,
        slot: &Slot,
        item: EitherItem<'_, A, B>,
        at: Timestamp,
    ) -> Result<bool, StateError> {
        let (first, second) = self.lists();
        Ok(match item {
            EitherItem::First(item) => {
                first.push(arena, slot, item.bytes, at)? && second.is_empty(arena, slot)?
            }
            EitherItem::Second(item) => {
                second.push(arena, slot, item.bytes, at)? && first.is_empty(arena, slot)?
            }
        })
    }

    fn merge(&mut self, arena: &mut Arena, _: OpId, into: &Slot, of: &Slot) -> Result<(), StateError> {
        let (first, second) = self.lists();
        first.append(arena, into, of)?;
        second.append(arena, into, of)
    }

    fn gather(
        &mut self,
        arena: &mut Arena,
        _: OpId,
        slot: &Slot,
        _: TimeWindow,
    ) -> Result<Option<Self::Values>, StateError> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (first, second) = self.lists();
        first.read(arena, slot, |_, value| left.push(value))?;
        second.read(arena, slot, |_, value| right.push(value))?;
        Ok((!left.is_empty() || !right.is_empty()).then_some((left, right)))
    }

    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        let (first, second) = self.lists();
        first.clear(arena, slot)?;
        second.clear(arena, slot)
    }

    fn clear_all(&mut self, arena: &mut Arena) {
        let (first, second) = self.lists();
        first.clear_all(arena);
        second.clear_all(arena);
    }

    fn windows(&self) -> u64 {
        self.lists.as_ref().map_or(0, |(first, second)| first.len().max(second.len()))
    }
}

/// Hands out all pairs of the elements of a window, and what finds no partner there alone.
pub(crate) fn each_pair<A, B>(
    first: Elements<'_, A>,
    second: Elements<'_, B>,
    mut each: impl FnMut(Option<&A>, Option<&B>),
) {
    if first.is_empty() {
        second.iter().for_each(|right| each(None, Some(right)));
    }
    for left in first {
        if second.is_empty() {
            each(Some(left), None);
        }
        second.iter().for_each(|right| each(Some(left), Some(right)));
    }
}
