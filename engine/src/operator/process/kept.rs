//! What a function keeps on one shard, and how its states are reached.

use super::bounds::{Bounds, Held};
use super::lives::{Lives, Moment, Standing};
use super::timers::Timers;
use super::value_state::ValueSlot;
use crate::arena::Arena;
use crate::checkpoint::codec::Writer;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::store::{Contents, Store};
use crate::operator::tables::Tables;
use crate::record::{Record, View};
use crate::runtime::reads::{Read, StateRead};
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::StateError;
use crate::timers::Overdue;
use crate::window::TimeDomain;

/// All that a function keeps on one shard: its states and its timers.
pub(super) struct Kept<K: Key + ?Sized> {
    pub(super) store: Store,
    pub(super) tables: Tables,
    pub(super) timers: Timers<K>,
    pub(super) lives: Lives,
    pub(super) bounds: Bounds,
    pub(super) copied: Vec<usize>,
    /// The states that can be read from outside.
    pub(super) readable: Vec<String>,
    /// What becomes of timers that are overdue when the clock is first looked at.
    pub(super) overdue: Option<Overdue>,
    /// A sub-key on its way into a table.
    pub(super) sub_key: Vec<u8>,
    /// The timers of processing time fire for the last time: none is set any more.
    pub(super) last_call: bool,
}

/// What states are made of: tables, the arena they lie in, room for a sub-key, and how long entries live.
pub(super) struct Parts<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) arena: &'a mut Arena,
    pub(super) sub_key: &'a mut Vec<u8>,
    pub(super) lives: &'a mut Lives,
}

impl<K: Key + ?Sized> Kept<K> {
    /// The clock is looked at: for the first time, that is what decides which timers are overdue.
    #[inline]
    pub(super) fn look_at_clock(&mut self, now: Timestamp) -> Result<(), StateError> {
        if let Some(policy) = self.overdue.take() {
            self.timers.of(TimeDomain::Processing).apply_overdue(self.store.arena(), policy, now)?;
        }
        Ok(())
    }

    /// Records with these keys come next.
    #[inline]
    pub(super) fn expect(&mut self, hashes: &[KeyHash]) {
        self.tables.expect::<K>(self.store.arena(), hashes);
    }

    /// What a state holds under a key, for somebody outside. Nothing is used by that.
    pub(super) fn read(&mut self, read: &StateRead, moment: &Moment) -> Read {
        if let Err(refused) = self.store.check_read(read, self.readable.iter().map(String::as_str)) {
            return refused;
        }
        let table = self.tables.number_of(&read.state).expect("what is declared has a table");
        self.try_read(table, read, moment).map_or_else(|error| Read::Failed(error.to_string()), Read::Value)
    }

    fn try_read(
        &mut self,
        table: usize,
        read: &StateRead,
        moment: &Moment,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let at = (read.hash, read.key.as_slice());
        let Parts { tables, arena, lives, .. } = self.parts();
        if lives.hides(table, tables, arena, moment, at)? {
            return Ok(None);
        }
        let mut value = None;
        tables.get_raw(table, arena, read.hash, &read.key, &mut |bytes| value = Some(bytes.to_vec()))?;
        Ok(value)
    }

    /// All that states are made of.
    #[inline]
    pub(super) fn parts(&mut self) -> Parts<'_> {
        let Kept { store, tables, lives, sub_key, .. } = self;
        Parts { tables, arena: store.arena(), sub_key, lives }
    }

    /// Whether a state has room for what is about to be written under a key.
    #[inline]
    pub(super) fn admits(
        &mut self,
        bound: Option<usize>,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let Some(bound) = bound else { return Ok(true) };
        let Kept { store, tables, lives, bounds, .. } = self;
        bounds.admits(bound, Held { tables, arena: store.arena(), lives }, moment, at)
    }

    /// What is kept under a key is about to be read.
    #[inline]
    pub(super) fn reads(
        &mut self,
        bound: Option<usize>,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<(), StateError> {
        let Some(bound) = bound else { return Ok(()) };
        let Kept { store, tables, lives, bounds, .. } = self;
        bounds.read(bound, Held { tables, arena: store.arena(), lives }, moment, at)
    }

    pub(super) fn get<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        at: (KeyHash, &[u8]),
    ) -> Result<Option<V>, StateError> {
        self.view::<V, V>(slot, moment, at, V::owned)
    }

    /// Shows a value, if there is one.
    pub(super) fn view<V: Record, R>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        at: (KeyHash, &[u8]),
        show: impl FnOnce(&View<V>) -> R,
    ) -> Result<Option<R>, StateError> {
        self.reads(slot.bound, moment, at)?;
        let Parts { tables, arena, lives, .. } = self.parts();
        lives.view::<K, V, R>(tables, arena, (slot.table, slot.life), moment, at, show)
    }

    pub(super) fn set<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        value: &V,
    ) -> Result<(), StateError> {
        if !self.admits(slot.bound, moment, (hash, key))? {
            return Ok(());
        }
        let Parts { tables, arena, lives, .. } = self.parts();
        let new = tables.of::<K, V>(Some(slot.table)).insert(arena, hash, key, value)?;
        lives.written(slot.life, tables, arena, moment, (hash, key), new)
    }

    /// Changes a value, which is put in as `init` gives it where there is none. Where there is no room, what was changed is not kept.
    pub(super) fn update<V: Record, R>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
        init: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        if lives.read(slot.life, tables, arena, moment, (hash, key))? == Standing::Expired {
            lives.forget(slot.life, tables, arena, (hash, key))?;
        }
        if !self.admits(slot.bound, moment, (hash, key))? {
            return Ok(change(&mut init()));
        }
        let Parts { tables, arena, lives, .. } = self.parts();
        let mut new = false;
        let init = || {
            new = true;
            init()
        };
        let result = tables.of::<K, V>(Some(slot.table)).update(arena, hash, key, init, change)?;
        lives.written(slot.life, tables, arena, moment, (hash, key), new)?;
        Ok(result)
    }

    /// Takes a value out. Says whether there was one that had not expired.
    pub(super) fn remove<V: Record>(
        &mut self,
        slot: ValueSlot,
        moment: &Moment,
        (hash, key): (KeyHash, &[u8]),
    ) -> Result<bool, StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        let standing = lives.read(slot.life, tables, arena, moment, (hash, key))?;
        if !tables.of::<K, V>(Some(slot.table)).remove(arena, hash, key)? {
            return Ok(false);
        }
        lives.removed(slot.life, tables, arena, (hash, key))?;
        tables.remove_from(slot.uses, arena, hash, key)?;
        Ok(standing != Standing::Expired)
    }

    /// Takes out a bounded number of entries that have expired.
    pub(super) fn sweep(&mut self, moment: &Moment) -> Result<(), StateError> {
        let Parts { tables, arena, lives, .. } = self.parts();
        lives.sweep(tables, arena, moment)
    }

    /// Whether no timer of this kind of time is set any more.
    pub(super) fn is_over(&self, domain: TimeDomain) -> bool {
        self.last_call && domain == TimeDomain::Processing
    }

    /// All timers of processing time fire now, and none is set any more until the key at hand is forgotten.
    pub(super) fn call_last(&mut self) {
        self.last_call = true;
    }

    /// The key at hand was the only one: nothing is kept any more, except what every shard has a copy of. All timers have fired.
    pub(super) fn forget_key(&mut self) {
        self.last_call = false;
        let Kept { store, tables, lives, copied, .. } = self;
        tables.clear_those(store.arena(), |number| !copied.contains(&number));
        lives.all_gone();
    }

    /// When something falls due by processing time.
    pub(super) fn next_clock(&self) -> Option<Timestamp> {
        self.timers.first_processing().into_iter().chain(self.lives.next_clock()).min()
    }

    pub(super) fn keys(&self) -> u64 {
        self.tables.keys()
    }

    /// How many writes were left out for want of room.
    pub(super) fn shed_writes(&self) -> u64 {
        self.bounds.shed_writes()
    }

    /// How many keys had to go for want of room.
    pub(super) fn evicted_keys(&self) -> u64 {
        self.bounds.evicted_keys()
    }

    pub(super) fn save(&self, words: Writer) -> OperatorSnapshot {
        let mut contents = Contents::default();
        self.tables.list(&mut contents);
        self.timers.save(&mut contents);
        self.store.snapshot(contents.own(words))
    }
}
