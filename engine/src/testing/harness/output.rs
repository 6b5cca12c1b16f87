//! The end of a chain in a harness: keeps each record as a value of its own, with its timestamp, and what is said of event time.

use std::marker::PhantomData;

use super::ports::Ports;
use crate::element::{Epoch, ShardId, Timestamp};
use crate::operator::segment::{OpenContext, Tail};
use crate::operator::{Chain, Failure, OpId, Push};
use crate::runtime::metrics::Gauges;
use crate::runtime::snapshot::ShardSnapshot;

/// See the [module](self).
pub(super) struct OutputTail<C> {
    ports: Ports,
    name: String,
    op: OpId,
    shard: ShardId,
    records: u64,
    chain: PhantomData<fn() -> C>,
}

impl<C> OutputTail<C> {
    pub(super) fn new(ports: Ports, name: String, op: OpId) -> Self {
        OutputTail { ports, name, op, shard: ShardId(0), records: 0, chain: PhantomData }
    }

    fn advance(&mut self, to: Timestamp) {
        if let Ok(kept) = self.ports.lock().output(&self.name) {
            kept.advance(self.shard, to);
        }
    }
}

impl<C: Chain<Record: Send>> Push<C> for OutputTail<C> {
    fn push(&mut self, item: C::Item<'_>, at: Timestamp) {
        self.records += 1;
        if let Ok(kept) = self.ports.lock().output(&self.name) {
            kept.keep(C::owned(item), at);
        }
    }

    fn tail(&mut self) -> &mut dyn Tail {
        self
    }
}

impl<C: Chain> Tail for OutputTail<C> {
    fn op(&self) -> OpId {
        self.op
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self, context: &OpenContext) -> Result<(), Box<Failure>> {
        self.shard = context.shard;
        if let Ok(kept) = self.ports.lock().output(&self.name) {
            kept.opened(self.shard);
        }
        Ok(())
    }

    fn ready(&mut self) -> bool {
        let mut ports = self.ports.lock();
        let width = ports.width;
        ports.output(&self.name).is_ok_and(|kept| kept.has_room(width))
    }

    fn flush(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn watermark(&mut self, at: Timestamp) -> Result<(), Box<Failure>> {
        self.advance(at);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Failure>> {
        self.advance(Timestamp::MAX);
        Ok(())
    }

    fn switch(&mut self, _: Epoch, _: &mut ShardSnapshot) -> Result<(), Box<Failure>> {
        Ok(())
    }

    fn gauge(&mut self, gauges: &mut Gauges) {
        gauges.records_out += self.records;
    }
}
