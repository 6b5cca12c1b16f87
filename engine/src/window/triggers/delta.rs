//! Firing by how far a value has moved.

use super::or_end::OrEndOfWindow;
use crate::record::{Field, Record, View};
use crate::window::{TimeDomain, Trigger, TriggerContext, TriggerResult};

/// Fires when the distance between the record at which it last fired (at the beginning, the window's first one) and the newest one is
/// more than a threshold (Flink's `DeltaTrigger`). It silences the end of the window.
#[derive(Clone, Copy, Debug)]
pub struct DeltaTrigger<D> {
    threshold: f64,
    delta: D,
}

impl<D> DeltaTrigger<D> {
    /// `delta` gives the distance from an older record to a newer one: `DeltaTrigger::of(10.0, |old: &Car, new: &Car| new.at - old.at)`.
    pub fn of<T>(threshold: f64, delta: D) -> Self
    where
        D: Fn(&T, &T) -> f64,
    {
        DeltaTrigger { threshold, delta }
    }

    /// Fires at the end of the window, too.
    pub fn or_end_of_window(self) -> OrEndOfWindow<Self> {
        OrEndOfWindow::new(self)
    }
}

impl<T, D> Trigger<T> for DeltaTrigger<D>
where
    T: Record + Field + Clone,
    D: Fn(&T, &T) -> f64 + 'static,
{
    /// The record at which it last fired.
    type State = Option<T>;

    fn on_element(&self, record: &View<T>, ctx: &mut TriggerContext<'_, Option<T>>) -> TriggerResult {
        let record = T::owned(record);
        let distance = ctx.state().as_ref().map(|before| (self.delta)(before, &record));
        if distance.is_some_and(|distance| distance <= self.threshold) {
            return TriggerResult::Continue;
        }
        *ctx.state_mut() = Some(record);
        if distance.is_some() { TriggerResult::Fire } else { TriggerResult::Continue }
    }

    fn can_merge(&self) -> bool {
        false
    }

    fn fires_at_end(&self, _: TimeDomain) -> bool {
        false
    }
}
