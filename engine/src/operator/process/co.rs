//! The operator of process functions on two keyed streams.

use std::marker::PhantomData;

use super::context::KeyedContext;
use super::running::{Running, runs_keyed};
use super::states::States;
use super::timers::Timer;
use crate::arena::Arena;
use crate::channel::Batch;
use crate::element::{Epoch, KeyHash, Timestamp};
use crate::key::Key;
use crate::operator::failure::Failure;
use crate::operator::inputs::{EitherBatch, Two};
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;

/// A function per record of two streams with the same keys, which share state and timers (Flink's `KeyedCoProcessFunction`). There is no
/// order between the two.
///
/// Calls for one key never overlap.
pub trait KeyedCoProcess<A: Record, B: Record, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares states and named timers.
    fn open(&mut self, states: &mut States<'_, K>) {
        let _ = states;
    }

    /// Handles a record of the first stream.
    fn first(&mut self, record: &View<A>, ctx: &mut KeyedContext<'_, K, Self::Out>);

    /// Handles a record of the second stream.
    fn second(&mut self, record: &View<B>, ctx: &mut KeyedContext<'_, K, Self::Out>);

    /// A timer fires.
    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, K, Self::Out>) {
        let _ = (timer, ctx);
    }
}

/// Runs a [`KeyedCoProcess`].
pub struct KeyedCoProcessing<A: Record, B: Record, K: Key + ?Sized, F: KeyedCoProcess<A, B, K>> {
    function: F,
    running: Running<K, F::Out>,
    types: PhantomData<fn() -> (A, B)>,
}

impl<A: Record, B: Record, K: Key + ?Sized, F: KeyedCoProcess<A, B, K>> KeyedCoProcessing<A, B, K, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        KeyedCoProcessing { function, running: Running::new(op), types: PhantomData }
    }
}

impl<A: Record, B: Record, K: Key + ?Sized, F: KeyedCoProcess<A, B, K>> Fed
    for KeyedCoProcessing<A, B, K, F>
{
    owned_items!(F::Out);
}

impl<A: Record, B: Record, K: Key + ?Sized, F: KeyedCoProcess<A, B, K>> Operator
    for KeyedCoProcessing<A, B, K, F>
{
    type In = Two<A, B>;

    runs_keyed!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &EitherBatch<'_, A, B>, push: &mut P) {
        let function = &mut self.function;
        match batch {
            EitherBatch::First(batch) => self.running.batch(
                batch,
                |record, ctx| function.first(record, ctx),
                |record, at| push.push(record, at),
            ),
            EitherBatch::Second(batch) => self.running.batch(
                batch,
                |record, ctx| function.second(record, ctx),
                |record, at| push.push(record, at),
            ),
        }
    }
}
