//! Keeps the records for which a predicate holds.

use super::failure::Blame;
use super::segment::Tail;
use super::{Chain, Driven, OpId, Push};
use crate::channel::{ChannelError, Outlet};
use crate::element::{KeyHash, Timestamp};
use crate::graph::Lanes;
use crate::key::Key;
use crate::record::Record;

/// The chain after a `filter`.
pub struct Filter<C, F> {
    before: C,
    predicate: F,
    op: OpId,
}

impl<C, F> Filter<C, F> {
    pub(crate) fn new(before: C, predicate: F, op: OpId) -> Self {
        Filter { before, predicate, op }
    }
}

/// The parts of [`Chain`] of an operator that hands on the very items it gets.
macro_rules! items_of {
    ($before:ident) => {
        type Record = $before::Record;
        type Item<'a> = $before::Item<'a>;
        type Arg<'a> = $before::Arg<'a>;
        type Ref = $before::Ref;

        #[inline(always)]
        fn arg<'a>(item: Self::Item<'a>) -> Self::Arg<'a> {
            $before::arg(item)
        }
        #[inline(always)]
        fn by_ref<'b>(item: &'b Self::Item<'_>) -> &'b Self::Ref {
            $before::by_ref(item)
        }
        #[inline(always)]
        fn owned(item: Self::Item<'_>) -> Self::Record {
            $before::owned(item)
        }
        #[inline(always)]
        fn append<K: Key + ?Sized>(
            item: &Self::Item<'_>,
            at: Timestamp,
            hash: KeyHash,
            key: &K,
            outlet: &mut Outlet,
        ) -> Result<(), ChannelError>
        where
            Self::Record: Record,
        {
            $before::append(item, at, hash, key, outlet)
        }
        #[inline(always)]
        fn append_unkeyed(
            item: &Self::Item<'_>,
            at: Timestamp,
            outlet: &mut Outlet,
        ) -> Result<(), ChannelError>
        where
            Self::Record: Record,
        {
            $before::append_unkeyed(item, at, outlet)
        }
    };
}
pub(crate) use items_of;

impl<C: Chain, F> Chain for Filter<C, F>
where
    F: FnMut(&C::Ref) -> bool + 'static,
{
    items_of!(C);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, FilterPush { predicate: self.predicate, op: self.op, push })
    }
}

struct FilterPush<F, P> {
    predicate: F,
    op: OpId,
    push: P,
}

impl<C: Chain, F, P> Push<C> for FilterPush<F, P>
where
    F: FnMut(&C::Ref) -> bool + 'static,
    P: Push<Filter<C, F>>,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        if Blame::on(self.op, || (self.predicate)(C::by_ref(&item))) {
            self.push.push(item, at);
        }
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
