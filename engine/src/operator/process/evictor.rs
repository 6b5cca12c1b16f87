//! Which keys go where a state is full: those that have not been used for long, approximately.
//!
//! Beside the state there is a table of the times at which its keys were last used. A hand goes round the state by pages; of each page, the
//! eighth that was used longest ago is noted, and goes as room is needed, unless it has been used meanwhile (least recently used by samples, as in
//! [Redis](https://redis.io/docs/latest/develop/reference/eviction/#approximated-lru-algorithm)).

use super::lives::{Lives, Moment};
use crate::arena::Arena;
use crate::element::KeyHash;
use crate::operator::tables::Tables;
use crate::state::StateError;
use crate::time::Tick;

/// One key in so many of a page is noted.
const NOTED_OF_PAGE: usize = 8;

/// Takes out all that is kept for a key, the time of its last use included.
pub(super) type Evict =
    Box<dyn Fn(&mut Tables, &mut Arena, &mut Lives, (KeyHash, &[u8])) -> Result<(), StateError>>;

/// See the [module](self).
pub(super) struct Evictor {
    /// The table of the times of last use.
    uses: usize,
    evict: Evict,
    nanos_per_tick: i64,
    /// The newest time of use: all are different, so that they are an order.
    last: i64,
    /// Where the hand is.
    hand: KeyHash,
    /// Keys that may go, with the time of their last use; the next one is at the end.
    noted: Vec<(i64, KeyHash, Vec<u8>)>,
    evicted: u64,
}

impl Evictor {
    pub(super) fn new(uses: usize, evict: Evict, tick: Tick) -> Self {
        let (nanos_per_tick, hand, noted) = (tick.nanos(), KeyHash(0), Vec::new());
        Evictor { uses, evict, nanos_per_tick, last: i64::MIN, hand, noted, evicted: 0 }
    }

    /// How many keys have gone.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// A key is used.
    pub(super) fn used(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        // Several in one tick come one nanosecond after the other: fewer than go by.
        let now = moment.processing.0.saturating_mul(self.nanos_per_tick);
        self.last = now.max(self.last.saturating_add(1));
        tables.insert_raw(self.uses, arena, hash, key, &self.last.to_le_bytes()).map(drop)
    }

    /// Takes a key out other than the one at hand. Says whether there was any.
    pub(super) fn evict_one(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        lives: &mut Lives,
        keyed: usize,
        at_hand: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let mut rounds = 0;
        loop {
            while let Some((noted, hash, key)) = self.noted.pop() {
                let at = (hash, &key[..]);
                if at != at_hand
                    && self.last_used(tables, arena, at)? == noted
                    && tables.contains(keyed, arena, hash, &key)?
                {
                    (self.evict)(tables, arena, lives, at)?;
                    self.evicted += 1;
                    return Ok(true);
                }
            }
            if rounds == 2 {
                return Ok(false);
            }
            rounds += usize::from(self.note_page(tables, arena, keyed, at_hand)?);
        }
    }

    /// Moves the hand by a page, whose oldest keys are noted. Says whether it has come round.
    fn note_page(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        keyed: usize,
        at_hand: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let mut page: Vec<(i64, KeyHash, Vec<u8>)> = Vec::new();
        let mut note = |hash: KeyHash, key: &[u8], _: &[u8]| {
            if (hash, key) != at_hand {
                page.push((i64::MIN, hash, key.to_vec()));
            }
        };
        let next = tables.walk_raw(keyed, arena, (self.hand, KeyHash(u64::MAX)), 1, &mut note)?;
        self.hand = next.unwrap_or(KeyHash(0));
        for (used, hash, key) in &mut page {
            *used = self.last_used(tables, arena, (*hash, key))?;
        }
        page.sort_unstable();
        page.truncate(page.len().div_ceil(NOTED_OF_PAGE));
        page.reverse();
        self.noted = page;
        Ok(next.is_none())
    }

    /// When a key was last used: before all others, where that is not known.
    fn last_used(
        &self,
        tables: &Tables,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<i64, StateError> {
        let mut used = i64::MIN;
        let mut show = |bytes: &[u8]| used = bytes.try_into().map_or(i64::MIN, i64::from_le_bytes);
        tables.get_raw(self.uses, arena, hash, key, &mut show)?;
        Ok(used)
    }
}
