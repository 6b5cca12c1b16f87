//! What a function of windows keeps, and what it can do while a window fires.

use std::marker::PhantomData;

use super::slot::{Slot, SlotOf};
use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::OpId;
use crate::operator::failure::{Cause, raise};
use crate::operator::side::Tag;
use crate::operator::store::Opening;
use crate::operator::tables::Tables;
use crate::record::Record;
use crate::state::StateError;
use crate::window::{Firing, TimeWindow, WindowContext};

/// One value per key, across its windows (Flink's `globalState`): what [`WindowStates::per_key`] gives.
pub struct PerKey<V> {
    number: Option<usize>,
    value: PhantomData<fn() -> V>,
}

/// One value per key and window (Flink's `windowState`): what [`WindowStates::per_window`] gives.
pub struct PerWindow<V> {
    number: Option<usize>,
    value: PhantomData<fn() -> V>,
}

impl<V> Default for PerKey<V> {
    /// Not declared yet.
    fn default() -> Self {
        PerKey { number: None, value: PhantomData }
    }
}

impl<V> Default for PerWindow<V> {
    /// Not declared yet.
    fn default() -> Self {
        PerWindow { number: None, value: PhantomData }
    }
}

/// A function of windows keeps something per window, and its windows merge.
#[derive(Debug, thiserror::Error)]
#[error(
    "state `{name}` is kept per window, but the windows of the operator merge, and nobody can tell what becomes of it then; keep it per key, \
     or put it into the aggregate"
)]
struct MergingWindows {
    name: &'static str,
}

/// Where a function of windows declares what it keeps. The names are the identity of states in checkpoints.
pub struct WindowStates<'a, K: Key + ?Sized> {
    opening: Opening<'a>,
    tables: Tables,
    of_windows: Vec<usize>,
    merging: bool,
    failed: Option<Cause>,
    key: PhantomData<Box<K>>,
}

impl<'a, K: Key + ?Sized> WindowStates<'a, K> {
    pub(super) fn new(opening: Opening<'a>, merging: bool) -> Self {
        WindowStates {
            opening,
            tables: Tables::default(),
            of_windows: Vec::new(),
            merging,
            failed: None,
            key: PhantomData,
        }
    }

    /// One value per key under this name, which outlives its windows.
    pub fn per_key<V: Record>(&mut self, name: &'static str) -> PerKey<V> {
        let number = self.declare::<K, V>(name);
        PerKey { number, value: PhantomData }
    }

    /// One value per key and window under this name. It goes when the window does. Refused where windows merge, as in Flink.
    pub fn per_window<V: Record>(&mut self, name: &'static str) -> PerWindow<V> {
        if self.merging {
            self.failed.get_or_insert(Cause::fatal(MergingWindows { name }));
        }
        let number = self.declare::<SlotOf<K>, V>(name);
        self.of_windows.extend(number);
        PerWindow { number, value: PhantomData }
    }

    fn declare<Q: Key + ?Sized, V: Record>(&mut self, name: &'static str) -> Option<usize> {
        match self.opening.table::<Q, V>(name) {
            Ok(table) => Some(self.tables.push(name, table)),
            Err(cause) => {
                self.failed.get_or_insert(cause);
                None
            }
        }
    }

    /// All is declared.
    pub(super) fn finish(self) -> Result<(Opening<'a>, WindowTables), Cause> {
        match self.failed {
            Some(cause) => Err(cause),
            None => Ok((self.opening, WindowTables { tables: self.tables, of_windows: self.of_windows })),
        }
    }
}

/// What a function of windows keeps on one shard.
#[derive(Default)]
pub(super) struct WindowTables {
    pub(super) tables: Tables,
    /// The numbers of those that hold something per window.
    of_windows: Vec<usize>,
}

impl WindowTables {
    /// A window is over.
    pub(super) fn clear(&mut self, arena: &mut Arena, slot: &Slot) -> Result<(), StateError> {
        self.of_windows.iter().try_for_each(|number| {
            self.tables.remove(*number, arena, slot.hash, &slot.bytes)?;
            Ok(())
        })
    }
}

/// The key and window at hand, and where output goes: given to a [`ProcessWindow`](super::function::ProcessWindow) with each firing.
pub struct ProcessWindowContext<'a, K: Key + ?Sized, U> {
    pub(super) op: OpId,
    pub(super) seed: HashSeed,
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) slot: &'a Slot,
    pub(super) window: TimeWindow,
    pub(super) firing: Firing,
    pub(super) watermark: Timestamp,
    pub(super) processing: Timestamp,
    pub(super) tables: &'a mut WindowTables,
    pub(super) arena: &'a mut Arena,
    pub(super) out: &'a mut Vec<(U, Timestamp)>,
    pub(super) types: PhantomData<Box<K>>,
}

impl<K: Key + ?Sized, U> ProcessWindowContext<'_, K, U> {
    /// The key.
    pub fn key(&self) -> K::Owned {
        K::decode(self.key.0, self.key.1, self.seed)
    }

    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// Why it fires.
    pub fn firing(&self) -> Firing {
        self.firing
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.watermark > Timestamp::MIN).then_some(self.watermark)
    }

    /// Processing time at the beginning of the shard's step: ticks of the job since the Unix epoch.
    pub fn processing_time(&self) -> Timestamp {
        self.processing
    }

    /// Gives a record out, with the window's last tick as event time.
    pub fn emit(&mut self, record: U) {
        self.out.push((record, self.window.max_timestamp()));
    }

    /// Gives a record out beside the main output.
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.window.max_timestamp());
    }

    /// What is kept for the key across its windows, if anything.
    pub fn get<V: Record>(&mut self, state: &PerKey<V>) -> Option<V> {
        let (hash, key) = self.key;
        let got = self.tables.tables.of::<K, V>(state.number).get(self.arena, hash, key, V::owned);
        self.check(got)
    }

    /// Keeps a value for the key across its windows.
    pub fn set<V: Record>(&mut self, state: &PerKey<V>, value: V) {
        let (hash, key) = self.key;
        let set = self.tables.tables.of::<K, V>(state.number).insert(self.arena, hash, key, &value);
        self.check(set);
    }

    /// Keeps nothing for the key any more. Says whether there was something.
    pub fn forget<V: Record>(&mut self, state: &PerKey<V>) -> bool {
        let (hash, key) = self.key;
        let removed = self.tables.tables.of::<K, V>(state.number).remove(self.arena, hash, key);
        self.check(removed)
    }

    /// What is kept for the key and window, if anything.
    pub fn get_in_window<V: Record>(&mut self, state: &PerWindow<V>) -> Option<V> {
        let (hash, bytes) = self.slot.key();
        let table = self.tables.tables.of::<SlotOf<K>, V>(state.number);
        let got = table.get(self.arena, hash, bytes, V::owned);
        self.check(got)
    }

    /// Keeps a value for the key and window.
    pub fn set_in_window<V: Record>(&mut self, state: &PerWindow<V>, value: V) {
        let (hash, bytes) = self.slot.key();
        let table = self.tables.tables.of::<SlotOf<K>, V>(state.number);
        let set = table.insert(self.arena, hash, bytes, &value);
        self.check(set);
    }

    pub(super) fn window_context(&self) -> WindowContext<K::Owned> {
        WindowContext { key: self.key(), window: self.window, firing: self.firing, watermark: self.watermark }
    }

    /// State that cannot be read or written ends the job's attempt.
    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}
