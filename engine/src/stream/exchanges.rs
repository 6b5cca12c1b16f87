//! What makes records change shard.

use std::marker::PhantomData;
use std::panic::Location;

use super::{Path, Stream};
use crate::channel::BatchShape;
use crate::graph::{ExchangeId, Flow, Partitioner};
use crate::key::Key;
use crate::operator::exchange::{ByRef, ByValue, HashExchange, KeyFn, Outlets, Rebalance};
use crate::operator::keyed::{FromExchange, Operator};
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

    fn exchange_by<F: KeyFn<C::Ref>>(self, key: F) -> Keyed<T, F::Key> {
        let Stream { chain, path, .. } = self;
        let (flow, timed) = (path.flow.clone(), path.timed);
        let shape = BatchShape::keyed::<T, F::Key>();
        let exchange =
            end_in_exchange(chain, path, Partitioner::Hash, shape, |outlets| HashExchange::new(key, outlets));
        Keyed { flow, exchange, timed, types: PhantomData }
    }

    /// Deals the records to all shards in turn (Flink's `rebalance`): evens out load where the sources are uneven.
    #[track_caller]
    pub fn rebalance(self) -> Stream<T, FromExchange<Views<T>>> {
        let Stream { chain, path, .. } = self;
        let (flow, timed) = (path.flow.clone(), path.timed);
        let exchange =
            end_in_exchange(chain, path, Partitioner::Rebalance, BatchShape::unkeyed::<T>(), Rebalance::new);
        let from = Begin {
            flow,
            exchange,
            partitioner: Partitioner::Rebalance,
            shape: BatchShape::unkeyed::<T>(),
            timed,
        };
        from.operator("rebalance", false, Location::caller(), Views::new)
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
    path.end(chain, Some(exchange), move |lanes| {
        let to = lanes.consumer(exchange);
        Ok(tail(Outlets::new(from, to, lanes.outlets(exchange, shape)?)))
    });
    exchange
}

/// The consumer's end of an exchange, where a chain begins.
struct Begin {
    flow: Flow,
    exchange: ExchangeId,
    partitioner: Partitioner,
    shape: BatchShape,
    timed: bool,
}

impl Begin {
    fn operator<U, H: Operator>(
        self,
        kind: &'static str,
        stateful: bool,
        built_at: &'static Location<'static>,
        head: impl FnOnce(OpId) -> H,
    ) -> Stream<U, FromExchange<H>> {
        let Begin { flow, exchange, partitioner, shape, timed } = self;
        let mut path = Path { flow, ops: Vec::new(), timed };
        let op = path.add(kind, stateful, built_at);
        path.flow.graph.borrow_mut().consume(exchange, op);
        let chain = FromExchange::new(head(op), exchange, partitioner, shape);
        Stream { chain, path, record: PhantomData }
    }
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
        let from = Begin {
            flow: self.flow,
            exchange: self.exchange,
            partitioner: Partitioner::Hash,
            shape: BatchShape::keyed::<T, K>(),
            timed: self.timed,
        };
        from.operator(kind, stateful, built_at, head)
    }

    /// The records as views, with no state kept: for stateless work on the shard that owns the key.
    #[track_caller]
    pub fn views(self) -> Stream<T, FromExchange<Views<T>>> {
        self.begin("views", false, Location::caller(), Views::new)
    }
}
