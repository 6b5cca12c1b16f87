//! What makes records change shard.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Path, Stream};
use crate::channel::BatchShape;
use crate::graph::{ExchangeId, Flow, Partitioner, Port};
use crate::key::Key;
use crate::operator::exchange::{ByRef, ByValue, Forward, HashExchange, KeyFn, Outlets};
use crate::operator::keyed::{FromExchange, InputEnd, Operator};
use crate::operator::views::Views;
use crate::operator::{Chain, OpId, Push};
use crate::record::Record;

/// A stream whose records with equal keys meet on one shard. What follows sees views, and may keep state per key.
#[must_use = "a keyed stream that leads nowhere does nothing"]
pub struct Keyed<T, K: ?Sized> {
    pub(crate) flow: Flow,
    pub(crate) exchange: ExchangeId,
    pub(crate) timed: bool,
    pub(crate) types: PhantomData<fn() -> (T, Box<K>)>,
}

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Brings records with equal keys together. The closure makes the key; it must give the same key for the same record each time.
    ///
    /// After this, operators see `&View<T>` whatever the number of shards.
    pub fn key_by<K: Key, F>(self, key: F) -> Keyed<T, K>
    where
        F: Fn(&C::Ref) -> K + 'static,
    {
        self.exchange_by(ByValue(key, PhantomData))
    }

    /// Brings records with equal keys together. The closure gives a key that is part of the record, such as a string.
    pub fn key_by_ref<Q: Key + ?Sized, F>(self, key: F) -> Keyed<T, Q>
    where
        F: for<'x> Fn(&'x C::Ref) -> &'x Q + 'static,
    {
        self.exchange_by(ByRef(key, PhantomData))
    }

    pub(super) fn exchange_by<F: KeyFn<C::Ref>>(self, key: F) -> Keyed<T, F::Key> {
        let Stream { chain, path, .. } = self;
        let (flow, timed) = (path.flow.clone(), path.timed);
        let shape = BatchShape::keyed::<T, F::Key>();
        let exchange =
            end_in_exchange(chain, path, Partitioner::Hash, shape, |outlets| HashExchange::new(key, outlets));
        Keyed { flow, exchange, timed, types: PhantomData }
    }

    /// Ends the chain in an exchange without keys.
    pub(crate) fn unkeyed<P: Push<C>>(
        self,
        partitioner: Partitioner,
        tail: impl FnOnce(Outlets) -> P + 'static,
    ) -> Input {
        let Stream { chain, path, .. } = self;
        let (flow, timed) = (path.flow.clone(), path.timed);
        let shape = BatchShape::unkeyed::<T>();
        let exchange = end_in_exchange(chain, path, partitioner, shape, tail);
        Input { flow, end: InputEnd { exchange, partitioner, shape, show_key: None }, timed }
    }

    /// Ends the chain in a lane to the same shard.
    pub(crate) fn forward(self) -> Input {
        self.unkeyed(Partitioner::Forward, Forward::new)
    }
}

fn end_in_exchange<C, P>(
    chain: C,
    path: Path,
    partitioner: Partitioner,
    shape: BatchShape,
    tail: impl FnOnce(Outlets) -> P + 'static,
) -> ExchangeId
where
    C: Chain,
    C::Record: Record,
    P: Push<C>,
{
    let from = path.last();
    let exchange = path.flow.graph.borrow_mut().exchange(partitioner, from);
    path.end(chain, Some(exchange), move |lanes| Ok(tail(Outlets::new(from, exchange, shape, lanes)?)));
    exchange
}

/// The consumer's end of an exchange, where a chain begins.
pub struct Input {
    pub(crate) flow: Flow,
    pub(crate) end: InputEnd,
    pub(crate) timed: bool,
}

/// Begins a chain with an operator that is fed by exchanges. It has event time where all its inputs have.
pub(crate) fn begin<U, H: Operator>(
    inputs: Vec<Input>,
    kind: &'static str,
    stateful: bool,
    built_at: &'static Location<'static>,
    head: impl FnOnce(OpId) -> H,
) -> Stream<U, FromExchange<H>> {
    let flow = inputs.first().expect("an operator has at least one input").flow.clone();
    let timed = inputs.iter().all(|input| input.timed);
    let mut path = Path::new(flow, timed);
    let op = path.add(kind, stateful, built_at);
    for (port, input) in inputs.iter().enumerate() {
        path.flow.graph.borrow_mut().consume(input.end.exchange, op, Port(port as u8), H::BY_KEY);
    }
    let ends = inputs.into_iter().map(|input| input.end).collect();
    Stream { chain: FromExchange::new(head(op), ends), path, record: PhantomData }
}

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// Begins a chain with an operator that sees all records of a key on one shard.
    pub(crate) fn begin<U, H: Operator>(
        self,
        kind: &'static str,
        stateful: bool,
        built_at: &'static Location<'static>,
        head: impl FnOnce(OpId) -> H,
    ) -> Stream<U, FromExchange<H>> {
        begin(vec![self.input()], kind, stateful, built_at, head)
    }

    /// The consumer's end of the exchange by key.
    pub(crate) fn input(self) -> Input {
        let (partitioner, shape) = (Partitioner::Hash, BatchShape::keyed::<T, K>());
        Input {
            flow: self.flow,
            end: InputEnd { exchange: self.exchange, partitioner, shape, show_key: Some(K::show) },
            timed: self.timed,
        }
    }

    /// The records as views, with no state kept: for stateless work on the shard that owns the key.
    #[track_caller]
    pub fn views(self) -> Stream<T, FromExchange<Views<T>>> {
        self.begin("views", false, Location::caller(), Views::new)
    }
}
