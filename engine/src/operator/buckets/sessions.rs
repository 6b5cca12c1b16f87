//! The windows of a key that merge: which there are, and in which slot the contents of each lie (Flink's `MergingWindowSet`).

use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::state::{StateError, Table};
use crate::window::TimeWindow;

/// A window of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) window: TimeWindow,
    /// The window that its slot was made for: the first of those that became this one.
    pub(super) slot: TimeWindow,
    /// Whether it covers windows that have given out results, and has not given out one itself since.
    pub(super) covers_fired: bool,
}

/// As it lies in the table: start, end, start and end of the slot, and whether it covers windows that have fired.
type Entry = [i64; 5];

impl Active {
    fn of(entry: &Entry) -> Active {
        let window = |start, end| TimeWindow { start: Timestamp(start), end: Timestamp(end) };
        let [start, end, slot_start, slot_end, covers_fired] = *entry;
        Active {
            window: window(start, end),
            slot: window(slot_start, slot_end),
            covers_fired: covers_fired != 0,
        }
    }

    fn entry(&self) -> Entry {
        let (window, slot) = (self.window, self.slot);
        [window.start.0, window.end.0, slot.start.0, slot.end.0, i64::from(self.covers_fired)]
    }
}

/// What has become of a new window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Joined {
    /// The window that it became part of, or itself.
    pub(super) active: Active,
    /// Whether a window that there was has grown.
    pub(super) grown: bool,
    /// The slots of the windows that were taken in beside the one whose slot goes on.
    pub(super) absorbed: Vec<TimeWindow>,
}

/// The windows of all keys.
pub(super) struct Sessions<K: Key + ?Sized> {
    pub(super) table: Table<K, Vec<Entry>>,
    /// Those of the key at hand.
    current: Vec<Active>,
}

impl<K: Key + ?Sized> Sessions<K> {
    pub(super) fn new(table: Table<K, Vec<Entry>>) -> Self {
        Sessions { table, current: Vec::new() }
    }

    fn read(&mut self, arena: &mut Arena, (hash, key): (KeyHash, &[u8])) -> Result<(), StateError> {
        self.current.clear();
        let current = &mut self.current;
        self.table.get(arena, hash, key, |entries| {
            current.extend(entries.iter().map(Active::of));
        })?;
        Ok(())
    }

    fn write(&mut self, arena: &mut Arena, (hash, key): (KeyHash, &[u8])) -> Result<(), StateError> {
        if self.current.is_empty() {
            return self.table.remove(arena, hash, key).map(drop);
        }
        let entries: Vec<Entry> = self.current.iter().map(Active::entry).collect();
        self.table.insert(arena, hash, key, &entries).map(drop)
    }

    /// Adds a window, which becomes one with those it touches. None where it touches none and is `gone`. `has_fired` says which windows have
    /// given out results.
    pub(super) fn add(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        window: TimeWindow,
        gone: bool,
        has_fired: impl Fn(TimeWindow) -> bool,
    ) -> Result<Option<Joined>, StateError> {
        self.read(arena, key)?;
        let Some(first) = self.current.iter().position(|active| active.window.touches(&window)) else {
            if gone {
                return Ok(None);
            }
            let active = Active { window, slot: window, covers_fired: false };
            let place = self.current.partition_point(|other| other.window < window);
            self.current.insert(place, active);
            self.write(arena, key)?;
            return Ok(Some(Joined { active, grown: false, absorbed: Vec::new() }));
        };
        // They are in order and touch each other nowhere, so that those which the new one touches lie side by side.
        let touched = self.current[first..].iter().take_while(|active| active.window.touches(&window));
        let touched: Vec<Active> = touched.copied().collect();
        let cover = touched.iter().fold(window, |cover, active| cover.cover(&active.window));
        let keeps = touched[0];
        let grown = cover != keeps.window;
        let fired = touched.iter().any(|active| active.covers_fired || (grown && has_fired(active.window)));
        let active = Active { window: cover, slot: keeps.slot, covers_fired: fired };
        if active != keeps {
            self.current.splice(first..first + touched.len(), [active]);
            self.write(arena, key)?;
        }
        let absorbed = touched[1..].iter().map(|active| active.slot).collect();
        Ok(Some(Joined { active, grown, absorbed }))
    }

    /// The window whose contents lie in a slot, if there is one.
    pub(super) fn of_slot(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        slot: TimeWindow,
    ) -> Result<Option<Active>, StateError> {
        self.read(arena, key)?;
        Ok(self.current.iter().copied().find(|active| active.slot == slot))
    }

    /// The window of a slot has given out a result.
    pub(super) fn fired(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        slot: TimeWindow,
    ) -> Result<(), StateError> {
        self.read(arena, key)?;
        for active in self.current.iter_mut().filter(|active| active.slot == slot) {
            active.covers_fired = false;
        }
        self.write(arena, key)
    }

    /// The window of a slot is over.
    pub(super) fn remove(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        slot: TimeWindow,
    ) -> Result<(), StateError> {
        self.read(arena, key)?;
        self.current.retain(|active| active.slot != slot);
        self.write(arena, key)
    }
}
