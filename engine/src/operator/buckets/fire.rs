//! Timers that come due, and what triggers decide.

use std::marker::PhantomData;

use super::sessions::Active;
use super::{
    Assign, Buckets, Contents, Decide, Intake, Late, Manner, ProcessWindowContext, Slot, WindowFunction,
};
use crate::element::{KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::Push;
use crate::operator::failure::{Blame, Cause, KeyAtHand, raise};
use crate::operator::keyed::{self, FromExchange};
use crate::state::StateError;
use crate::timers::Pop;
use crate::window::{Firing, TimeDomain, TriggerResult};

/// How many timers come due in one piece.
const TIMERS_PER_PIECE: usize = if cfg!(test) { 1 } else { 64 };

/// What made a trigger decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Record,
    Timer(TimeDomain, Timestamp),
}

/// The key and window at hand.
pub(super) struct Fired<'a> {
    pub(super) key: (KeyHash, &'a [u8]),
    pub(super) slot: &'a Slot,
    pub(super) active: Active,
    pub(super) seen: Timestamp,
    pub(super) occasion: Occasion,
}

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
    /// Handles a piece of what is due by one of the clocks.
    pub(super) fn fire<P: Push<FromExchange<Self>>>(
        &mut self,
        domain: TimeDomain,
        up_to: Timestamp,
        push: &mut P,
    ) -> keyed::Firing {
        let mut due = std::mem::take(&mut self.scratch.due);
        let mut firing = keyed::Firing::More;
        for _ in 0..TIMERS_PER_PIECE {
            let kept = self.kept.as_mut().expect("open comes first");
            let queue = match domain {
                TimeDomain::Event => &mut kept.event,
                TimeDomain::Processing => &mut kept.processing,
            };
            let handled = match queue.pop(kept.store.arena(), up_to, &mut due) {
                Ok(Pop::Done) => {
                    firing = keyed::Firing::Done;
                    break;
                }
                Ok(Pop::Again) => Ok(()),
                Ok(Pop::Due) => self.timer(domain, due.at, due.hash, &due.key),
                Err(error) => Err(error),
            };
            handled.unwrap_or_else(|error| raise(self.op, Cause::state(error)));
            self.out.drain(..).for_each(|(record, at)| push.push(record, at));
        }
        self.scratch.due = due;
        firing
    }

    fn timer(
        &mut self,
        domain: TimeDomain,
        at: Timestamp,
        hash: KeyHash,
        bytes: &[u8],
    ) -> Result<(), StateError> {
        let (window, key_hash, key_bytes) = Slot::split::<K>(bytes);
        let key = (key_hash, key_bytes);
        let _at_hand = KeyAtHand::<K>::new(key, self.seed);
        let kept = self.kept.as_mut().expect("open comes first");
        let active = match &mut kept.sessions {
            Some(sessions) => match sessions.of_slot(kept.store.arena(), key, window)? {
                Some(active) => active,
                // Its contents have moved to another slot.
                None => return Ok(()),
            },
            None => Active { window, slot: window, covers_fired: false },
        };
        let over_at = self.over_at(active.window).filter(|_| domain == self.manner.domain);
        if over_at.is_some_and(|over_at| over_at < at) {
            // A timer that a trigger has left behind.
            return Ok(());
        }
        let mut slot = std::mem::take(&mut self.scratch.slot);
        slot.hash = hash;
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        let (op, seen) = (self.op, self.progress.seen(key.0));
        let result = self.with_trigger(&slot, active, (at, seen), false, |trigger, ctx| {
            Blame::on(op, || match domain {
                TimeDomain::Event => trigger.on_event_time(at, ctx),
                TimeDomain::Processing => trigger.on_processing_time(at, ctx),
            })
        })?;
        let is_over = over_at == Some(at);
        match is_over {
            // What it wants to be told later will not come to pass.
            true => self.scratch.changes.clear(),
            false if over_at.is_some() && self.manner.merging => self.note_cleanup(active.window),
            false => {}
        }
        self.change_timers(&slot)?;
        let fired = Fired { key, slot: &slot, active, seen, occasion: Occasion::Timer(domain, at) };
        self.act(result, &fired)?;
        if is_over {
            self.clean_up(&fired)?;
        }
        self.scratch.slot = slot;
        Ok(())
    }

    /// Does what the trigger has decided.
    pub(super) fn act(&mut self, result: TriggerResult, fired: &Fired<'_>) -> Result<(), StateError> {
        if result.fires() {
            self.emit(fired)?;
        }
        if result.purges() {
            let kept = self.kept.as_mut().expect("open comes first");
            self.contents.clear(kept.store.arena(), fired.slot)?;
        }
        Ok(())
    }

    fn emit(&mut self, fired: &Fired<'_>) -> Result<(), StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let (op, window) = (self.op, fired.active.window);
        let Some(mut values) = self.contents.gather(kept.store.arena(), op, fired.slot, window)? else {
            return Ok(());
        };
        let function = &mut self.function;
        let mut context = ProcessWindowContext {
            op,
            seed: self.seed,
            key: fired.key,
            slot: fired.slot,
            window,
            firing: firing(fired, self.manner),
            watermark: fired.seen,
            processing: self.processing,
            tables: &mut kept.tables,
            arena: kept.store.arena(),
            out: &mut self.out,
            types: PhantomData,
        };
        Blame::on(op, || function.call(&mut values, &mut context));
        self.contents.fired(kept.store.arena(), op, fired.slot, window, values)?;
        if fired.active.covers_fired
            && let Some(sessions) = &mut kept.sessions
        {
            sessions.fired(kept.store.arena(), fired.key, fired.active.slot)?;
        }
        Ok(())
    }

    /// Forgets a window that is over.
    fn clean_up(&mut self, fired: &Fired<'_>) -> Result<(), StateError> {
        let kept = self.kept.as_mut().expect("open comes first");
        let function = &mut self.function;
        let mut context = ProcessWindowContext {
            op: self.op,
            seed: self.seed,
            key: fired.key,
            slot: fired.slot,
            window: fired.active.window,
            firing: Firing::OnTime,
            watermark: fired.seen,
            processing: self.processing,
            tables: &mut kept.tables,
            arena: kept.store.arena(),
            out: &mut self.out,
            types: PhantomData,
        };
        Blame::on(self.op, || function.clear(&mut context));
        let slot = fired.slot;
        self.contents.clear(kept.store.arena(), slot)?;
        kept.tables.clear(kept.store.arena(), slot)?;
        if let Some(triggers) = &mut kept.triggers {
            triggers.remove(kept.store.arena(), slot.hash, &slot.bytes)?;
        }
        if let Some(sessions) = &mut kept.sessions {
            sessions.remove(kept.store.arena(), fired.key, fired.active.slot)?;
        }
        Ok(())
    }
}

/// What kind of firing this is, by the clock that the windows go by.
fn firing(fired: &Fired<'_>, manner: Manner) -> Firing {
    let end = fired.active.window.max_timestamp();
    match fired.occasion {
        _ if fired.active.covers_fired => Firing::Merged,
        _ if !manner.has_end => Firing::OnTime,
        Occasion::Timer(domain, at) if domain == manner.domain && at < end => Firing::Early,
        Occasion::Timer(domain, at) if domain == manner.domain && at == end => Firing::OnTime,
        // By processing time a window is over with its end.
        _ if manner.domain == TimeDomain::Processing => Firing::Early,
        Occasion::Record | Occasion::Timer(TimeDomain::Processing, _) if fired.seen < end => Firing::Early,
        _ => Firing::Late,
    }
}
