//! Firing at the end of the window beside whatever else a trigger fires at.

use super::at_end::{end_merge, event_element, event_timer, processing_element, processing_timer};
use crate::element::Timestamp;
use crate::record::{Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Fires when another trigger does, and at the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct OrEndOfWindow<G>(G);

impl<G> OrEndOfWindow<G> {
    /// Adds the end of the window to what this trigger fires at.
    pub fn new(trigger: G) -> Self {
        OrEndOfWindow(trigger)
    }
}

/// What two triggers decide together: a window fires if one of them says so, and is purged likewise.
fn either(one: TriggerResult, other: TriggerResult) -> TriggerResult {
    match (one.fires() || other.fires(), one.purges() || other.purges()) {
        (true, true) => TriggerResult::FireAndPurge,
        (true, false) => TriggerResult::Fire,
        (false, true) => TriggerResult::Purge,
        (false, false) => TriggerResult::Continue,
    }
}

impl<T: Record, G: Trigger<T>> Trigger<T> for OrEndOfWindow<G> {
    type State = G::State;

    fn on_element(&self, record: &View<T>, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        let at_end = match ctx.domain() {
            TimeDomain::Event => event_element(ctx),
            TimeDomain::Processing => processing_element(ctx),
        };
        either(self.0.on_element(record, ctx), at_end)
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        let at_end = match ctx.domain() {
            TimeDomain::Event => event_timer(at, ctx),
            TimeDomain::Processing => TriggerResult::Continue,
        };
        either(self.0.on_event_time(at, ctx), at_end)
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        let at_end = match ctx.domain() {
            TimeDomain::Event => TriggerResult::Continue,
            TimeDomain::Processing => processing_timer(at, ctx),
        };
        either(self.0.on_processing_time(at, ctx), at_end)
    }

    fn on_merge(&self, absorbed: Option<&G::State>, ctx: &mut TriggerContext<'_, G::State>) {
        self.0.on_merge(absorbed, ctx);
        end_merge(ctx);
    }

    fn can_merge(&self) -> bool {
        self.0.can_merge()
    }
}
