//! Firing once for each record.

use crate::element::Timestamp;
use crate::record::{Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Fires when another trigger does, and drops the window's contents each time (Flink's `PurgingTrigger`).
#[derive(Clone, Copy, Debug)]
pub struct PurgingTrigger<G>(G);

impl<G> PurgingTrigger<G> {
    /// Purges whenever this trigger fires.
    pub fn of(trigger: G) -> Self {
        PurgingTrigger(trigger)
    }
}

fn purge(result: TriggerResult) -> TriggerResult {
    if result.fires() { TriggerResult::FireAndPurge } else { result }
}

impl<T: Record, G: Trigger<T>> Trigger<T> for PurgingTrigger<G> {
    type State = G::State;

    fn on_element(&self, record: &View<T>, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        purge(self.0.on_element(record, ctx))
    }

    fn on_event_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        purge(self.0.on_event_time(at, ctx))
    }

    fn on_processing_time(&self, at: Timestamp, ctx: &mut TriggerContext<'_, G::State>) -> TriggerResult {
        purge(self.0.on_processing_time(at, ctx))
    }

    fn on_merge(&self, absorbed: Option<&G::State>, ctx: &mut TriggerContext<'_, G::State>) {
        self.0.on_merge(absorbed, ctx);
    }

    fn can_merge(&self) -> bool {
        self.0.can_merge()
    }

    fn fires_at_end(&self, domain: TimeDomain) -> bool {
        self.0.fires_at_end(domain)
    }
}
