//! Process functions on a stream without keys and a broadcast one.

use std::marker::PhantomData;

use super::broadcast::{BroadcastContext, BroadcastMap};
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

/// A function per record of a stream without keys, which can read what is broadcast, and per record of a broadcast stream, which can change
/// it (Flink's `BroadcastProcessFunction`,
/// <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/broadcast_state/>). State of keys and timers
/// are what a [`KeyedBroadcastProcess`](super::KeyedBroadcastProcess) has.
///
/// What is broadcast must be handled the same way on every shard.
pub trait BroadcastProcess<T: Record, B: Record>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares broadcast maps.
    fn open(&mut self, maps: &mut BroadcastMaps<'_, '_>);

    /// Handles a record of the stream without keys, on the shard it is on.
    fn process(&mut self, record: &View<T>, ctx: &mut BroadcastReadContext<'_, Self::Out>);

    /// Handles a record of the broadcast stream, once on each shard.
    fn broadcast(&mut self, record: &View<B>, ctx: &mut BroadcastContext<'_, (), Self::Out>);
}

/// Where a [`BroadcastProcess`] declares what it keeps.
pub struct BroadcastMaps<'s, 'a>(&'s mut States<'a, ()>);

impl BroadcastMaps<'_, '_> {
    /// A map under this name of which every shard has a copy. The name is its identity in checkpoints.
    pub fn map<Q: Key, V: Record>(&mut self, name: &'static str) -> BroadcastMap<Q, V> {
        self.0.broadcast_map(name)
    }
}

/// What a [`BroadcastProcess`] can do while it handles a record without a key.
pub struct BroadcastReadContext<'a, U> {
    pub(super) op: OpId,
    pub(super) seed: HashSeed,
    pub(super) at: Timestamp,
    pub(super) watermark: Timestamp,
    pub(super) kept: &'a mut Kept<()>,
    pub(super) out: &'a mut Vec<(U, Timestamp)>,
}

impl<U> BroadcastReadContext<'_, U> {
    /// The event time of the record. `None` where the stream has none.
    pub fn timestamp(&self) -> Option<Timestamp> {
        (self.at > Timestamp::MIN).then_some(self.at)
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        (self.watermark > Timestamp::MIN).then_some(self.watermark)
    }

    /// Gives a record out, with the event time of the record at hand.
    pub fn emit(&mut self, record: U) {
        self.out.push((record, self.at));
    }

    /// Gives a record out beside the main output.
    pub fn side<S: Record>(&mut self, tag: &Tag<S>, record: &S) {
        tag.emit(self.op, record, self.at);
    }

    /// What a map holds under a key.
    pub fn look_up<Q: Key, V: Record>(&mut self, map: &BroadcastMap<Q, V>, key: &Q) -> Option<V> {
        let got = self.kept.look_up(map, key, self.seed);
        self.check(got)
    }

    /// Shows all entries of a map, in an order that is the same on every shard.
    pub fn each_of<Q: Key, V: Record>(
        &mut self,
        map: &BroadcastMap<Q, V>,
        each: impl FnMut(Q::Owned, &View<V>),
    ) {
        let shown = self.kept.each_of(map, self.seed, each);
        self.check(shown);
    }

    fn check<R>(&self, result: Result<R, StateError>) -> R {
        result.unwrap_or_else(|error| raise(self.op, Cause::state(error)))
    }
}

/// Runs a [`BroadcastProcess`].
pub struct BroadcastProcessing<T, B, F>
where
    T: Record,
    B: Record,
    F: BroadcastProcess<T, B>,
{
    function: WithoutTimers<T, B, F>,
    running: Running<(), F::Out>,
}

/// A function that has neither state of keys nor timers, as those have that run on keyed streams.
struct WithoutTimers<T, B, F>(F, PhantomData<fn() -> (T, B)>);

impl<T: Record, B: Record, F: BroadcastProcess<T, B>> WithoutTimers<T, B, F> {
    fn open(&mut self, states: &mut States<'_, ()>) {
        self.0.open(&mut BroadcastMaps(states));
    }

    fn on_timer(&mut self, timer: Timer<'_>, _: &mut KeyedContext<'_, (), F::Out>) {
        unreachable!("nobody can have set {timer:?}")
    }
}

impl<T: Record, B: Record, F: BroadcastProcess<T, B>> BroadcastProcessing<T, B, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        BroadcastProcessing { function: WithoutTimers(function, PhantomData), running: Running::new(op) }
    }
}

impl<T: Record, B: Record, F: BroadcastProcess<T, B>> Fed for BroadcastProcessing<T, B, F> {
    owned_items!(F::Out);
}

impl<T: Record, B: Record, F: BroadcastProcess<T, B>> Operator for BroadcastProcessing<T, B, F> {
    type In = Two<T, B>;

    runs_keyed!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, T, B>, push: &mut P) {
        let function = &mut self.function.0;
        match batch {
            EitherBatch::First(batch) => self.running.unkeyed(
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
