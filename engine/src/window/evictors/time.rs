//! Keeping the elements of the last stretch of time.

use crate::time::{Span, Tick};
use crate::window::{Evicting, Evictor, WindowError};

/// Keeps the elements that are no more than a span older than the newest one, and drops those before (Flink's `TimeEvictor`).
#[derive(Clone, Copy, Debug)]
pub struct TimeEvictor {
    span: i64,
    after: bool,
}

impl TimeEvictor {
    /// Keeps the last stretch of this length, counted in the job's [tick](crate::graph::Flow::tick).
    ///
    /// # Errors
    /// Where the length is not at least one tick.
    pub fn of(span: impl Into<Span>, tick: Tick) -> Result<Self, WindowError> {
        let span = crate::window::error::positive("span of a time evictor", span.into(), tick)?;
        Ok(TimeEvictor { span, after: false })
    }

    /// Takes the others out after the function instead of before.
    pub fn after(self) -> Self {
        TimeEvictor { after: true, ..self }
    }

    fn evict<T>(&self, elements: &mut Evicting<'_, T>) {
        let Some(newest) = elements.iter().map(|element| element.at.0).max() else { return };
        let cut = newest.saturating_sub(self.span);
        elements.retain(|element| element.at.0 >= cut);
    }
}

impl<T> Evictor<T> for TimeEvictor {
    fn evict_before(&self, elements: &mut Evicting<'_, T>) {
        if !self.after {
            self.evict(elements);
        }
    }

    fn evict_after(&self, elements: &mut Evicting<'_, T>) {
        if self.after {
            self.evict(elements);
        }
    }
}
