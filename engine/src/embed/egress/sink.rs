//! An egress as the sink that it is to its job.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::super::lane::LaneSender;
use super::outlets::Shared;
use crate::element::{Epoch, Timestamp};
use crate::sink::{Committable, Delivery, Sink, SinkContext, SinkError};

/// How many records are written before a receiver that sleeps is woken, where the shard does not come to the end of its input.
const RECORDS_PER_RING: u32 = 64;

/// Writes an [`Egress`](super::Egress): one lane per shard.
pub(crate) struct EgressSink<T> {
    /// None where the program named one that is not there, for which it has been blamed already.
    outlets: Option<Shared<T>>,
    lane: Option<LaneSender<T>>,
    /// What the lane had no room for: the rest of the batch that was at hand when it became full.
    waiting: VecDeque<T>,
    unrung: u32,
    told: bool,
}

impl<T: Send + 'static> EgressSink<T> {
    pub(in crate::embed) fn new(outlets: Option<Shared<T>>) -> Self {
        EgressSink { outlets, lane: None, waiting: VecDeque::new(), unrung: 0, told: false }
    }

    fn put(&mut self, record: T) {
        let (Some(outlets), Some(lane)) = (&self.outlets, &mut self.lane) else { return };
        if outlets.is_left() {
            outlets.dropped.fetch_add(1, Ordering::Release);
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!(
                    "egress `{}`: nobody receives any more; its records are dropped",
                    outlets.name
                );
            }
            return;
        }
        if !self.waiting.is_empty() {
            self.waiting.push_back(record);
            return;
        }
        if let Err(record) = lane.push(record) {
            if outlets.options.drops {
                outlets.dropped.fetch_add(1, Ordering::Release);
            } else {
                self.waiting.push_back(record);
            }
        }
        self.unrung += 1;
        if self.unrung == RECORDS_PER_RING {
            self.ring();
        }
    }

    fn ring(&mut self) {
        self.unrung = 0;
        if let Some(outlets) = &self.outlets {
            outlets.arrived.ring();
        }
    }

    /// Moves what waits into the lane, as far as there is room.
    fn move_on(&mut self) {
        let (Some(outlets), Some(lane)) = (&self.outlets, &mut self.lane) else { return };
        if outlets.is_left() {
            outlets.dropped.fetch_add(self.waiting.len() as u64, Ordering::Release);
            self.waiting.clear();
            return;
        }
        let before = self.waiting.len();
        while let Some(record) = self.waiting.pop_front() {
            if let Err(record) = lane.push(record) {
                self.waiting.push_front(record);
                break;
            }
        }
        if self.waiting.len() < before {
            self.ring();
        }
    }
}

impl<T: Clone + Send + 'static> Sink<T> for EgressSink<T> {
    fn delivery(&self) -> Delivery {
        Delivery::Plain
    }

    fn open(&mut self, context: &SinkContext, _: &[Committable]) -> Result<(), SinkError> {
        self.lane = self.outlets.as_ref().map(|outlets| outlets.open(context.waker.clone()));
        Ok(())
    }

    fn ready(&mut self) -> bool {
        if !self.waiting.is_empty() {
            self.move_on();
        }
        self.waiting.is_empty()
    }

    #[inline]
    fn write(&mut self, record: &T, _: Timestamp) -> Result<(), SinkError> {
        self.put(record.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.ring();
        Ok(())
    }

    fn poll_committed(&mut self, _: Epoch) -> Poll<Result<(), SinkError>> {
        self.move_on();
        Poll::Ready(Ok(()))
    }

    fn close(&mut self) -> Result<(), SinkError> {
        // The job is about to be over: what waits for room is not to be lost, and the receivers take it from the heap as well.
        if let (Some(outlets), false) = (&self.outlets, self.waiting.is_empty()) {
            outlets.add_rest(std::mem::take(&mut self.waiting));
        }
        self.ring();
        Ok(())
    }
}
