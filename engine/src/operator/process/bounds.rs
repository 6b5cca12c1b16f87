//! How much states hold, and whether there is room for more.

use std::ops::Range;

use super::budget::StateBudget;
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::limits::PAGE_BYTES;
use crate::operator::store::Opening;
use crate::operator::tables::Tables;
use crate::state::StateError;

/// The budget of one state on one shard.
pub(super) struct Bound {
    operator: Box<str>,
    state: Box<str>,
    keys_max: Option<u64>,
    bytes_max: Option<u64>,
    sheds: bool,
    /// The table that has a row for each key, and all tables of the state.
    keyed: usize,
    tables: Range<usize>,
    shed_writes: u64,
}

/// The budgets of all states that have one, by number.
#[derive(Default)]
pub(super) struct Bounds(Vec<Bound>);

impl Bounds {
    /// Adds one, and gives its number.
    pub(super) fn push(&mut self, bound: Bound) -> usize {
        self.0.push(bound);
        self.0.len() - 1
    }

    /// Whether there is room for what is about to be written under a key. Where there is none and that is not counted on, it is an error.
    #[inline]
    pub(super) fn admits(
        &mut self,
        bound: usize,
        tables: &Tables,
        arena: &mut Arena,
        at: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let bound = &mut self.0[bound];
        if bound.has_room(tables) { Ok(true) } else { bound.admits_when_full(tables, arena, at) }
    }

    /// How many writes were left out for want of room.
    pub(super) fn shed_writes(&self) -> u64 {
        self.0.iter().map(|bound| bound.shed_writes).sum()
    }
}

impl Bound {
    /// This shard's part of a budget; or what is wrong with it.
    pub(super) fn new(
        budget: StateBudget,
        opening: &Opening<'_>,
        state: &str,
        keyed: usize,
        tables: Range<usize>,
    ) -> Result<Bound, String> {
        let keys_max = budget.keys.map(|keys| opening.share(keys));
        let bytes_max = budget.bytes.map(|bytes| opening.share(bytes));
        let bytes_min = (tables.len() * PAGE_BYTES) as u64;
        if let (Some(0), Some(keys)) = (keys_max, budget.keys) {
            return Err(format!("{keys} keys are less than one for each shard; allow more"));
        }
        if let (Some(share), Some(bytes)) = (bytes_max.filter(|share| *share < bytes_min), budget.bytes) {
            return Err(format!(
                "{bytes} bytes are {share} on a shard, where its first key takes {bytes_min}; allow more"
            ));
        }
        Ok(Bound {
            operator: opening.operator().into(),
            state: state.into(),
            keys_max,
            bytes_max,
            sheds: budget.sheds,
            keyed,
            tables,
            shed_writes: 0,
        })
    }

    #[inline]
    fn has_room(&self, tables: &Tables) -> bool {
        self.keys_max.is_none_or(|max| tables.len_of(self.keyed) < max)
            && self.bytes_max.is_none_or(|max| tables.bytes_of(self.tables.clone()) < max)
    }

    #[cold]
    fn admits_when_full(
        &mut self,
        tables: &Tables,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let is_known = tables.contains(self.keyed, arena, hash, key)?;
        let (keys, bytes) = (tables.len_of(self.keyed), tables.bytes_of(self.tables.clone()));
        if is_known && (self.sheds || self.bytes_max.is_none_or(|max| bytes <= max)) {
            return Ok(true);
        }
        if self.sheds {
            self.shed_writes += 1;
            return Ok(false);
        }
        let (operator, state, limit) = (self.operator.clone(), self.state.clone(), self.limit().into());
        Err(StateError::StateBudgetExceeded { operator, state, limit, keys, bytes })
    }

    /// What the state may hold, in words.
    fn limit(&self) -> String {
        let keys = self.keys_max.map(|max| format!("{max} keys"));
        let bytes = self.bytes_max.map(|max| format!("{max} bytes"));
        keys.into_iter().chain(bytes).collect::<Vec<_>>().join(" and ")
    }
}
