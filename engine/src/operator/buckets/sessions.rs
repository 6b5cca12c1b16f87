//! The windows of a key that merge: which there are, and in which slot the contents of each lie (Flink's `MergingWindowSet`).
//!
//! Most keys have one window at a time, which most of their records extend. It lies where it is changed in place; the windows of keys that have
//! several lie in a table of their own.

use crate::arena::Arena;
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::failure::Cause;
use crate::operator::store::{Contents as Saved, Opening};
use crate::state::{StateError, Table};
use crate::window::TimeWindow;

const ONE: &str = "windows of keys that have one";
/// Checkpoints of earlier versions have all keys there.
const SEVERAL: &str = "windows of keys";

/// A window of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) window: TimeWindow,
    /// The window that its slot was made for: the first of those that became this one.
    pub(super) slot: TimeWindow,
    /// Whether it covers windows that have given out results, and has not given out one itself since.
    pub(super) covers_fired: bool,
}

/// As it lies in a table: start, end, start and end of the slot, and whether it covers windows that have fired.
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

    /// What it becomes, in its slot, together with others and a new window that all of them touch.
    fn covering(self, others: &[Active], new: TimeWindow, has_fired: impl Fn(TimeWindow) -> bool) -> Active {
        let all = || std::iter::once(&self).chain(others);
        let window = all().fold(new, |cover, active| cover.cover(&active.window));
        let grown = window != self.window;
        let covers_fired = all().any(|active| active.covers_fired || (grown && has_fired(active.window)));
        Active { window, slot: self.slot, covers_fired }
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

/// Where the windows of a key lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lying {
    Nowhere,
    One,
    Several,
}

/// The windows of all keys.
pub(super) struct Sessions<K: Key + ?Sized> {
    /// Of keys that have one.
    one: Table<K, Entry>,
    /// Of keys that have several, in order.
    several: Table<K, Vec<Entry>>,
    /// Those of the key at hand.
    current: Vec<Active>,
    /// The table that they were read from.
    from: Lying,
}

impl<K: Key + ?Sized> Sessions<K> {
    pub(super) fn open(opening: &mut Opening<'_>) -> Result<Self, Cause> {
        let (one, several) = (opening.table(ONE)?, opening.table(SEVERAL)?);
        Ok(Sessions { one, several, current: Vec::new(), from: Lying::Nowhere })
    }

    /// Notes the tables for a checkpoint.
    pub(super) fn list(&self, saved: &mut Saved) {
        saved.table(ONE, self.one.meta()).table(SEVERAL, self.several.meta());
    }

    /// Forgets the windows of all keys.
    pub(super) fn clear(&mut self, arena: &mut Arena) {
        if !self.one.is_empty() {
            self.one.clear(arena);
        }
        if !self.several.is_empty() {
            self.several.clear(arena);
        }
    }

    fn read(&mut self, arena: &mut Arena, (hash, key): (KeyHash, &[u8])) -> Result<(), StateError> {
        let Sessions { one, several, current, .. } = self;
        current.clear();
        self.from = Lying::Nowhere;
        if one.get(arena, hash, key, |entry| current.push(Active::of(entry)))?.is_some() {
            self.from = Lying::One;
        } else if !several.is_empty()
            && let Some(()) =
                several.get(arena, hash, key, |entries| current.extend(entries.iter().map(Active::of)))?
        {
            self.from = Lying::Several;
        }
        Ok(())
    }

    fn write(&mut self, arena: &mut Arena, (hash, key): (KeyHash, &[u8])) -> Result<(), StateError> {
        let to = match self.current.len() {
            0 => Lying::Nowhere,
            1 => Lying::One,
            _ => Lying::Several,
        };
        if self.from != to {
            match self.from {
                Lying::Nowhere => {}
                Lying::One => self.one.remove(arena, hash, key).map(drop)?,
                Lying::Several => self.several.remove(arena, hash, key).map(drop)?,
            }
        }
        match self.current.as_slice() {
            [] => Ok(()),
            [active] => self.one.insert(arena, hash, key, &active.entry()).map(drop),
            several => {
                let entries: Vec<Entry> = several.iter().map(Active::entry).collect();
                self.several.insert(arena, hash, key, &entries).map(drop)
            }
        }
    }

    /// Adds a window, which becomes one with those it touches. None where it touches none and is `gone`. `has_fired` says which windows have
    /// given out results.
    #[inline]
    pub(super) fn add(
        &mut self,
        arena: &mut Arena,
        key: (KeyHash, &[u8]),
        window: TimeWindow,
        gone: bool,
        has_fired: impl Fn(TimeWindow) -> bool,
    ) -> Result<Option<Joined>, StateError> {
        let extended = self.one.modify(arena, key.0, key.1, |entry| {
            let before = Active::of(entry);
            before.window.touches(&window).then(|| {
                let active = before.covering(&[], window, &has_fired);
                *entry = active.entry();
                Joined { active, grown: active.window != before.window, absorbed: Vec::new() }
            })
        })?;
        match extended.flatten() {
            Some(joined) => Ok(Some(joined)),
            None => self.add_to_several(arena, key, window, gone, has_fired),
        }
    }

    /// Adds a window to a key that has none or several, or one that it does not touch.
    fn add_to_several(
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
        let touched =
            self.current[first..].iter().take_while(|active| active.window.touches(&window)).count();
        let (keeps, others) = (self.current[first], &self.current[first + 1..first + touched]);
        let active = keeps.covering(others, window, &has_fired);
        let absorbed = others.iter().map(|active| active.slot).collect();
        if active != keeps {
            self.current.splice(first..first + touched, [active]);
            self.write(arena, key)?;
        }
        Ok(Some(Joined { active, grown: active.window != keeps.window, absorbed }))
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
