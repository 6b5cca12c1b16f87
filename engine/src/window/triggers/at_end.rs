//! Firing when the window's time has come, and again with each record that comes after that.

use crate::element::Timestamp;
use crate::record::{Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Fires when the watermark reaches the window's last tick; a record that comes later, within the allowed lateness, fires it again at once
/// (Flink's `EventTimeTrigger`).
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTimeTrigger;

/// Fires when processing time reaches the window's last tick (Flink's `ProcessingTimeTrigger`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessingTimeTrigger;

/// The trigger of windows for which the program names none: that of the clock which they go by.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtEnd;

/// A record was added to a window that fires at its end by the event time.
pub(super) fn event_element<S>(ctx: &mut TriggerContext<'_, S>) -> TriggerResult {
    let end = ctx.window().max_timestamp();
    if end <= ctx.watermark() {
        return TriggerResult::Fire;
    }
    if ctx.is_first() {
        ctx.register_event_timer(end);
    }
    TriggerResult::Continue
}

/// A timer has come due. Where the window has been extended since the timer was registered, it is registered anew: so the records of a
/// session move no timers.
pub(super) fn event_timer<S>(at: Timestamp, ctx: &mut TriggerContext<'_, S>) -> TriggerResult {
    let end = ctx.window().max_timestamp();
    if at == end {
        return TriggerResult::Fire;
    }
    if at < end {
        ctx.register_event_timer(end);
    }
    TriggerResult::Continue
}

/// The window has grown. A timer of a window that was open stands before its new end, and is registered anew there ([`event_timer`]); that of one
/// that has fired is gone.
pub(super) fn event_merge<S>(ctx: &mut TriggerContext<'_, S>) {
    let end = ctx.window().max_timestamp();
    if may_have_fired(ctx) && end > ctx.watermark() {
        ctx.register_event_timer(end);
    }
}

/// Whether the timers that a window of the size before had for its end may have fired. How far event time has come says nothing of windows
/// that go by the clock.
pub(super) fn may_have_fired<S>(ctx: &TriggerContext<'_, S>) -> bool {
    ctx.is_reopened() || ctx.domain() == TimeDomain::Processing
}

pub(super) fn processing_element<S>(ctx: &mut TriggerContext<'_, S>) -> TriggerResult {
    // A window that goes by event time may still be open when its timer has fired.
    if ctx.is_first() || ctx.domain() == TimeDomain::Event {
        ctx.register_processing_timer(ctx.window().max_timestamp());
    }
    TriggerResult::Continue
}

pub(super) fn processing_timer<S>(at: Timestamp, ctx: &mut TriggerContext<'_, S>) -> TriggerResult {
    let end = ctx.window().max_timestamp();
    if at == end {
        return TriggerResult::Fire;
    }
    if at < end {
        ctx.register_processing_timer(end);
    }
    TriggerResult::Continue
}

/// A window that fires at its end, by whichever clock it goes, has grown.
pub(super) fn end_merge<S>(ctx: &mut TriggerContext<'_, S>) {
    if ctx.domain() == TimeDomain::Event {
        event_merge(ctx);
    }
}

impl<T: Record> Trigger<T> for EventTimeTrigger {
    type State = ();

    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        event_element(ctx)
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        event_timer(at, ctx)
    }

    fn on_merge(&self, _: Option<&()>, ctx: &mut TriggerContext<'_, ()>) {
        event_merge(ctx);
    }

    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        domain == TimeDomain::Event
    }
}

impl<T: Record> Trigger<T> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        processing_element(ctx)
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        processing_timer(at, ctx)
    }

    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        domain == TimeDomain::Processing
    }
}

impl<T: Record> Trigger<T> for AtEnd {
    type State = ();

    #[inline]
    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        match ctx.domain() {
            TimeDomain::Event => event_element(ctx),
            TimeDomain::Processing => processing_element(ctx),
        }
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        event_timer(at, ctx)
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, ()>) -> TriggerResult {
        processing_timer(at, ctx)
    }

    fn on_merge(&self, _: Option<&()>, ctx: &mut TriggerContext<'_, ()>) {
        end_merge(ctx);
    }
}
