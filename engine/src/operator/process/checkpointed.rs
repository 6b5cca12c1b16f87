//! Functions without keys that take part in checkpoints: with state of the operator, and told what becomes of a checkpoint.

use std::marker::PhantomData;

use super::operator_state::{Kept, OperatorStates};
use super::plain::{Calls, ProcessContext};
use crate::element::{Epoch, Timestamp};
use crate::operator::failure::{Blame, Failure};
use crate::operator::inputs::One;
use crate::operator::keyed::{Fed, Firing, FromExchange, Operator};
use crate::operator::segment::OpenContext;
use crate::operator::typed::BatchOf;
use crate::operator::{OpId, Push, owned_items};
use crate::record::{Record, View};
use crate::runtime::snapshot::OperatorSnapshot;

/// A function per record of any stream, with state of its operator (Flink's `CheckpointedFunction` and `CheckpointListener`).
///
/// What is given out beside records, to the world outside, is exactly once only if it waits for [`committed`](CheckpointedProcess::committed).
pub trait CheckpointedProcess<T: Record>: 'static {
    /// What it gives out.
    type Out: 'static;

    /// Called once on each shard, before anything else: declares states (Flink's `initializeState`).
    fn open(&mut self, states: &mut OperatorStates<'_>);

    /// Handles a record.
    fn process(&mut self, record: &View<T>, ctx: &mut ProcessContext<'_, Self::Out>);

    /// The shard switches to an epoch, whose checkpoint holds what the states are when this returns (Flink's `snapshotState`).
    fn checkpoint(&mut self, epoch: Epoch) {
        let _ = epoch;
    }

    /// The checkpoint of an epoch is durable (Flink's `notifyCheckpointComplete`). After a crash one may not be told of: a later one stands
    /// for those before it.
    fn committed(&mut self, epoch: Epoch) {
        let _ = epoch;
    }

    /// The checkpoint of an epoch has failed (Flink's `notifyCheckpointAborted`): what it held goes along with the next one.
    fn aborted(&mut self, epoch: Epoch) {
        let _ = epoch;
    }
}

/// Runs a [`CheckpointedProcess`].
pub struct CheckpointedProcessing<T: Record, F: CheckpointedProcess<T>> {
    function: F,
    calls: Calls<F::Out>,
    kept: Option<Kept>,
    types: PhantomData<fn() -> T>,
}

impl<T: Record, F: CheckpointedProcess<T>> CheckpointedProcessing<T, F> {
    pub(crate) fn new(op: OpId, function: F) -> Self {
        CheckpointedProcessing { function, calls: Calls::new(op), kept: None, types: PhantomData }
    }
}

impl<T: Record, F: CheckpointedProcess<T>> Fed for CheckpointedProcessing<T, F> {
    owned_items!(F::Out);
}

impl<T: Record, F: CheckpointedProcess<T>> Operator for CheckpointedProcessing<T, F> {
    type In = One<T>;

    const HAS_CLOCK: bool = true;

    fn op(&self) -> OpId {
        self.calls.op
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        let op = self.calls.op;
        let mut states = OperatorStates::new(context, context.name(op));
        Blame::on(op, || self.function.open(&mut states));
        let kept = states.finish().map_err(|cause| Box::new(Failure::of(op, cause)))?;
        self.kept = Some(kept);
        Ok(())
    }

    fn batch<P: Push<FromExchange<Self>>>(&mut self, batch: &BatchOf<'_, T>, push: &mut P) {
        let function = &mut self.function;
        self.calls.batch(
            batch,
            |record, ctx| function.process(record, ctx),
            |record, at| push.push(record, at),
        );
    }

    fn watermark<P: Push<FromExchange<Self>>>(&mut self, at: Timestamp, _: &mut P) -> Firing {
        self.calls.watermark(at);
        Firing::Done
    }

    fn set_clock(&mut self, now: Timestamp) {
        self.calls.set_clock(now);
    }

    fn switch(&mut self, epoch: Epoch) -> Option<OperatorSnapshot> {
        Blame::on(self.calls.op, || self.function.checkpoint(epoch));
        self.kept.as_ref().map(Kept::snapshot)
    }

    fn committed(&mut self, epoch: Epoch) {
        Blame::on(self.calls.op, || self.function.committed(epoch));
    }

    fn aborted(&mut self, epoch: Epoch) {
        Blame::on(self.calls.op, || self.function.aborted(epoch));
    }
}
