//! How a stream ends.

use std::panic::Location;

use super::Stream;
use crate::element::Timestamp;
use crate::graph::Role;
use crate::operator::Chain;
use crate::operator::sink::SinkTail;
use crate::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

impl<T: 'static, C: Chain<Record = T>> Stream<T, C> {
    /// Ends the stream in a sink. The name is the identity of its pending output in checkpoints.
    #[track_caller]
    pub fn sink<S: Sink<C::Ref>>(mut self, name: impl Into<String>, sink: S) {
        let delivery = sink.delivery();
        let keeps_cuts = matches!(delivery, Delivery::Transactional | Delivery::Durable);
        let op = self.path.add("sink", keeps_cuts, Location::caller());
        let mut graph = self.path.flow.graph.borrow_mut();
        graph.rename(op, name.into());
        graph.set_role(op, Role::Sink(delivery));
        drop(graph);
        self.path.end(self.chain, None, move |_| Ok(SinkTail::<S, C>::new(sink, op)));
    }

    /// Ends the stream by forgetting every record.
    #[track_caller]
    pub fn discard(self) {
        self.sink("discard", Discard);
    }

    /// Ends the stream by giving every record to a closure on the shard. Nothing is promised after a failure: records come again.
    #[track_caller]
    pub fn for_each<F: FnMut(&C::Ref, Timestamp) + 'static>(self, f: F) {
        self.sink("for_each", ForEach(f));
    }
}

struct Discard;

impl<R: ?Sized> Sink<R> for Discard {
    fn delivery(&self) -> Delivery {
        Delivery::Idempotent
    }
    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }
    #[inline(always)]
    fn write(&mut self, _: &R, _: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }
}

struct ForEach<F>(F);

impl<R: ?Sized, F: FnMut(&R, Timestamp) + 'static> Sink<R> for ForEach<F> {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }
    fn open(&mut self, _: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        Ok(())
    }
    #[inline(always)]
    fn write(&mut self, record: &R, at: Timestamp) -> Result<(), SinkError> {
        (self.0)(record, at);
        Ok(())
    }
}
