//! Process functions on a keyed stream and a broadcast one: rules, configuration, dimensions that every shard has to know.
//!
//! Every shard holds a copy of the broadcast state. All copies see the same changes in the same order, so that they are equal wherever the
//! same records have come in: one shard puts the records of the broadcast stream into order before they go to all.

use std::marker::PhantomData;

use super::context::KeyedContext;
use super::kept::Kept;
use super::running::{Running, runs_keyed};
use super::states::States;
use super::timers::Timer;
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::{HashSeed, Key};
use crate::operator::failure::{Cause, Failure, raise};
use crate::operator::inputs::{EitherBatch, Two};
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::side::Tag;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;
use crate::state::StateError;

/// How many pages of a table one look takes when all entries are shown.
const PAGES_PER_LOOK: usize = 64;

/// A map that every shard has a copy of (Flink's broadcast `MapState`): what [`States::broadcast_map`] gives.
pub struct BroadcastMap<Q, V> {
    pub(super) slot: Option<usize>,
    pub(super) types: PhantomData<fn() -> (Q, V)>,
}

impl<Q, V> Default for BroadcastMap<Q, V> {
    /// Not declared yet.
    fn default() -> Self {
        BroadcastMap { slot: None, types: PhantomData }
    }
}

/// A function per record of a keyed stream, which can read what is broadcast, and per record of a broadcast stream, which can change it
/// (Flink's `KeyedBroadcastProcessFunction`,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/broadcast_state/>).
///
/// What is broadcast must be handled the same way on every shard: [`broadcast`](KeyedBroadcastProcess::broadcast) may depend on nothing but
/// the record and the broadcast state.
pub trait KeyedBroadcastProcess<T: Record, B: Record, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares broadcast maps, states of keys and named timers.
    fn open(&mut self, states: &mut States<'_, K>);

    /// Handles a record of the keyed stream. Broadcast maps can be read: [`KeyedContext::look_up`].
    fn process(&mut self, record: &View<T>, ctx: &mut KeyedContext<'_, K, Self::Out>);

    /// Handles a record of the broadcast stream, once on each shard.
    fn broadcast(&mut self, record: &View<B>, ctx: &mut BroadcastContext<'_, K, Self::Out>);

    /// A timer fires.
    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, K, Self::Out>) {
        let _ = (timer, ctx);
    }
}

/// What a function can do while it handles a broadcast record.
pub struct BroadcastContext<'a, K: Key + ?Sized, U> {
    pub(super) op: OpId,
    pub(super) seed: HashSeed,
    pub(super) at: Timestamp,
    pub(super) watermark: Timestamp,
    pub(super) kept: &'a mut Kept<K>,
    pub(super) out: &'a mut Vec<(U, Timestamp)>,
}

impl<K: Key + ?Sized, U> BroadcastContext<'_, K, U> {
    /// The event time of the record. `None` where the stream has none.
    pub fn timestamp(&self) -> Option<Timestamp> {
        (self.at > Timestamp::MIN).then_some(self.at)
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.watermark > Timestamp::MIN).then_some(self.watermark)
    }

    /// Gives a record out: every shard does.
    pub fn emit(&mut self, record: U) {
        self.out.push((record, self.at));
    }

    /// Gives a record out beside the main output: every shard does.
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.at);
    }

    /// What a map holds under a key.
    pub fn look_up<Q: Key, V: Record>(&mut self, map: &BroadcastMap<Q, V>, key: &Q) -> Option<V> {
        let got = self.kept.look_up(map, key, self.seed);
        self.check(got)
    }

    /// Puts a value into a map.
    pub fn put<Q: Key, V: Record>(&mut self, map: &BroadcastMap<Q, V>, key: &Q, value: &V) {
        let (hash, bytes) = encoded(key, self.seed);
        let put = self.kept.tables.of::<Q, V>(map.slot).insert(self.kept.store.arena(), hash, &bytes, value);
        self.check(put);
    }

    /// Takes a key out of a map. Says whether it was there.
    pub fn remove<Q: Key, V: Record>(&mut self, map: &BroadcastMap<Q, V>, key: &Q) -> bool {
        let (hash, bytes) = encoded(key, self.seed);
        let removed = self.kept.tables.of::<Q, V>(map.slot).remove(self.kept.store.arena(), hash, &bytes);
        self.check(removed)
    }

    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

fn encoded<Q: Key>(key: &Q, seed: HashSeed) -> (KeyHash, Vec<u8>) {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    (key.hash(seed), bytes)
}

impl<K: Key + ?Sized> Kept<K> {
    pub(super) fn look_up<Q: Key, V: Record>(
        &mut self,
        map: &BroadcastMap<Q, V>,
        key: &Q,
        seed: HashSeed,
    ) -> Result<Option<V>, StateError> {
        let (hash, bytes) = encoded(key, seed);
        self.tables.of::<Q, V>(map.slot).get(self.store.arena(), hash, &bytes, V::owned)
    }

    pub(super) fn each_of<Q: Key, V: Record>(
        &mut self,
        map: &BroadcastMap<Q, V>,
        seed: HashSeed,
        mut each: impl FnMut(Q::Owned, &View<V>),
    ) -> Result<(), StateError> {
        let mut next = Some(KeyHash(0));
        while let Some(from) = next {
            let table = self.tables.of::<Q, V>(map.slot);
            let show = |hash, key: &[u8], value: &View<V>| each(Q::decode(hash, key, seed), value);
            next = table.walk(self.store.arena(), from, KeyHash(u64::MAX), PAGES_PER_LOOK, show)?;
        }
        Ok(())
    }
}

/// Runs a [`KeyedBroadcastProcess`].
pub struct KeyedBroadcastProcessing<T, B, K, F>
where
    T: Record,
    B: Record,
    K: Key + ?Sized,
    F: KeyedBroadcastProcess<T, B, K>,
{
    function: F,
    running: Running<K, F::Out>,
    types: PhantomData<fn() -> (T, B)>,
}

impl<T, B, K, F> KeyedBroadcastProcessing<T, B, K, F>
where
    T: Record,
    B: Record,
    K: Key + ?Sized,
    F: KeyedBroadcastProcess<T, B, K>,
{
    pub(crate) fn new(op: OpId, function: F) -> Self {
        KeyedBroadcastProcessing { function, running: Running::new(op), types: PhantomData }
    }
}

impl<T, B, K, F> Fed for KeyedBroadcastProcessing<T, B, K, F>
where
    T: Record,
    B: Record,
    K: Key + ?Sized,
    F: KeyedBroadcastProcess<T, B, K>,
{
    owned_items!(F::Out);
}

impl<T, B, K, F> Operator for KeyedBroadcastProcessing<T, B, K, F>
where
    T: Record,
    B: Record,
    K: Key + ?Sized,
    F: KeyedBroadcastProcess<T, B, K>,
{
    type In = Two<T, B>;

    runs_keyed!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, T, B>, push: &mut P) {
        let function = &mut self.function;
        match batch {
            EitherBatch::First(batch) => self.running.batch(
                batch,
                |record, ctx| function.process(record, ctx),
                |record, at| push.push(record, at),
            ),
            EitherBatch::Second(batch) => self.running.broadcast(
                batch,
                |record, ctx| function.broadcast(record, ctx),
                |record, at| push.push(record, at),
            ),
        }
    }
}
