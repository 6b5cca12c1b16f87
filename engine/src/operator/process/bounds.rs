//! How much states hold, and whether there is room for more.

use std::ops::Range;

use super::budget::{Policy, StateBudget};
use super::evictor::{Evict, Evictor};
use super::lives::{Lives, Moment};
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::limits::PAGE_BYTES;
use crate::operator::store::Opening;
use crate::operator::tables::Tables;
use crate::state::StateError;

/// How many keys go at most for one write.
const EVICTIONS_PER_WRITE: usize = 2;

/// What states are made of, as budgets see it.
pub(super) struct Held<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) arena: &'a mut Arena,
    pub(super) lives: &'a mut Lives,
}

/// The budget of one state on one shard.
pub(super) struct Bound {
    operator: Box<str>,
    state: Box<str>,
    keys_max: Option<u64>,
    bytes_max: Option<u64>,
    when_full: WhenFull,
    /// The table that has a row for each key, and all tables of the state.
    keyed: usize,
    tables: Range<usize>,
}

/// What happens where there is no room.
enum WhenFull {
    Fail,
    /// Counts the writes that were left out.
    Shed(u64),
    Evict(Evictor),
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
        mut held: Held<'_>,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let bound = &mut self.0[bound];
        let admits = bound.has_room(held.tables) || bound.admits_when_full(&mut held, at)?;
        if let WhenFull::Evict(evictor) = &mut bound.when_full {
            evictor.used(held.tables, held.arena, moment, at)?;
        }
        Ok(admits)
    }

    /// A key is read.
    #[inline]
    pub(super) fn read(
        &mut self,
        bound: usize,
        held: Held<'_>,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        let Bound { when_full: WhenFull::Evict(evictor), keyed, .. } = &mut self.0[bound] else {
            return Ok(());
        };
        if held.tables.contains(*keyed, held.arena, hash, key)? {
            evictor.used(held.tables, held.arena, moment, (hash, key))?;
        }
        Ok(())
    }

    /// How many writes were left out for want of room.
    pub(super) fn shed_writes(&self) -> u64 {
        let shed = |bound: &Bound| if let WhenFull::Shed(writes) = bound.when_full { writes } else { 0 };
        self.0.iter().map(shed).sum()
    }

    /// How many keys had to go for want of room.
    pub(super) fn evicted_keys(&self) -> u64 {
        let evicted = |bound: &Bound| {
            if let WhenFull::Evict(evictor) = &bound.when_full { evictor.evicted() } else { 0 }
        };
        self.0.iter().map(evicted).sum()
    }
}

impl Bound {
    /// This shard's part of a budget; or what is wrong with it.
    pub(super) fn new(
        budget: StateBudget,
        opening: &Opening<'_>,
        state: &str,
        (keyed, tables): (usize, Range<usize>),
        (uses, evict): (Option<usize>, Evict),
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
        let when_full = match (budget.policy, uses) {
            (Policy::Shed, _) => WhenFull::Shed(0),
            (Policy::Evict, Some(uses)) => WhenFull::Evict(Evictor::new(uses, evict, opening.tick())),
            // Where its table could not be opened, the function does not run.
            (Policy::Fail | Policy::Evict, _) => WhenFull::Fail,
        };
        Ok(Bound {
            operator: opening.operator().into(),
            state: state.into(),
            keys_max,
            bytes_max,
            when_full,
            keyed,
            tables,
        })
    }

    #[inline]
    fn has_room(&self, tables: &Tables) -> bool {
        room(self.keys_max, || tables.len_of(self.keyed))
            && room(self.bytes_max, || tables.bytes_of(self.tables.clone()))
    }

    #[cold]
    fn admits_when_full(
        &mut self,
        Held { tables, arena, lives }: &mut Held<'_>,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let is_known = tables.contains(self.keyed, arena, hash, key)?;
        let (keys, bytes) = (tables.len_of(self.keyed), tables.bytes_of(self.tables.clone()));
        if is_known && self.bytes_max.is_none_or(|max| bytes <= max) {
            return Ok(true);
        }
        match &mut self.when_full {
            WhenFull::Fail => {}
            WhenFull::Shed(writes) => {
                *writes += u64::from(!is_known);
                return Ok(is_known);
            }
            WhenFull::Evict(evictor) => {
                for _ in 0..EVICTIONS_PER_WRITE {
                    let evicted = evictor.evict_one(tables, arena, lives, self.keyed, (hash, key))?;
                    let has_room = room(self.keys_max, || tables.len_of(self.keyed))
                        && room(self.bytes_max, || tables.bytes_of(self.tables.clone()));
                    if !evicted || has_room {
                        break;
                    }
                }
                return Ok(true);
            }
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

/// Whether there is less of something than there may be.
#[inline]
fn room(max: Option<u64>, now: impl FnOnce() -> u64) -> bool {
    max.is_none_or(|max| now() < max)
}
