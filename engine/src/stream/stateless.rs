//! What is done with each record by itself. These operators fuse into one loop.

use std::error::Error;
use std::marker::PhantomData;
use std::panic::Location;

use super::Stream;
use crate::operator::filter::Filter;
use crate::operator::flat_map::{FlatMap, FlatMapWith, Many, ManyOrError, OneOrError, Out};
use crate::operator::inspect::Inspect;
use crate::operator::map::Map;
use crate::operator::{Chain, OpId};
use crate::record::Record;

impl<T: 'static, C: Chain<Record = T>> Stream<T, C> {
    fn then<U, D>(
        mut self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        after: impl FnOnce(C, OpId) -> D,
    ) -> Stream<U, D> {
        let op = self.path.add(kind, false, built_at);
        Stream { chain: after(self.chain, op), path: self.path, record: PhantomData }
    }

    /// Makes one record of each.
    #[track_caller]
    pub fn map<U: 'static, F>(self, f: F) -> Stream<U, Map<C, F, U>>
    where
        F: for<'a> FnMut(C::Arg<'a>) -> U + 'static,
    {
        self.then("map", Location::caller(), |chain, op| Map::new(chain, f, op))
    }

    /// Makes one record of each, or fails the job with the closure's error, the operator's name and the record's place.
    #[track_caller]
    pub fn try_map<U, E, F>(self, f: F) -> Stream<U, FlatMap<C, F, Result<U, E>, U, OneOrError>>
    where
        U: 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
        F: for<'a> FnMut(C::Arg<'a>) -> Result<U, E> + 'static,
    {
        self.then("map", Location::caller(), |chain, op| FlatMap::new(chain, f, op))
    }

    /// Keeps the records for which the predicate holds.
    #[track_caller]
    pub fn filter<F>(self, predicate: F) -> Stream<T, Filter<C, F>>
    where
        F: FnMut(&C::Ref) -> bool + 'static,
    {
        self.then("filter", Location::caller(), |chain, op| Filter::new(chain, predicate, op))
    }

    /// Looks at each record.
    #[track_caller]
    pub fn inspect<F>(self, look: F) -> Stream<T, Inspect<C, F>>
    where
        F: FnMut(&C::Ref) + 'static,
    {
        self.then("inspect", Location::caller(), |chain, op| Inspect::new(chain, look, op))
    }

    /// Makes any number of records of each: those of the iterator that the closure returns. They keep the event time of the
    /// record they come from.
    #[track_caller]
    pub fn flat_map<U, I, F>(self, f: F) -> Stream<U, FlatMap<C, F, I, U, Many>>
    where
        U: 'static,
        I: IntoIterator<Item = U> + 'static,
        F: for<'a> FnMut(C::Arg<'a>) -> I + 'static,
    {
        self.then("flat_map", Location::caller(), |chain, op| FlatMap::new(chain, f, op))
    }

    /// Makes any number of records of each, or fails the job with the closure's error, the operator's name and the record's place.
    #[track_caller]
    pub fn try_flat_map<U, I, E, F>(self, f: F) -> Stream<U, FlatMap<C, F, Result<I, E>, U, ManyOrError>>
    where
        U: 'static,
        I: IntoIterator<Item = U> + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
        F: for<'a> FnMut(C::Arg<'a>) -> Result<I, E> + 'static,
    {
        self.then("flat_map", Location::caller(), |chain, op| FlatMap::new(chain, f, op))
    }

    /// Makes any number of records of each: those that the closure hands to its second argument. Needs no allocation per record.
    #[track_caller]
    pub fn flat_map_with<U, F>(self, f: F) -> Stream<U, FlatMapWith<C, F, U>>
    where
        U: 'static,
        F: for<'a> FnMut(C::Arg<'a>, &mut Out<U>) + 'static,
    {
        self.then("flat_map", Location::caller(), |chain, op| FlatMapWith::new(chain, f, op))
    }
}

/// The chain after [`Stream::owned`].
pub type ToOwned<C, T> = Map<C, fn(&<T as Record>::View) -> T, T>;

impl<T: Record, C> Stream<T, C>
where
    C: for<'a> Chain<Record = T, Arg<'a> = &'a <T as Record>::View>,
{
    /// Turns views back into values of their own.
    #[track_caller]
    pub fn owned(self) -> Stream<T, ToOwned<C, T>> {
        self.then("owned", Location::caller(), |chain, op| {
            Map::new(chain, T::owned as fn(&<T as Record>::View) -> T, op)
        })
    }
}
