//! Keeping the last so many elements.

use crate::window::{Evicting, Evictor};

/// Keeps the last `count` elements of a window (Flink's `CountEvictor`).
#[derive(Clone, Copy, Debug)]
pub struct CountEvictor {
    count: usize,
    after: bool,
}

impl CountEvictor {
    /// Keeps the last so many.
    pub fn of(count: usize) -> Self {
        CountEvictor { count, after: false }
    }

    /// Takes the others out after the function instead of before.
    pub fn after(self) -> Self {
        CountEvictor { after: true, ..self }
    }

    fn evict<T>(&self, elements: &mut Evicting<'_, T>) {
        let mut surplus = elements.len().saturating_sub(self.count);
        elements.retain(|_| match surplus {
            0 => true,
            _ => {
                surplus -= 1;
                false
            }
        });
    }
}

impl<T> Evictor<T> for CountEvictor {
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
