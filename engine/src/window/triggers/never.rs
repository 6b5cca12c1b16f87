//! Not firing at all.

use crate::record::{Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Never fires: what Flink's global windows have unless another trigger is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverTrigger;

impl<T: Record> Trigger<T> for NeverTrigger {
    type State = ();

    fn on_element(&self, _: &View<T>, _: &mut TriggerContext<'_, ()>) -> TriggerResult {
        TriggerResult::Continue
    }

    fn fires_at_end(&self, _: TimeDomain) -> bool {
        false
    }
}
