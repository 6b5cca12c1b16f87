//! Keeping the elements that are near the last one.

use crate::window::{Evicting, Evictor};

/// Takes out what is `threshold` or more away from the last element (Flink's `DeltaEvictor`).
#[derive(Clone, Copy, Debug)]
pub struct DeltaEvictor<D> {
    threshold: f64,
    delta: D,
    after: bool,
}

impl<D> DeltaEvictor<D> {
    /// `delta` gives the distance from an element to the last one.
    pub fn of<T>(threshold: f64, delta: D) -> Self
    where
        D: Fn(&T, &T) -> f64,
    {
        DeltaEvictor { threshold, delta, after: false }
    }

    /// Takes the others out after the function instead of before.
    pub fn after(self) -> Self {
        DeltaEvictor { after: true, ..self }
    }

    fn evict<T>(&self, elements: &mut Evicting<'_, T>)
    where
        D: Fn(&T, &T) -> f64,
    {
        let Some(last) = elements.elements.iter().zip(&*elements.stays).rposition(|(_, stays)| *stays) else {
            return;
        };
        let last = &elements.elements[last].value;
        elements.retain(|element| (self.delta)(&element.value, last) < self.threshold);
    }
}

impl<T, D: Fn(&T, &T) -> f64 + 'static> Evictor<T> for DeltaEvictor<D> {
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
