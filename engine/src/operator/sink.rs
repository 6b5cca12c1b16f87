//! The tail of a chain that ends in a sink.

use std::task::Poll;

use super::failure::{Cause, Failure, raise};
use super::segment::{OpenContext, Tail};
use super::{Chain, OpId, Push};
use crate::element::{Epoch, ShardId, Timestamp};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::ShardSnapshot;
use crate::sink::{Committable, Sink, SinkContext, SinkError};

/// Writes each record to a sink.
pub(crate) struct SinkTail<S, C> {
    sink: S,
    op: OpId,
    name: String,
    shard: ShardId,
    records: u64,
    /// Epochs whose cuts were begun and are not known to be safe yet, oldest first. More than one where checkpoints failed.
    begun: Vec<Epoch>,
    /// Safe cuts that are not known to be committed yet, oldest first.
    pending: Vec<Committable>,
    /// What `records` was at the last flush.
    flushed: u64,
    chain: std::marker::PhantomData<fn() -> C>,
}

impl<S, C> SinkTail<S, C> {
    pub(crate) fn new(sink: S, op: OpId) -> Self {
        SinkTail {
            sink,
            op,
            name: String::new(),
            shard: ShardId(0),
            records: 0,
            begun: Vec::new(),
            pending: Vec::new(),
            flushed: 0,
            chain: std::marker::PhantomData,
        }
    }

    fn failed(&self, error: SinkError) -> Box<Failure> {
        Box::new(Failure::of(self.op, error))
    }
}

impl<C: Chain, S: Sink<C::Ref>> Push<C> for SinkTail<S, C> {
    #[inline(always)]
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        self.records += 1;
        if let Err(error) = self.sink.write(C::by_ref(&item), at) {
            raise(self.op, Cause::from(error));
        }
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl<C: Chain, S: Sink<C::Ref>> Tail for SinkTail<S, C> {
    fn op(&self) -> OpId {
        self.op
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.name = context.name(self.op).to_owned();
        let (shard, shards) = context.instance();
        self.shard = shard;
        let recovered = match &context.restored {
            Some(restored) => restored.committables(&self.name, shard, shards),
            None => Vec::new(),
        };
        let sink_context = SinkContext {
            shard,
            shards,
            restored: context.restored_epoch(),
            job: context.job.clone(),
            operator: self.name.clone(),
            waker: context.waker.clone(),
        };
        self.sink.open(&sink_context, &recovered).map_err(|error| self.failed(error))
    }

    fn ready(&mut self) -> bool {
        self.sink.ready()
    }

    fn flush(&mut self) -> Result<(), Box<Failure>> {
        if self.flushed != self.records {
            self.flushed = self.records;
            self.sink.flush().map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn watermark(&mut self, _: Timestamp) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn switch(&mut self, epoch: Epoch, _: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        self.begun.push(epoch);
        self.sink.prepare(epoch).map_err(|error| self.failed(error))
    }

    fn poll_prepared(&mut self) -> Poll<Result<Vec<Committable>, SinkError>> {
        // Cuts of failed checkpoints belong to this one too, whether they were safe by then or not.
        while let Some(&epoch) = self.begun.first() {
            match self.sink.poll_prepared(epoch) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(bytes))) => {
                    self.pending.push(Committable { epoch, shard: self.shard, bytes })
                }
            }
            self.begun.remove(0);
        }
        Poll::Ready(Ok(self.pending.clone()))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        self.sink.commit(epoch)
    }

    fn poll_committed(&mut self, epoch: Epoch) -> Poll<Result<(), SinkError>> {
        let answer = self.sink.poll_committed(epoch);
        if let Poll::Ready(Ok(())) = &answer {
            self.pending.retain(|cut| cut.epoch > epoch);
        }
        answer
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.sink.close()
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        gauges.records_out += self.records;
    }
}
