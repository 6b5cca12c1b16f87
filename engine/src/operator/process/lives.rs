//! How long state lives: what is known of each entry, and how what has expired goes.
//!
//! Beside the table of a state whose entries expire there is one of the times at which they were last used. A [`Wheel`] has one item for each of
//! these times. What it gives out is looked at: an entry that has been used since goes back onto the wheel, any other one goes. A time stays when
//! its entry is taken out by the program, so that an entry that comes and goes has one item nevertheless.

use super::ttl::Ttl;
use super::wheel::Wheel;
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::{Key, KeyPart};
use crate::operator::tables::Tables;
use crate::record::{Record, View};
use crate::state::StateError;
use crate::window::TimeDomain;

/// How many entries are looked at in one step, beside two for each one that is new.
const LOOKS_PER_STEP: usize = 64;

/// How many pages of tables that a checkpoint has brought are walked through in one step.
const PAGES_PER_STEP: usize = 4;

/// How many pages may hold entries of one hash.
const PAGES_OF_A_HASH: usize = 64;

/// What time it is, for whoever uses state.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// The event time of what is at hand; the watermark where it has none.
    pub(super) at: Timestamp,
    pub(super) watermark: Timestamp,
    pub(super) processing: Timestamp,
}

impl Moment {
    /// What time it is by a clock.
    fn now(&self, domain: TimeDomain) -> i64 {
        match domain {
            TimeDomain::Event => self.watermark.0,
            TimeDomain::Processing => self.processing.0,
        }
    }

    /// What time something was used that is used now.
    fn stamp(&self, domain: TimeDomain) -> i64 {
        match domain {
            TimeDomain::Event => self.at.0.max(self.watermark.0),
            TimeDomain::Processing => self.processing.0,
        }
    }
}

/// Takes an entry out, if it is there, and what else belongs to it.
pub(super) type Forget = Box<dyn Fn(&mut Tables, &mut Arena, (KeyHash, &[u8])) -> Result<(), StateError>>;

/// Whether an entry may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may, if there is one.
    Alive,
    /// It may for the last time.
    Leaving,
    /// It may not.
    Expired,
}

/// The life of the entries of one state.
pub(super) struct Life {
    rule: Ttl,
    ttl: i64,
    /// The table of the entries, and that of the times at which they were last used.
    entries: usize,
    times: usize,
    forget: Forget,
    wheel: Wheel,
    /// What a checkpoint has brought and is not on the wheel yet.
    walk: Walk,
    /// How many entries have come since the last step.
    new: usize,
    /// Keys and times of entries of one hash.
    found: Vec<(Vec<u8>, i64)>,
}

/// The lives of all states whose entries expire, by number. What has no number lives for ever.
#[derive(Default)]
pub(super) struct Lives {
    all: Vec<Life>,
    /// Whether the last sweep left something to do.
    busy: bool,
}

impl Lives {
    /// Adds one, and gives its number.
    pub(super) fn push(&mut self, life: Life) -> usize {
        self.all.push(life);
        self.all.len() - 1
    }

    /// An entry was written: a new one, or one that was there.
    #[inline]
    pub(super) fn written(
        &mut self,
        life: Option<usize>,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        at: (KeyHash, &[u8]),
        is_new: bool,
    ) -> Result<(), StateError> {
        life.map_or(Ok(()), |life| self.all[life].written(tables, arena, moment, at, is_new))
    }

    /// Whether an entry of this table has expired, and is not to be seen from outside.
    pub(super) fn hides(
        &self,
        entries: usize,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let Some(life) = self.all.iter().find(|life| life.entries == entries) else { return Ok(false) };
        let Some(stamp) = life.stamp(tables, arena, at)? else { return Ok(false) };
        Ok(!life.rule.shows_expired && life.expired(stamp, moment.now(life.rule.domain)))
    }

    /// An entry is about to be shown.
    #[inline]
    pub(super) fn read(
        &mut self,
        life: Option<usize>,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<Standing, StateError> {
        life.map_or(Ok(Standing::Alive), |life| self.all[life].read(tables, arena, moment, at))
    }

    /// Shows an entry of a table, unless it has expired. One that has goes.
    pub(super) fn view<Q: Key + ?Sized, V: Record, R>(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        (table, life): (usize, Option<usize>),
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        show: impl FnOnce(&View<V>) -> R,
    ) -> Result<Option<R>, StateError> {
        let standing = self.read(life, tables, arena, moment, (hash, key))?;
        let shown = match standing {
            Standing::Expired => None,
            Standing::Alive | Standing::Leaving => {
                tables.of::<Q, V>(Some(table)).get(arena, hash, key, show)?
            }
        };
        if standing != Standing::Alive {
            self.forget(life, tables, arena, (hash, key))?;
        }
        Ok(shown)
    }

    /// Takes an entry out that has expired.
    pub(super) fn forget(
        &mut self,
        life: Option<usize>,
        tables: &mut Tables,
        arena: &mut Arena,
        at: (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        life.map_or(Ok(()), |life| self.all[life].forget(tables, arena, at))
    }

    /// An entry was taken out by the program.
    #[inline]
    pub(super) fn removed(
        &mut self,
        life: Option<usize>,
        tables: &mut Tables,
        arena: &mut Arena,
        at: (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        life.map_or(Ok(()), |life| self.all[life].removed(tables, arena, at))
    }

    /// All entries of all states are gone.
    pub(super) fn all_gone(&mut self) {
        for life in &mut self.all {
            life.wheel.clear();
            life.new = 0;
        }
    }

    /// All entries of a key were taken out by the program, which lie under sub-keys `Sub<K, S>`.
    pub(super) fn removed_all<K: Key + ?Sized, S: KeyPart>(
        &mut self,
        life: Option<usize>,
        tables: &mut Tables,
        arena: &mut Arena,
        at: (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        match life.map(|life| &self.all[life]) {
            // As for a single one.
            Some(life) if !life.rule.cleans_up => tables.purge::<K, S>(life.times, arena, at),
            _ => Ok(()),
        }
    }

    /// Does a bounded piece of what falls due.
    pub(super) fn sweep(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
    ) -> Result<(), StateError> {
        self.busy = false;
        for life in &mut self.all {
            self.busy |= life.sweep(tables, arena, moment)?;
        }
        Ok(())
    }

    /// When something falls due by processing time; the beginning of time where something is due already.
    pub(super) fn next_clock(&self) -> Option<Timestamp> {
        let next = self.all.iter().filter_map(Life::next_clock).min();
        if self.busy { Some(Timestamp::MIN) } else { next }
    }
}

/// How far what a checkpoint has brought is on the wheel.
#[derive(Clone, Copy)]
enum Walk {
    /// Times from this hash on are not.
    Times(KeyHash),
    /// All times are; entries from this hash on may have none, because they had no time to live before.
    Entries(KeyHash),
    Done,
}

impl Life {
    pub(super) fn new(
        rule: Ttl,
        ttl: i64,
        (entries, times): (usize, usize),
        forget: Forget,
        is_empty: bool,
    ) -> Self {
        let walk = if is_empty || !rule.cleans_up { Walk::Done } else { Walk::Times(KeyHash(0)) };
        Life { rule, ttl, entries, times, forget, wheel: Wheel::new(ttl), walk, new: 0, found: Vec::new() }
    }

    fn expired(&self, stamp: i64, now: i64) -> bool {
        stamp.saturating_add(self.ttl) <= now
    }

    /// When an entry was last used.
    fn stamp(
        &self,
        tables: &mut Tables,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<Option<i64>, StateError> {
        let mut stamp = None;
        tables.get_raw(self.times, arena, hash, key, &mut |bytes| stamp = time_of(bytes))?;
        Ok(stamp)
    }

    /// An entry was written: a new one, or one that was there.
    fn written(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        is_new: bool,
    ) -> Result<(), StateError> {
        let mut stamp = moment.stamp(self.rule.domain);
        if self.rule.domain == TimeDomain::Event && !is_new {
            // Records come out of order; what has been used later is not made older.
            stamp = self.stamp(tables, arena, (hash, key))?.map_or(stamp, |before| stamp.max(before));
        }
        let new = tables.insert_raw(self.times, arena, hash, key, &stamp.to_le_bytes())?;
        // Where the walk is still to come, it finds the entry.
        let will_be_found = matches!(self.walk, Walk::Times(from) if from <= hash);
        if new && self.rule.cleans_up && !will_be_found {
            self.new += 1;
            self.wheel.push(stamp.saturating_add(self.ttl), hash);
        }
        Ok(())
    }

    /// An entry is about to be shown.
    fn read(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<Standing, StateError> {
        let Some(stamp) = self.stamp(tables, arena, (hash, key))? else { return Ok(Standing::Alive) };
        if self.expired(stamp, moment.now(self.rule.domain)) {
            return Ok(if self.rule.shows_expired { Standing::Leaving } else { Standing::Expired });
        }
        if self.rule.renewed_by_reading {
            self.written(tables, arena, moment, (hash, key), false)?;
        }
        Ok(Standing::Alive)
    }

    /// Takes an entry out that has expired.
    fn forget(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        (self.forget)(tables, arena, (hash, key))?;
        self.removed(tables, arena, (hash, key))
    }

    /// An entry was taken out.
    fn removed(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        // Otherwise its time goes when the wheel gives it out.
        if !self.rule.cleans_up {
            tables.remove(self.times, arena, hash, key)?;
        }
        Ok(())
    }

    /// Does a bounded piece of what falls due. Says whether there is more.
    fn sweep(&mut self, tables: &mut Tables, arena: &mut Arena, moment: &Moment) -> Result<bool, StateError> {
        if !self.rule.cleans_up {
            return Ok(false);
        }
        self.walk(tables, arena, moment)?;
        let now = moment.now(self.rule.domain);
        for _ in 0..LOOKS_PER_STEP + 2 * std::mem::take(&mut self.new) {
            let Some(hash) = self.wheel.pop(now) else { return Ok(!matches!(self.walk, Walk::Done)) };
            self.look_at(tables, arena, hash, now)?;
        }
        Ok(true)
    }

    fn look_at(
        &mut self,
        tables: &mut Tables,
        arena: &mut Arena,
        hash: KeyHash,
        now: i64,
    ) -> Result<(), StateError> {
        let mut found = std::mem::take(&mut self.found);
        let mut note = |_: KeyHash, key: &[u8], time: &[u8]| {
            found.extend(time_of(time).map(|time| (key.to_vec(), time)));
        };
        tables.walk_raw(self.times, arena, (hash, hash), PAGES_OF_A_HASH, &mut note)?;
        // More than one only where whole hashes collide: then each has an item of its own, and each item takes care of all.
        let mut first_alive = None;
        for (key, stamp) in found.drain(..) {
            if self.expired(stamp, now) {
                (self.forget)(tables, arena, (hash, &key))?;
                tables.remove(self.times, arena, hash, &key)?;
            } else {
                first_alive = Some(first_alive.map_or(stamp, |first: i64| first.min(stamp)));
            }
        }
        if let Some(stamp) = first_alive {
            self.wheel.push(stamp.saturating_add(self.ttl), hash);
        }
        self.found = found;
        Ok(())
    }

    /// Puts a piece of what a checkpoint has brought onto the wheel.
    fn walk(&mut self, tables: &mut Tables, arena: &mut Arena, moment: &Moment) -> Result<(), StateError> {
        let to = KeyHash(u64::MAX);
        match self.walk {
            Walk::Done => {}
            Walk::Times(from) => {
                let (wheel, ttl) = (&mut self.wheel, self.ttl);
                let mut push = |hash: KeyHash, _: &[u8], time: &[u8]| {
                    if let Some(time) = time_of(time) {
                        wheel.push(time.saturating_add(ttl), hash);
                    }
                };
                let next = tables.walk_raw(self.times, arena, (from, to), PAGES_PER_STEP, &mut push)?;
                self.walk = next.map_or(Walk::Entries(KeyHash(0)), Walk::Times);
            }
            Walk::Entries(from) => {
                let mut entries: Vec<(KeyHash, Vec<u8>)> = Vec::new();
                let mut note = |hash: KeyHash, key: &[u8], _: &[u8]| entries.push((hash, key.to_vec()));
                let next = tables.walk_raw(self.entries, arena, (from, to), PAGES_PER_STEP, &mut note)?;
                for (hash, key) in entries {
                    if self.stamp(tables, arena, (hash, &key))?.is_none() {
                        self.written(tables, arena, moment, (hash, &key), true)?;
                    }
                }
                self.walk = next.map_or(Walk::Done, Walk::Entries);
            }
        }
        Ok(())
    }

    /// When something falls due by processing time.
    fn next_clock(&self) -> Option<Timestamp> {
        match (self.walk, self.rule.domain) {
            _ if !self.rule.cleans_up => None,
            (Walk::Times(_) | Walk::Entries(_), _) => Some(Timestamp::MIN),
            (Walk::Done, TimeDomain::Processing) => self.wheel.next().map(Timestamp),
            (Walk::Done, TimeDomain::Event) => None,
        }
    }
}

/// The time that lies in a table.
fn time_of(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}
