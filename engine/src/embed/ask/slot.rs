//! Where the outcome of one call at a time is waited for.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::error::AskError;
use super::options::Level;
use crate::embed::apart::Apart;
use crate::runtime::wake::wake_a_stranger;

/// See the [module](self). Callers look at `answered` again and again: it shares no cache line with what is written meanwhile.
pub(super) struct Slot<R> {
    answered: Apart<AtomicU32>,
    state: Apart<Mutex<State<R>>>,
}

/// What is known of the call that has the slot.
struct State<R> {
    generation: u32,
    /// Whether a call has it.
    open: bool,
    level: Level,
    deadline: Option<Instant>,
    outcome: Option<Result<R, AskError>>,
    waker: Option<Waker>,
}

impl<R> Slot<R> {
    pub(super) fn new() -> Self {
        let state = State {
            // What nothing has been answered in.
            generation: 1,
            open: false,
            level: Level::Computed,
            deadline: None,
            outcome: None,
            waker: None,
        };
        Slot { answered: Apart(AtomicU32::new(0)), state: Apart(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing runs under it that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call takes it; gives the call's generation.
    pub(super) fn open(&self, level: Level, deadline: Instant) -> u32 {
        let mut state = self.lock();
        state.open = true;
        state.level = level;
        state.deadline = Some(deadline);
        state.generation
    }

    /// The call is over, or nobody waits for it any more: what comes for it from now on is forgotten.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        state.outcome = None;
        state.waker = None;
        // Not 0, which nothing has.
        state.generation = state.generation.checked_add(1).unwrap_or(1);
    }

    /// The level of the reply that a call waits for; none where it does not any more.
    pub(super) fn level(&self, generation: u32) -> Option<Level> {
        let state = self.lock();
        (state.open && state.generation == generation && state.outcome.is_none()).then_some(state.level)
    }

    /// Gives a call its outcome, if it waits for one.
    pub(super) fn settle(&self, generation: u32, outcome: Result<R, AskError>) {
        let mut state = self.lock();
        if !state.open || state.generation != generation || state.outcome.is_some() {
            return;
        }
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        self.answered.store(generation, Ordering::Release);
        waker.into_iter().for_each(wake_a_stranger);
    }

    /// Gives the call that waits now this outcome, if it is one of those.
    pub(super) fn settle_if(
        &self,
        which: impl FnOnce(u32, Option<Instant>) -> bool,
        outcome: impl FnOnce() -> AskError,
    ) {
        let state = self.lock();
        let (waits, generation) = (state.open && state.outcome.is_none(), state.generation);
        let is_it = waits && which(generation, state.deadline);
        drop(state);
        if is_it {
            self.settle(generation, Err(outcome()));
        }
    }

    /// When the call that waits now will have waited too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.lock();
        state.deadline.filter(|_| state.open && state.outcome.is_none())
    }

    /// The outcome of the call that has it, if it is there; else `waker` is woken when it is.
    pub(super) fn look(&self, generation: u32, waker: Option<&Waker>) -> Poll<Result<R, AskError>> {
        if waker.is_none() && self.answered.load(Ordering::Acquire) != generation {
            return Poll::Pending;
        }
        let mut state = self.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        if let Some(waker) = waker
            && !state.waker.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            state.waker = Some(waker.clone());
        }
        Poll::Pending
    }
}
