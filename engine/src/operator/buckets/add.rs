//! Taking records in.

use super::fire::{Fired, Occasion};
use super::sessions::{Active, Joined};
use super::{Assign, Buckets, Contents, Decide, Intake, Late, Slot, WindowFunction};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::Push;
use crate::operator::failure::{Blame, Cause, Cursor, raise};
use crate::operator::inputs::Inputs;
use crate::operator::keyed::FromExchange;
use crate::record::Record;
use crate::state::StateError;
use crate::window::{TimeDomain, TimeWindow, TimerChange, TriggerContext};

impl<I, K, A, G, C, F, L> Buckets<I, K, A, G, C, F, L>
where
    I: Intake,
    K: Key + ?Sized,
    A: Assign<I>,
    G: Decide<I>,
    C: Contents<I, K>,
    F: WindowFunction<K, C::Values>,
    L: Late<I>,
{
    pub(super) fn take<P: Push<FromExchange<Self>>>(
        &mut self,
        batch: &<I::In as Inputs>::Batch<'_>,
        push: &mut P,
    ) {
        let mut cursor = Cursor::new();
        I::each::<K>(batch, |index, key, at, item| {
            (cursor.index, cursor.at) = (index, at);
            self.one(key, at, item).unwrap_or_else(|error| raise(self.op, Cause::state(error)));
            self.out.drain(..).for_each(|(record, at)| push.push(record, at));
        });
    }

    /// Whether a window takes nothing in any more.
    pub(super) fn is_gone(&self, window: TimeWindow, seen: Timestamp) -> bool {
        self.manner.domain == TimeDomain::Event
            && self.manner.has_end
            && window.is_gone_at(seen, self.manner.lateness)
    }

    fn one(&mut self, key: (KeyHash, &[u8]), at: Timestamp, item: I::Item<'_>) -> Result<(), StateError> {
        let mut windows = std::mem::take(&mut self.scratch.windows);
        windows.clear();
        let by = match self.manner.domain {
            TimeDomain::Event => at,
            TimeDomain::Processing => self.processing,
        };
        let assigner = self.assigner.as_ref().expect("a graph with a window that cannot be is refused");
        let assigned = Blame::on(self.op, || assigner.assign(by, item, &mut windows));
        assigned.unwrap_or_else(|error| raise(self.op, Cause::fatal(error)));
        let Some(&last) = windows.last() else {
            self.progress.unassigned += 1;
            self.scratch.windows = windows;
            return Ok(());
        };
        let seen = self.progress.seen(key.0);
        let mut taken = false;
        // The latest first, as with windows that are slices.
        for &window in windows.iter().rev() {
            taken |= match self.manner.merging {
                true => self.add_merging(key, window, item, at, seen)?,
                false if self.is_gone(window, seen) => false,
                false => {
                    let active = Active { window, slot: window, covers_fired: false };
                    self.add(key, active, None, item, at, seen)?;
                    true
                }
            };
        }
        if !taken {
            self.progress.enter_late(key, at, seen, last);
            self.on_late.late(self.op, item, at);
        }
        self.scratch.windows = windows;
        Ok(())
    }

    /// Adds a record whose window may become one with others. Says whether it was in time.
    fn add_merging(
        &mut self,
        key: (KeyHash, &[u8]),
        window: TimeWindow,
        item: I::Item<'_>,
        at: Timestamp,
        seen: Timestamp,
    ) -> Result<bool, StateError> {
        let gone = self.is_gone(window, seen);
        let by_event = self.manner.domain == TimeDomain::Event;
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let sessions = kept.sessions.as_mut().expect("windows that merge are kept");
        let fired = |window: TimeWindow| by_event && window.fires_at(seen);
        let joined = sessions.add(kept.store.arena(), key, window, gone, fired)?;
        let Some(joined) = joined else { return Ok(false) };
        self.add(key, joined.active, Some(&joined), item, at, seen)?;
        Ok(true)
    }

    /// Adds a record to a window, and lets the trigger decide. `joined` is what became of it where windows merge.
    fn add(
        &mut self,
        key: (KeyHash, &[u8]),
        active: Active,
        joined: Option<&Joined>,
        item: I::Item<'_>,
        at: Timestamp,
        seen: Timestamp,
    ) -> Result<(), StateError> {
        let op = self.op;
        let mut slot = std::mem::take(&mut self.scratch.slot);
        slot.set::<K>(key, active.slot);
        let absorbed = match joined {
            Some(joined) => self.absorb(key, &slot, joined)?,
            None => Vec::new(),
        };
        let kept = self.kept.as_mut().expect("open comes before the first batch");
        let is_first = self.contents.add(kept.store.arena(), op, &slot, item, at)?;
        let grown = joined.is_some_and(|joined| joined.grown);
        let result = self.with_trigger(&slot, active, (at, seen), is_first, |trigger, ctx| {
            Blame::on(op, || {
                for state in &absorbed {
                    trigger.on_merge(Some(state), ctx);
                }
                if grown && absorbed.is_empty() {
                    trigger.on_merge(None, ctx);
                }
                trigger.on_element(item, ctx)
            })
        })?;
        if is_first {
            self.note_cleanup(active.window);
        }
        self.change_timers(&slot)?;
        let fired = Fired { key, slot: &slot, active, seen, occasion: Occasion::Record };
        self.act(result, &fired)?;
        self.scratch.slot = slot;
        Ok(())
    }

    /// Takes the contents of windows over that have become part of another one. Gives what triggers remembered of them.
    fn absorb(
        &mut self,
        key: (KeyHash, &[u8]),
        into: &Slot,
        joined: &Joined,
    ) -> Result<Vec<G::State>, StateError> {
        let mut states = Vec::new();
        let mut other = std::mem::take(&mut self.scratch.other);
        for &window in &joined.absorbed {
            other.set::<K>(key, window);
            let kept = self.kept.as_mut().expect("open comes before the first batch");
            self.contents.merge(kept.store.arena(), self.op, into, &other)?;
            let state = match &mut kept.triggers {
                Some(table) => {
                    let state = table.get(kept.store.arena(), other.hash, &other.bytes, G::State::owned)?;
                    table.remove(kept.store.arena(), other.hash, &other.bytes)?;
                    state
                }
                None => None,
            };
            states.push(state.unwrap_or_default());
        }
        self.scratch.other = other;
        Ok(states)
    }

    /// Calls the trigger for a window, with what it remembers of it.
    pub(super) fn with_trigger<R>(
        &mut self,
        slot: &Slot,
        active: Active,
        (at, seen): (Timestamp, Timestamp),
        is_first: bool,
        call: impl FnOnce(&G, &mut TriggerContext<'_, G::State>) -> R,
    ) -> Result<R, StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let mut state = match &kept.triggers {
            Some(table) => table.get(kept.store.arena(), slot.hash, &slot.bytes, G::State::owned)?,
            None => None,
        }
        .unwrap_or_default();
        let mut changed = false;
        let mut context = TriggerContext {
            window: active.window,
            is_reopened: active.covers_fired,
            domain: self.manner.domain,
            at,
            watermark: seen,
            processing: self.processing,
            is_first,
            state: &mut state,
            changed: &mut changed,
            timers: &mut self.scratch.changes,
        };
        let result = call(&self.trigger, &mut context);
        if changed && let Some(table) = &mut kept.triggers {
            table.insert(kept.store.arena(), slot.hash, &slot.bytes, &state)?;
        }
        Ok(result)
    }

    /// The time at which a window is over, and nothing of it is kept.
    pub(super) fn over_at(&self, window: TimeWindow) -> Option<Timestamp> {
        let at = window.cleanup_time(self.manner.lateness);
        // What would be over at the end of time is so when the job is.
        (self.manner.has_end && at < Timestamp::MAX).then_some(at)
    }

    /// Sees to it that the operator looks at a window when it is over.
    pub(super) fn note_cleanup(&mut self, window: TimeWindow) {
        let Some(at) = self.over_at(window) else { return };
        let change = TimerChange { domain: self.manner.domain, at, register: true };
        if !self.scratch.changes.contains(&change) {
            self.scratch.changes.push(change);
        }
    }

    /// Registers and deletes the timers of a slot that were asked for.
    pub(super) fn change_timers(&mut self, slot: &Slot) -> Result<(), StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        for TimerChange { domain, at, register } in self.scratch.changes.drain(..) {
            if self.last_call && register && domain == TimeDomain::Processing {
                continue;
            }
            let timers = match domain {
                TimeDomain::Event => &mut kept.event,
                TimeDomain::Processing => &mut kept.processing,
            };
            match register {
                true => timers.register(kept.store.arena(), at, slot.hash, &slot.bytes)?,
                false => timers.delete(kept.store.arena(), at, slot.hash, &slot.bytes)?,
            };
        }
        Ok(())
    }
}
