//! One record in, one record out.

use std::marker::PhantomData;

use super::failure::Blame;
use super::segment::Tail;
use super::{Chain, Driven, OpId, Push, owned_items};
use crate::element::Timestamp;
use crate::graph::Lanes;

/// The chain after a `map`.
pub struct Map<C, F, U> {
    before: C,
    f: F,
    op: OpId,
    output: PhantomData<fn() -> U>,
}

impl<C, F, U> Map<C, F, U> {
    pub(crate) fn new(before: C, f: F, op: OpId) -> Self {
        Map { before, f, op, output: PhantomData }
    }
}

impl<C: Chain, U: 'static, F> Chain for Map<C, F, U>
where
    F: for<'a> FnMut(C::Arg<'a>) -> U + 'static,
{
    owned_items!(U);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, MapPush { f: self.f, op: self.op, push, output: PhantomData::<fn() -> U> })
    }
}

struct MapPush<F, P, U> {
    f: F,
    op: OpId,
    push: P,
    output: PhantomData<fn() -> U>,
}

impl<C: Chain, U: 'static, F, P> Push<C> for MapPush<F, P, U>
where
    F: for<'a> FnMut(C::Arg<'a>) -> U + 'static,
    P: Push<Map<C, F, U>>,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        let mapped = Blame::on(self.op, || (self.f)(C::arg(item)));
        self.push.push(mapped, at);
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
