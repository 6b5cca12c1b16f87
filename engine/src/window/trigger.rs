//! When a window gives out a result.

use super::assigner::TimeDomain;
use super::time_window::TimeWindow;
use crate::element::Timestamp;
use crate::record::{Record, View};

/// What a trigger decides (Flink's `TriggerResult`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing happens.
    Continue,
    /// The window gives out a result, and keeps its contents.
    Fire,
    /// The window's contents go; the window itself and what the trigger keeps stay.
    Purge,
    /// The window gives out a result, then its contents go.
    FireAndPurge,
}

impl TriggerResult {
    /// Whether a result is given out.
    pub fn fires(self) -> bool {
        matches!(self, TriggerResult::Fire | TriggerResult::FireAndPurge)
    }

    /// Whether the contents go.
    pub fn purges(self) -> bool {
        matches!(self, TriggerResult::Purge | TriggerResult::FireAndPurge)
    }
}

/// Decides, per key and window, when a result is given out (Flink's `Trigger`,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#triggers>).
///
/// One trigger serves all keys and windows of a shard: what it has to remember of one is its [`State`](Trigger::State), which is saved
/// in checkpoints.
///
/// ```
/// use millstream_engine::prelude::*;
/// use millstream_engine::window::{Trigger, TriggerContext, TriggerResult};
///
/// /// Fires early when a record is marked as urgent, and again at the end of the window.
/// struct Urgent;
///
/// impl Trigger<(u64, bool)> for Urgent {
///     type State = ();
///
///     fn on_element(&self, record: &View<(u64, bool)>, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
///         ctx.register_event_timer(ctx.window().max_timestamp());
///         if record.1 { TriggerResult::Fire } else { TriggerResult::Continue }
///     }
///
///     fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
///         if at == ctx.window().max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue }
///     }
/// }
/// ```
pub trait Trigger<T: Record>: 'static {
    /// What it remembers of one key and window; `()` where that is nothing.
    type State: Record + Clone + Default;

    /// A record was added to the window.
    fn on_element(&self, record: &View<T>, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult;

    /// A timer of event time that it registered for the window has come due.
    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult {
        let _ = (at, ctx);
        TriggerResult::Continue
    }

    /// A timer of processing time that it registered for the window has come due.
    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Self::State>) -> TriggerResult {
        let _ = (at, ctx);
        TriggerResult::Continue
    }

    /// The window has become larger, by taking in another one, or because a record has extended it. `absorbed` is what was remembered
    /// of the other one, where there was one. Timers of the window at hand stay as they are; those of the other one are gone.
    fn on_merge(&self, absorbed: Option<&Self::State>, ctx: &mut TriggerContext<'_, Self::State>) {
        let _ = (absorbed, ctx);
    }

    /// Whether it can be used with windows that merge, such as sessions.
    fn can_merge(&self) -> bool {
        true
    }

    /// Whether every window with an end that goes by this clock gives out a result when its time has come. One that says no is pointed out
    /// where its windows do have an end.
    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        let _ = domain;
        true
    }
}

/// What a trigger is told about the key and window at hand, and what it can do.
pub struct TriggerContext<'a, S> {
    pub(crate) window: TimeWindow,
    pub(crate) domain: TimeDomain,
    pub(crate) at: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) processing: Timestamp,
    pub(crate) is_first: bool,
    pub(crate) is_reopened: bool,
    pub(crate) state: &'a mut S,
    pub(crate) changed: &'a mut bool,
    pub(crate) timers: &'a mut Vec<TimerChange>,
}

/// A timer that is to be registered, or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerChange {
    pub(crate) domain: TimeDomain,
    pub(crate) at: Timestamp,
    pub(crate) register: bool,
}

impl<S> TriggerContext<'_, S> {
    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// The clock that the windows go by.
    pub fn domain(&self) -> TimeDomain {
        self.domain
    }

    /// The timestamp of the record, or of the timer.
    pub fn timestamp(&self) -> Timestamp {
        self.at
    }

    /// How far event time has come for the key; [`Timestamp::MIN`] before the first watermark.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Processing time, in ticks of the job since the Unix epoch.
    pub fn processing_time(&self) -> Timestamp {
        self.processing
    }

    /// Whether the window had no contents before this record: it has just been made, or was purged.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    /// Whether the window has grown, or taken in others, after it or they had come to their ends; it has not given out a result since.
    pub fn is_reopened(&self) -> bool {
        self.is_reopened
    }

    /// What is remembered of the key and window.
    pub fn state(&self) -> &S {
        self.state
    }

    /// The same, to be changed.
    pub fn state_mut(&mut self) -> &mut S {
        *self.changed = true;
        self.state
    }

    /// Registers a timer of event time for the key and window. It has at most one for each time.
    pub fn register_event_timer(&mut self, at: Timestamp) {
        self.change(TimeDomain::Event, at, true);
    }

    /// Registers a timer of processing time for the key and window.
    pub fn register_processing_timer(&mut self, at: Timestamp) {
        self.change(TimeDomain::Processing, at, true);
    }

    /// Deletes a timer of event time; nothing happens where there is none.
    pub fn delete_event_timer(&mut self, at: Timestamp) {
        self.change(TimeDomain::Event, at, false);
    }

    /// Deletes a timer of processing time; nothing happens where there is none.
    pub fn delete_processing_timer(&mut self, at: Timestamp) {
        self.change(TimeDomain::Processing, at, false);
    }

    fn change(&mut self, domain: TimeDomain, at: Timestamp, register: bool) {
        self.timers.push(TimerChange { domain, at, register });
    }
}
