//! Records as values of their own, whatever the chain before makes of them: what a tail needs that hands them to another thread.

use super::segment::Tail;
use super::{Chain, Driven, Push, owned_items};
use crate::element::Timestamp;
use crate::graph::Lanes;

/// See the [module](self).
pub struct Owned<C> {
    before: C,
}

impl<C> Owned<C> {
    pub(crate) fn new(before: C) -> Self {
        Owned { before }
    }
}

impl<C: Chain> Chain for Owned<C> {
    owned_items!(C::Record);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, OwnedPush { push })
    }
}

struct OwnedPush<P> {
    push: P,
}

impl<C: Chain, P: Push<Owned<C>>> Push<C> for OwnedPush<P> {
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        self.push.push(C::owned(item), at);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
