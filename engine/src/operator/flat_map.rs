//! One record in, any number out.

use std::error::Error;
use std::marker::PhantomData;

use super::failure::{Blame, Cause, raise};
use super::segment::Tail;
use super::{Chain, Driven, OpId, Push, owned_items};
use crate::element::Timestamp;
use crate::graph::Lanes;

/// Takes the records that a `flat_map_with` closure gives out (Flink's `Collector`).
pub struct Out<U> {
    given: Vec<U>,
}

impl<U> Out<U> {
    pub(crate) fn new() -> Self {
        Out { given: Vec::new() }
    }

    /// Gives out one record. It goes on when the closure returns.
    #[inline]
    pub fn emit(&mut self, record: U) {
        self.given.push(record);
    }

    #[inline]
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, U> {
        self.given.drain(..)
    }
}

/// How what a closure answers becomes records. Implemented by markers, since a `Result` is an iterator too.
pub trait Give<A, U>: 'static {
    /// Hands every record of the answer to `each`, or fails the job in the operator's name.
    fn give(answer: A, op: OpId, each: impl FnMut(U));
}

/// The closure answers with an iterator.
pub struct Many;

impl<U, I: IntoIterator<Item = U>> Give<I, U> for Many {
    #[inline(always)]
    fn give(answer: I, op: OpId, mut each: impl FnMut(U)) {
        // The iterator is the user's code as well.
        let mut records = Blame::on(op, || answer.into_iter());
        while let Some(record) = Blame::on(op, || records.next()) {
            each(record);
        }
    }
}

/// The closure answers with an iterator or an error.
pub struct ManyOrError;

impl<U, I, E> Give<Result<I, E>, U> for ManyOrError
where
    I: IntoIterator<Item = U>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    #[inline(always)]
    fn give(answer: Result<I, E>, op: OpId, each: impl FnMut(U)) {
        match answer {
            Ok(records) => Many::give(records, op, each),
            Err(error) => raise(op, Cause::User(error.into())),
        }
    }
}

/// The closure answers with one record or an error.
pub struct OneOrError;

impl<U, E> Give<Result<U, E>, U> for OneOrError
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    #[inline(always)]
    fn give(answer: Result<U, E>, op: OpId, mut each: impl FnMut(U)) {
        match answer {
            Ok(record) => each(record),
            Err(error) => raise(op, Cause::User(error.into())),
        }
    }
}

/// The chain after a `flat_map`, `try_flat_map` or `try_map`: `G` says how an answer of type `A` becomes records of type `U`.
pub struct FlatMap<C, F, A, U, G> {
    before: C,
    f: F,
    op: OpId,
    types: Types<A, U, G>,
}

type Types<A, U, G> = PhantomData<fn() -> (A, U, G)>;

impl<C, F, A, U, G> FlatMap<C, F, A, U, G> {
    pub(crate) fn new(before: C, f: F, op: OpId) -> Self {
        FlatMap { before, f, op, types: PhantomData }
    }
}

impl<C: Chain, U: 'static, A: 'static, G: Give<A, U>, F> Chain for FlatMap<C, F, A, U, G>
where
    F: for<'a> FnMut(C::Arg<'a>) -> A + 'static,
{
    owned_items!(U);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, FlatMapPush { f: self.f, op: self.op, push, types: self.types })
    }
}

struct FlatMapPush<F, P, A, U, G> {
    f: F,
    op: OpId,
    push: P,
    types: Types<A, U, G>,
}

impl<C: Chain, U: 'static, A: 'static, G: Give<A, U>, F, P> Push<C> for FlatMapPush<F, P, A, U, G>
where
    F: for<'a> FnMut(C::Arg<'a>) -> A + 'static,
    P: Push<FlatMap<C, F, A, U, G>>,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        let answer = Blame::on(self.op, || (self.f)(C::arg(item)));
        G::give(answer, self.op, |record| self.push.push(record, at));
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}

/// The chain after a `flat_map_with`.
pub struct FlatMapWith<C, F, U> {
    before: C,
    f: F,
    op: OpId,
    output: PhantomData<fn() -> U>,
}

impl<C, F, U> FlatMapWith<C, F, U> {
    pub(crate) fn new(before: C, f: F, op: OpId) -> Self {
        FlatMapWith { before, f, op, output: PhantomData }
    }
}

impl<C: Chain, U: 'static, F> Chain for FlatMapWith<C, F, U>
where
    F: for<'a> FnMut(C::Arg<'a>, &mut Out<U>) + 'static,
{
    owned_items!(U);

    fn drive<P: Push<Self>>(self, lanes: &mut dyn Lanes, push: P) -> Driven {
        self.before.drive(lanes, FlatMapWithPush { f: self.f, op: self.op, push, out: Out::new() })
    }
}

struct FlatMapWithPush<F, P, U> {
    f: F,
    op: OpId,
    push: P,
    out: Out<U>,
}

impl<C: Chain, U: 'static, F, P> Push<C> for FlatMapWithPush<F, P, U>
where
    F: for<'a> FnMut(C::Arg<'a>, &mut Out<U>) + 'static,
    P: Push<FlatMapWith<C, F, U>>,
{
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        Blame::on(self.op, || (self.f)(C::arg(item), &mut self.out));
        for record in self.out.drain() {
            self.push.push(record, at);
        }
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self.push.tail()
    }
}
