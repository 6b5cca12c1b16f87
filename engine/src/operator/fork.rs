//! Gives every record out twice: once on, once beside.

use std::rc::Rc;

use super::filter::items_of;
use super::segment::Tail;
use super::side::Slot;
use super::{Chain, Driven, Push};
use crate::channel::{ChannelError, Outlet};
use crate::element::{KeyHash, Timestamp};
use crate::graph::Lanes;
use crate::key::Key;
use crate::record::Record;

/// The chain after a `fork`.
pub struct Fork<C> {
    before: C,
    beside: Rc<Slot>,
}

impl<C> Fork<C> {
    pub(crate) fn new(before: C, beside: Rc<Slot>) -> Self {
        Fork { before, beside }
    }
}

impl<C: Chain> Chain for Fork<C>
where
    C::Record: Record,
{
    items_of!(C);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, ForkPush { beside: self.beside, push })
    }
}

struct ForkPush<P> {
    beside: Rc<Slot>,
    push: P,
}

impl<C: Chain, P: Push<Fork<C>>> Push<C> for ForkPush<P>
where
    C::Record: Record,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        {
            let mut outlets = self.beside.outlets.borrow_mut();
            let outlets = outlets.as_mut().expect("a fork's lane is opened with its chain");
            let appended = C::append_unkeyed(&item, at, outlets.lane());
            outlets.appended(appended);
        }
        self.push.push(item, at);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
