//! Requests as the source that they are to the job.

use std::collections::HashSet;
use std::sync::Arc;

use super::asked::Asked;
use super::desk::Desk;
use crate::element::{Nanos, Timestamp};
use crate::embed::ingress::{IngressReader, IngressSource};
use crate::record::Field;
use crate::source::{PartitionId, Reader, ReaderContext, Records, Replay, Source, SourceError, SourcePoll};

/// The source that reads the requests of an [`Ask`](super::Ask), in one partition; begun by [`Flow::ask`](crate::graph::Flow::ask).
pub struct AskSource<Q: Field + Send, R: Send + 'static> {
    requests: IngressSource<Asked<Q>>,
    /// None where the program named one that is not there, for which it has been blamed already.
    desk: Option<Arc<Desk<R>>>,
}

/// Reads the requests of an [`Ask`](super::Ask).
pub struct AskReader<Q: Field + Send, R: Send + 'static> {
    requests: IngressReader<Asked<Q>>,
    desk: Arc<Desk<R>>,
    replays: bool,
}

impl<Q: Field + Send, R: Send + 'static> AskSource<Q, R> {
    pub(in crate::embed) fn new(requests: IngressSource<Asked<Q>>, desk: Option<Arc<Desk<R>>>) -> Self {
        AskSource { requests, desk }
    }
}

impl<Q: Field + Send, R: Send + 'static> Source for AskSource<Q, R> {
    type Item = Asked<Q>;
    type Reader = AskReader<Q, R>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        self.requests.partitions()
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<AskReader<Q, R>, SourceError> {
        let desk = self.desk.clone().expect("a program that was blamed does not run");
        let requests = self.requests.open(partition, offset, context)?;
        Ok(AskReader { requests, desk, replays: self.replay() == Replay::Yes })
    }

    fn replay(&self) -> Replay {
        match self.requests.replay() {
            Replay::Yes => Replay::Yes,
            Replay::No { .. } => Replay::No {
                because:
                    "what a host asks does not come again; give the ask a journal, with AskOptions::journal"
                        .to_owned(),
            },
        }
    }

    fn bounded(&self) -> bool {
        self.requests.bounded()
    }

    fn ends_with_partitions(&self) -> bool {
        self.requests.ends_with_partitions()
    }
}

impl<Q: Field + Send, R: Send + 'static> Reader for AskReader<Q, R> {
    type Item = Asked<Q>;

    fn poll(&mut self, now: Nanos, out: &mut Records<Asked<Q>>) -> Result<SourcePoll, SourceError> {
        self.requests.poll(now, out)
    }

    #[inline(always)]
    fn poll_each(
        &mut self,
        now: Nanos,
        batch: &mut Records<Asked<Q>>,
        each: impl FnMut(Asked<Q>, Timestamp),
    ) -> Result<SourcePoll, SourceError> {
        self.requests.poll_each(now, batch, each)
    }

    #[inline]
    fn has_input(&self) -> bool {
        self.requests.has_input()
    }

    fn offset(&self, out: &mut Vec<u8>) {
        self.requests.offset(out);
    }

    fn trim(&mut self, offset: &[u8]) -> Result<(), SourceError> {
        self.requests.trim(offset)
    }

    fn place(&self, index: usize) -> String {
        self.requests.place(index)
    }

    fn mark_failed(&mut self, index: usize) -> Result<(), SourceError> {
        self.requests.mark_failed(index)
    }
}

impl<Q: Field + Send, R: Send + 'static> Drop for AskReader<Q, R> {
    fn drop(&mut self) {
        // What a journal has comes again, and so do its replies.
        if !self.replays {
            let mut waiting = HashSet::new();
            self.requests.for_each_waiting(|asked| {
                waiting.insert(asked.call);
            });
            self.desk.interrupt_all_but(&waiting);
        }
    }
}
