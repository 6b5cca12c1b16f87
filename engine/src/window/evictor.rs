//! Which elements of a window take part in its result.

use super::time_window::TimeWindow;
use crate::element::Timestamp;

/// A value with its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed<V> {
    /// The value.
    pub value: V,
    /// Its timestamp.
    pub at: Timestamp,
}

/// Takes elements out of a window before its function sees them, or after (Flink's `Evictor`,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/operators/windows/#evictors>). What is taken out is gone for
/// later firings, too.
///
/// A window with an evictor keeps every element, so that nothing can be aggregated ahead: its state grows with the number of records.
pub trait Evictor<T>: 'static {
    /// Before the function. Elements are in the order of their arrival.
    fn evict_before(&self, elements: &mut Evicting<'_, T>) {
        let _ = elements;
    }

    /// After the function.
    fn evict_after(&self, elements: &mut Evicting<'_, T>) {
        let _ = elements;
    }
}

/// The elements of a window, from which an [`Evictor`] takes some out.
pub struct Evicting<'a, T> {
    pub(crate) window: TimeWindow,
    pub(crate) elements: &'a [Timed<T>],
    /// Whether each of them stays.
    pub(crate) stays: &'a mut [bool],
}

impl<T> Evicting<'_, T> {
    /// The window.
    pub fn window(&self) -> TimeWindow {
        self.window
    }

    /// How many elements are left.
    pub fn len(&self) -> usize {
        self.stays.iter().filter(|stays| **stays).count()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements that are left, in the order of their arrival.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Timed<T>> {
        self.elements.iter().zip(&*self.stays).filter(|(_, stays)| **stays).map(|(element, _)| element)
    }

    /// Takes the elements out for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&Timed<T>) -> bool) {
        for (element, stays) in self.elements.iter().zip(&mut *self.stays) {
            *stays = *stays && keep(element);
        }
    }
}

/// Takes nothing out.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepAll;

impl<T> Evictor<T> for KeepAll {}
