//! Looks at each record and hands it on.

use super::failure::Blame;
use super::filter::items_of;
use super::segment::Tail;
use super::{Chain, Driven, OpId, Push};
use crate::channel::{ChannelError, Outlet};
use crate::element::{KeyHash, Timestamp};
use crate::graph::Lanes;
use crate::key::Key;
use crate::record::Record;

/// The chain after an `inspect`.
pub struct Inspect<C, F> {
    before: C,
    look: F,
    op: OpId,
}

impl<C, F> Inspect<C, F> {
    pub(crate) fn new(before: C, look: F, op: OpId) -> Self {
        Inspect { before, look, op }
    }
}

impl<C: Chain, F> Chain for Inspect<C, F>
where
    F: FnMut(&C::Ref) + 'static,
{
    items_of!(C);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, InspectPush { look: self.look, op: self.op, push })
    }
}

struct InspectPush<F, P> {
    look: F,
    op: OpId,
    push: P,
}

impl<C: Chain, F, P> Push<C> for InspectPush<F, P>
where
    F: FnMut(&C::Ref) + 'static,
    P: Push<Inspect<C, F>>,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        Blame::on(self.op, || (self.look)(C::by_ref(&item)));
        self.push.push(item, at);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
