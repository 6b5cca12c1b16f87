//! What an operator adds to.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::{Accumulator, Banks, LongCounter};
use crate::graph::Flow;

/// This shard's part of an accumulator: moved, or its clones, into the closures that add to it.
pub struct Accumulating<A> {
    part: Rc<RefCell<Banks<A>>>,
}

impl<A: Accumulator> Accumulating<A> {
    pub(super) fn of(part: Rc<RefCell<Banks<A>>>) -> Self {
        Accumulating { part }
    }

    /// Adds a value to this shard's part.
    #[inline]
    pub fn add(&self, value: A::Value) {
        self.part.borrow_mut().add(value);
    }

    /// What this shard has added so far.
    pub fn local(&self) -> A {
        self.part.borrow().total()
    }
}

impl<A> Clone for Accumulating<A> {
    fn clone(&self) -> Self {
        Accumulating { part: self.part.clone() }
    }
}

impl<A: Accumulator> fmt::Debug for Accumulating<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accumulating").field(&self.local()).finish()
    }
}

impl Flow {
    /// An accumulator of the job under this name. Asked for a second time, it is the same one. Two kinds under one name are a mistake
    /// that shows before the job starts.
    #[track_caller]
    pub fn accumulator<A: Accumulator>(&self, name: &str) -> Accumulating<A> {
        let part = self.graph.borrow_mut().accumulator(name);
        Accumulating::of(part)
    }

    /// A counter: [`Flow::accumulator`] of [`LongCounter`].
    #[track_caller]
    pub fn counter(&self, name: &str) -> Accumulating<LongCounter> {
        self.accumulator(name)
    }
}
