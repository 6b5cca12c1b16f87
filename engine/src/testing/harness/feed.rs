//! The source behind an input: gives what the test says.

use std::marker::PhantomData;

use super::ports::{Item, Ports};
use crate::element::Nanos;
use crate::record::Record;
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll};
use crate::testing::position;

/// The source of an [`Input`](super::Input): one partition, which gives what the harness is told to push.
pub struct Feed<T> {
    ports: Ports,
    name: String,
    record: PhantomData<fn() -> T>,
}

impl<T> Feed<T> {
    pub(super) fn new(ports: Ports, name: String) -> Self {
        Feed { ports, name, record: PhantomData }
    }
}

impl<T: Record> Source for Feed<T> {
    type Item = T;
    type Reader = FeedReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(vec![PartitionId(self.name.clone())])
    }

    fn open(
        &self,
        _: &PartitionId,
        offset: Option<&[u8]>,
        _: &ReaderContext,
    ) -> Result<FeedReader<T>, SourceError> {
        let next = position::read(offset)?;
        let (ports, name) = (self.ports.clone(), self.name.clone());
        Ok(FeedReader { ports, name, next, polled_from: next, record: PhantomData })
    }

    fn replay(&self) -> Replay {
        Replay::Yes
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// Reads a [`Feed`].
pub struct FeedReader<T> {
    ports: Ports,
    name: String,
    next: usize,
    polled_from: usize,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> Reader for FeedReader<T> {
    type Item = T;

    fn poll(&mut self, _: Nanos, out: &mut Records<T>) -> Result<SourcePoll, SourceError> {
        self.polled_from = self.next;
        let mut ports = self.ports.lock();
        let poll = ports.width.poll;
        let fed = ports.input(&self.name).map_err(|error| SourceError::fatal(error.to_string()))?;
        while out.room() > 0 && out.len() < poll {
            match fed.items.get(self.next) {
                Some(Item::Record(bytes, at)) => {
                    let view = T::view(bytes).map_err(|error| SourceError::fatal(error.to_string()))?;
                    out.push_at(T::owned(view), *at);
                }
                Some(Item::Watermark(at)) => out.watermark(*at),
                Some(Item::Idle) => out.idle(),
                None if fed.ended => return Ok(SourcePoll::End),
                None => return Ok(SourcePoll::Idle { until: None }),
            }
            self.next += 1;
        }
        Ok(SourcePoll::More)
    }

    fn offset(&self, out: &mut Vec<u8>) {
        position::write(self.next, out);
    }

    fn place(&self, index: usize) -> String {
        format!("item {} of input `{}`", self.polled_from + index, self.name)
    }
}
