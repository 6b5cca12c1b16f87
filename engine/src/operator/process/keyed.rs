//! The operator of keyed process functions.

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
use crate::operator::inputs::One;
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::OperatorSnapshot;

/// A function per record of a keyed stream, with state and timers of the key (Flink's `KeyedProcessFunction`).
///
/// Calls for one key never overlap. Timers of event time fire in the order of their times, before the watermark that makes them due goes
/// on.
pub trait KeyedProcess<T: Record, K: Key + ?Sized>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares states and named timers.
    fn open(&mut self, states: &mut States<'_, K>) {
        let _ = states;
    }

    /// Handles a record.
    fn process(&mut self, record: &View<T>, ctx: &mut KeyedContext<'_, K, Self::Out>);

    /// A timer fires.
    fn on_timer(&mut self, timer: Timer<'_>, ctx: &mut KeyedContext<'_, K, Self::Out>) {
        let _ = (timer, ctx);
    }
}

/// Runs a [`KeyedProcess`].
pub struct KeyedProcessing<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> {
    function: F,
    pub(super) running: Running<K, F::Out>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> KeyedProcessing<T, K, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        KeyedProcessing { function, running: Running::new(op), types: PhantomData }
    }
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> Fed for KeyedProcessing<T, K, F> {
    owned_items!(F::Out);
}

impl<T: Record, K: Key + ?Sized, F: KeyedProcess<T, K>> Operator for KeyedProcessing<T, K, F> {
    type In = One<T>;

    runs_keyed!();

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let function = &mut self.function;
        self.running.batch(
            batch,
            |record, ctx| function.process(record, ctx),
            |record, at| push.push(record, at),
        );
    }
}
