//! Firing by the number of records.

use super::or_end::OrEndOfWindow;
use crate::record::{Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Fires whenever so many records have come since it last fired (Flink's `CountTrigger`). It silences the end of the window: what is left
/// there gives out nothing, unless [`or_end_of_window`](CountTrigger::or_end_of_window) is said.
#[derive(Clone, Copy, Debug)]
pub struct CountTrigger {
    count: u64,
}

impl CountTrigger {
    /// Fires with every `count`-th record; 0 counts as 1.
    pub fn of(count: u64) -> Self {
        CountTrigger { count: count.max(1) }
    }

    /// Fires at the end of the window, too.
    pub fn or_end_of_window(self) -> OrEndOfWindow<Self> {
        OrEndOfWindow::new(self)
    }

    fn check(&self, counted: &mut u64) -> TriggerResult {
        if *counted < self.count {
            return TriggerResult::Continue;
        }
        *counted = 0;
        TriggerResult::Fire
    }
}

impl<T: Record> Trigger<T> for CountTrigger {
    type State = u64;

    fn on_element(&self, _: &View<T>, ctx: &mut TriggerContext<'_, u64>) -> TriggerResult {
        let counted = ctx.state_mut();
        *counted += 1;
        self.check(counted)
    }

    fn on_merge(&self, absorbed: Option<&u64>, ctx: &mut TriggerContext<'_, u64>) {
        if let Some(more) = absorbed {
            *ctx.state_mut() += more;
        }
    }

    fn fires_at_end(&self, _: TimeDomain) -> bool {
        false
    }
}
