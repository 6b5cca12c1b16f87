//! Firing again and again while the window is open.

use super::at_end::{event_element, event_merge, event_timer, may_have_fired};
use crate::element::Timestamp;
use crate::record::{Record, View};
use crate::time::{Span, Tick};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult, WindowError};

/// Fires whenever event time passes a multiple of the interval, and at the end of the window (Flink's `ContinuousEventTimeTrigger`).
#[derive(Clone, Copy, Debug)]
pub struct ContinuousEventTimeTrigger {
    interval: i64,
}

/// Fires whenever processing time passes a multiple of the interval, and at the end of windows that go by it (Flink's
/// `ContinuousProcessingTimeTrigger`). It silences the end of windows of event time.
#[derive(Clone, Copy, Debug)]
pub struct ContinuousProcessingTimeTrigger {
    interval: i64,
}

/// The next multiple of the interval after a time, but no later than `end`.
fn next(at: Timestamp, interval: i64, end: Timestamp) -> Timestamp {
    Timestamp((at.0 - at.0.rem_euclid(interval)).saturating_add(interval).min(end.0))
}

/// The last tick at which the clock can fire a window: its own, where it goes by the clock.
fn end_by_clock<S>(ctx: &TriggerContext<'_, S>) -> Timestamp {
    match ctx.domain() {
        TimeDomain::Event => Timestamp::MAX,
        TimeDomain::Processing => ctx.window().max_timestamp(),
    }
}

impl ContinuousEventTimeTrigger {
    /// Fires at every multiple of the interval, counted in the job's [tick](crate::graph::Flow::tick).
    ///
    /// # Errors
    /// Where the interval is not at least one tick.
    pub fn of(interval: impl Into<Span>, tick: Tick) -> Result<Self, WindowError> {
        Ok(ContinuousEventTimeTrigger { interval: positive(interval.into(), tick)? })
    }
}

impl ContinuousProcessingTimeTrigger {
    /// Fires at every multiple of the interval, counted in the job's [tick](crate::graph::Flow::tick).
    ///
    /// # Errors
    /// Where the interval is not at least one tick.
    pub fn of(interval: impl Into<Span>, tick: Tick) -> Result<Self, WindowError> {
        Ok(ContinuousProcessingTimeTrigger { interval: positive(interval.into(), tick)? })
    }
}

fn positive(interval: Span, tick: Tick) -> Result<i64, WindowError> {
    crate::window::error::positive("interval of a continuous trigger", interval, tick)
}

/// The time of the next firing.
type Next = Option<i64>;

impl<T: Record> Trigger<T> for ContinuousEventTimeTrigger {
    type State = Next;

    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, Next>) -> TriggerResult {
        let result = event_element(ctx);
        if result == TriggerResult::Continue && ctx.state().is_none() {
            let at = next(ctx.timestamp(), self.interval, ctx.window().max_timestamp());
            *ctx.state_mut() = Some(at.0);
            ctx.register_event_timer(at);
        }
        result
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Next>) -> TriggerResult {
        if event_timer(at, ctx) == TriggerResult::Fire {
            return TriggerResult::Fire;
        }
        if *ctx.state() != Some(at.0) {
            return TriggerResult::Continue;
        }
        let end = ctx.window().max_timestamp();
        // When the stream is over, nothing comes between the firings that a window without end still has.
        let is_last = ctx.watermark() == Timestamp::MAX && ctx.window().end == Timestamp::MAX;
        let after = if is_last { end } else { next(at, self.interval, end) };
        *ctx.state_mut() = Some(after.0);
        ctx.register_event_timer(after);
        TriggerResult::Fire
    }

    fn on_merge(&self, absorbed: Option<&Next>, ctx: &mut TriggerContext<'_, Next>) {
        let absorbed = earlier(absorbed, ctx);
        // The timer of a window that had come to its end is gone.
        let mine = ctx.state().filter(|_| may_have_fired(ctx)).map(Timestamp);
        if let Some(at) = absorbed.or(mine) {
            ctx.register_event_timer(at);
        }
        event_merge(ctx);
    }

    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        domain == TimeDomain::Event
    }
}

impl<T: Record> Trigger<T> for ContinuousProcessingTimeTrigger {
    type State = Next;

    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, Next>) -> TriggerResult {
        if ctx.state().is_none() {
            let at = next(ctx.processing_time(), self.interval, end_by_clock(ctx));
            *ctx.state_mut() = Some(at.0);
            ctx.register_processing_timer(at);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, Next>) -> TriggerResult {
        if *ctx.state() != Some(at.0) {
            return TriggerResult::Continue;
        }
        let after = next(at, self.interval, end_by_clock(ctx));
        *ctx.state_mut() = Some(after.0);
        ctx.register_processing_timer(after);
        TriggerResult::Fire
    }

    fn on_merge(&self, absorbed: Option<&Next>, ctx: &mut TriggerContext<'_, Next>) {
        if let Some(at) = earlier(absorbed, ctx) {
            ctx.register_processing_timer(at);
        }
    }

    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        domain == TimeDomain::Processing
    }
}

/// Takes the earlier of two firings for the merged window. Gives it where it is the absorbed window's.
fn earlier(absorbed: Option<&Next>, ctx: &mut TriggerContext<'_, Next>) -> Option<Timestamp> {
    let other = (*absorbed?)?;
    if ctx.state().is_some_and(|mine| mine <= other) {
        return None;
    }
    *ctx.state_mut() = Some(other);
    Some(Timestamp(other))
}
