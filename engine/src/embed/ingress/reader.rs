//! The end of an ingress that is in the job.

use std::sync::Arc;

use super::hub::Hub;
use super::lane_intake::LaneIntake;
use super::queue_intake::QueueIntake;
use crate::element::{Nanos, Timestamp};
use crate::journal::NO_JOURNAL;
use crate::record::Record;
use crate::source::{PartitionId, Reader, ReaderContext, Records, SourceError, SourcePoll, offset};

/// Reads an [`Ingress`](super::Ingress).
pub struct IngressReader<T: Record + Send> {
    hub: Arc<Hub<T>>,
    intake: Intake<T>,
}

enum Intake<T: Record + Send> {
    Lanes(LaneIntake<T>),
    Queue(QueueIntake<T>),
}

/// What a poll came to.
pub(super) struct Given {
    /// How far the handles say that event time has come, where that is further than before.
    pub(super) watermark: Option<Timestamp>,
    /// Whether the handles have just said that nothing is to be expected.
    pub(super) idle: bool,
    pub(super) answer: SourcePoll,
}

impl<T: Record + Send> IngressReader<T> {
    pub(super) fn open(
        hub: Arc<Hub<T>>,
        remembered: Option<[u64; 2]>,
        context: &ReaderContext,
    ) -> Result<Self, SourceError> {
        let intake = match &hub.queue {
            None => Intake::Lanes(LaneIntake::new(remembered.map_or(0, |[_, next]| next))),
            Some(_) => Intake::Queue(QueueIntake::open(&hub, remembered, context)?),
        };
        // From here on it is told of everything; what is there already it finds by its first look.
        hub.listener.attach(context.waker.clone());
        Ok(IngressReader { hub, intake })
    }

    #[inline(always)]
    fn give(
        &mut self,
        room: usize,
        now: Nanos,
        each: impl FnMut(T, Timestamp),
    ) -> Result<Given, SourceError> {
        match &mut self.intake {
            Intake::Lanes(lanes) => Ok(lanes.give(&self.hub, room, each)),
            Intake::Queue(queue) => queue.give(&self.hub, room, now, each),
        }
    }

    /// Shows every record that waits to be handed out and would be lost with this reader's successor if there were none.
    pub(in crate::embed) fn for_each_waiting(&mut self, each: impl FnMut(&T)) {
        match &mut self.intake {
            Intake::Lanes(lanes) => lanes.for_each_waiting(&self.hub, each),
            Intake::Queue(_) => {}
        }
    }

    fn next(&self) -> u64 {
        match &self.intake {
            Intake::Lanes(lanes) => lanes.next(),
            Intake::Queue(queue) => queue.next(),
        }
    }
}

impl<T: Record + Send> Reader for IngressReader<T> {
    type Item = T;

    fn poll(&mut self, now: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        let room = out.room();
        let given = self.give(room, now, |record, at| out.push_at(record, at))?;
        Ok(told(given, out))
    }

    #[inline(always)]
    fn poll_each(
        &mut self,
        now: Nanos,
        batch: &mut Records<T>,
        each: impl FnMut(T, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        let given = self.give(batch.room(), now, each)?;
        Ok(told(given, batch))
    }

    #[inline]
    fn has_input(&self) -> bool {
        match &self.intake {
            Intake::Lanes(lanes) => lanes.has_any(&self.hub),
            Intake::Queue(queue) => queue.has_any(&self.hub),
        }
    }

    fn offset(&self, out: &mut Vec<u8>) {
        let journal = match &self.intake {
            Intake::Lanes(_) => NO_JOURNAL,
            Intake::Queue(queue) => queue.journal_id(),
        };
        offset::encode([journal, self.next()], out);
    }

    fn trim(&mut self, offset: &[u8]) -> Result<(), SourceError> {
        match &self.intake {
            Intake::Lanes(_) => Ok(()),
            Intake::Queue(queue) => {
                let [journal, next] = offset::decode(&PartitionId(self.hub.name.clone()), offset)?;
                queue.trim(journal, next);
                Ok(())
            }
        }
    }

    fn place(&self, index: usize) -> String {
        let number = match &self.intake {
            Intake::Lanes(lanes) => lanes.number(index),
            Intake::Queue(queue) => queue.number(index),
        };
        format!("{}, record {}", self.hub.name, number + 1)
    }

    fn mark_failed(&mut self, index: usize) -> Result<(), SourceError> {
        match &self.intake {
            Intake::Lanes(_) => Ok(()),
            Intake::Queue(queue) => queue.mark_failed(index),
        }
    }
}

/// Says to the batch what there is to be said beside its records.
fn told<T>(given: Given, batch: &mut Records<T>) -> SourcePoll {
    if let Some(at) = given.watermark {
        batch.watermark(at);
    }
    if given.idle {
        batch.idle();
    }
    given.answer
}

impl<T: Record + Send> Drop for IngressReader<T> {
    fn drop(&mut self) {
        self.hub.listener.detach();
        match &mut self.intake {
            Intake::Lanes(lanes) => lanes.give_back(&self.hub),
            Intake::Queue(queue) => queue.give_back(&self.hub),
        }
    }
}
