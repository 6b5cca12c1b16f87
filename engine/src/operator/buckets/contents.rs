//! What a window holds for a key: an accumulator, its elements, or the elements of two streams.

use super::intake::Intake;
use super::slot::Slot;
use crate::arena::Arena;
use crate::key::Key;
use crate::operator::OpId;
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::state::StateError;
use crate::window::TimeWindow;

/// See the [module](self).
pub trait Contents<I: Intake, K: Key + ?Sized>: 'static {
    /// What the window's function is given.
    type Values;

    /// Makes or restores the tables.
    #[doc(hidden)]
    fn open(&mut self, opening: &mut Opening<'_>) -> Result<(), Cause>;

    /// Notes the tables for a checkpoint.
    #[doc(hidden)]
    fn list(&self, saved: &mut Saved);

    /// Adds a record. Says whether the window had no contents before.
    #[doc(hidden)]
    fn add(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        item: I::Item<'_>,
        at: crate::element::Timestamp,
    ) -> Result<bool, StateError>;

    /// Takes the contents of `of` over into `into`.
    #[doc(hidden)]
    fn merge(&mut self, arena: &mut Arena, op: OpId, into: &Slot, of: &Slot) -> Result<(), StateError>;

    /// The contents for a firing; none where there are none.
    #[doc(hidden)]
    fn gather(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
    ) -> Result<Option<Self::Values>, StateError>;

    /// The firing is done.
    #[doc(hidden)]
    fn fired(
        &mut self,
        arena: &mut Arena,
        op: OpId,
        slot: &Slot,
        window: TimeWindow,
        values: Self::Values,
    ) -> Result<(), StateError> {
        let _ = (arena, op, slot, window, values);
        Ok(())
    }

    /// Forgets the contents.
    #[doc(hidden)]
    fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError>;

    /// Forgets the contents of all windows.
    #[doc(hidden)]
    fn clear_all(&mut self, arena: &mut Arena);

    /// How many windows have contents.
    #[doc(hidden)]
    fn windows(&self) -> u64;
}
