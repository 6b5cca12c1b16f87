//! Streams whose records every shard gets.

use std::marker::PhantomData;
use std::panic::Location;

use super::exchanges::{Input, begin};
use super::partitioners::{Dealing, arrive};
use super::{Keyed, Stream};
use crate::graph::Partitioner;
use crate::key::Key;
use crate::operator::exchange::{Broadcast, Forward};
use crate::operator::keyed::FromExchange;
use crate::operator::process::{BroadcastProcessing, KeyedBroadcastProcessing};
use crate::operator::{BroadcastProcess, Chain, KeyedBroadcastProcess};
use crate::record::Record;

/// A stream whose records every shard gets, in one order: what [`Stream::broadcast`] gives.
#[must_use = "a broadcast stream that is connected to nothing does nothing"]
pub struct BroadcastStream<B> {
    input: Input,
    types: PhantomData<fn() -> B>,
}

/// A keyed stream and a broadcast one.
#[must_use = "connected streams without a function do nothing"]
pub struct ConnectedBroadcast<T, B, K: ?Sized> {
    keyed: Keyed<T, K>,
    broadcast: BroadcastStream<B>,
}

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// Gives the records to every shard (Flink's `broadcast`), all in one order: the first shard puts them into it. For streams of few records,
    /// such as rules.
    #[track_caller]
    pub fn broadcast(self) -> BroadcastStream<T> {
        let in_order = self.unkeyed(Partitioner::Global, Forward::new);
        let ordered: Dealing<T> = arrive(in_order, "broadcast", Location::caller());
        let input = ordered.unkeyed(Partitioner::Broadcast, Broadcast::new);
        BroadcastStream { input, types: PhantomData }
    }
}

impl<B: Record> BroadcastStream<B> {
    /// The records as views on every shard: for stateless work that each shard is to do for itself.
    #[track_caller]
    pub fn views(self) -> Dealing<B> {
        arrive(self.input, "views", Location::caller())
    }
}

/// A stream without keys and a broadcast one.
#[must_use = "connected streams without a function do nothing"]
pub struct UnkeyedBroadcast<T, B> {
    inputs: [Input; 2],
    types: PhantomData<fn() -> (T, B)>,
}

impl<T: Record, C: Chain<Record = T>> Stream<T, C> {
    /// This stream and a broadcast one, for one function. Records stay on their shards.
    pub fn connect_broadcast<B: Record>(self, other: BroadcastStream<B>) -> UnkeyedBroadcast<T, B> {
        UnkeyedBroadcast { inputs: [self.forward(), other.input], types: PhantomData }
    }
}

impl<T: Record, B: Record> UnkeyedBroadcast<T, B> {
    /// Gives every record of the stream, and on every shard every record of the broadcast one, to a function.
    #[track_caller]
    pub fn process<F: BroadcastProcess<T, B>>(
        self,
        function: F,
    ) -> Stream<F::Out, FromExchange<BroadcastProcessing<T, B, F>>> {
        begin(self.inputs.into(), "broadcast_process", true, Location::caller(), |op| {
            BroadcastProcessing::new(op, function)
        })
    }
}

impl<T: Record, K: Key + ?Sized> Keyed<T, K> {
    /// This stream and a broadcast one, for one function.
    pub fn connect_broadcast<B: Record>(self, other: BroadcastStream<B>) -> ConnectedBroadcast<T, B, K> {
        ConnectedBroadcast { keyed: self, broadcast: other }
    }
}

impl<T: Record, B: Record, K: Key + ?Sized> ConnectedBroadcast<T, B, K> {
    /// Gives every record of the keyed stream, and on every shard every record of the broadcast one, to a function.
    #[track_caller]
    pub fn process<F: KeyedBroadcastProcess<T, B, K>>(
        self,
        function: F,
    ) -> Stream<F::Out, FromExchange<KeyedBroadcastProcessing<T, B, K, F>>> {
        let inputs = vec![self.keyed.input(), self.broadcast.input];
        begin(inputs, "broadcast_process", true, Location::caller(), |op| {
            KeyedBroadcastProcessing::new(op, function)
        })
    }
}
