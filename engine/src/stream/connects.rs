//! Two streams of two types, handled by one function.

use std::panic::Location;

use super::exchanges::{Input, begin};
use super::{Keyed, Stream};
use crate::key::Key;
use crate::operator::keyed::FromExchange;
use crate::operator::process::{CoProcessing, FlatMapBoth, KeyedCoProcessing, MapBoth};
use crate::operator::{Chain, CoProcess, KeyedCoProcess};
use crate::record::{Record, View};

/// Two streams with the same keys, whose records with equal keys meet on one shard: what [`Keyed::connect`] gives.
#[must_use = "connected streams without a function do nothing"]
pub struct ConnectedKeyed<A, B, K: ?Sized> {
    first: Keyed<A, K>,
    second: Keyed<B, K>,
}

/// Two streams without keys: what [`Stream::connect`] gives.
#[must_use = "connected streams without a function do nothing"]
pub struct Connected<A, B> {
    inputs: [Input; 2],
    types: std::marker::PhantomData<fn() -> (A, B)>,
}

impl<A: Record, K: Key + ?Sized> Keyed<A, K> {
    /// This stream and another one, with the same keys but records of another type, for one function (Flink's `connect`). There is no order
    /// between the two; event time is the minimum of both.
    pub fn connect<B: Record>(self, other: Keyed<B, K>) -> ConnectedKeyed<A, B, K> {
        ConnectedKeyed { first: self, second: other }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized> ConnectedKeyed<A, B, K> {
    /// Gives every record of both streams to a function with state and timers of its key.
    #[track_caller]
    pub fn process<F: KeyedCoProcess<A, B, K>>(
        self,
        function: F,
    ) -> Stream<F::Out, FromExchange<KeyedCoProcessing<A, B, K, F>>> {
        let inputs = vec![self.first.input(), self.second.input()];
        begin(inputs, "co_process", true, Location::caller(), |op| KeyedCoProcessing::new(op, function))
    }
}

impl<A: Record, C: Chain<Record = A>> Stream<A, C> {
    /// This stream and another one, with records of another type, for one function (Flink's `connect`). There is no order between the two;
    /// event time is the minimum of both. Records stay on their shards.
    pub fn connect<B: Record, D: Chain<Record = B>>(self, other: Stream<B, D>) -> Connected<A, B> {
        Connected { inputs: [self.forward(), other.forward()], types: std::marker::PhantomData }
    }
}

/// The chain after a function of two connected streams.
pub type Both<A, B, F> = FromExchange<CoProcessing<A, B, F>>;

impl<A: Record, B: Record> Connected<A, B> {
    /// Gives every record of both streams to a function.
    #[track_caller]
    pub fn process<F: CoProcess<A, B>>(self, function: F) -> Stream<F::Out, Both<A, B, F>> {
        self.run("co_process", Location::caller(), function)
    }

    /// Makes one record of each, by one closure for each stream (Flink's `CoMapFunction`).
    #[track_caller]
    pub fn map<U, F, G>(self, first: F, second: G) -> Stream<U, Both<A, B, MapBoth<F, G, U>>>
    where
        U: 'static,
        F: FnMut(&View<A>) -> U + 'static,
        G: FnMut(&View<B>) -> U + 'static,
    {
        self.run("co_map", Location::caller(), MapBoth::new(first, second))
    }

    /// Makes any number of records of each, by one closure for each stream (Flink's `CoFlatMapFunction`).
    #[track_caller]
    pub fn flat_map<I, F, G>(self, first: F, second: G) -> Stream<I::Item, Both<A, B, FlatMapBoth<F, G, I>>>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: FnMut(&View<A>) -> I + 'static,
        G: FnMut(&View<B>) -> I + 'static,
    {
        self.run("co_flat_map", Location::caller(), FlatMapBoth::new(first, second))
    }

    fn run<F: CoProcess<A, B>>(
        self,
        kind: &'static str,
        built_at: &'static Location<'static>,
        function: F,
    ) -> Stream<F::Out, Both<A, B, F>> {
        begin(self.inputs.into(), kind, false, built_at, |op| CoProcessing::new(op, function))
    }
}
