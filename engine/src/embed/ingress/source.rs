//! An ingress as the source that it is to its job.

use std::sync::Arc;

use super::hub::Hub;
use super::reader::IngressReader;
use crate::record::Record;
use crate::source::{PartitionId, ReaderContext, Replay, Source, SourceError, offset};

/// The source that reads an [`Ingress`](super::Ingress), in one partition; begun by [`Flow::ingress`](crate::graph::Flow::ingress).
pub struct IngressSource<T> {
    /// None where the program named one that is not there, for which it has been blamed already.
    hub: Option<Arc<Hub<T>>>,
}

impl<T: Record + Send> IngressSource<T> {
    pub(in crate::embed) fn new(hub: Option<Arc<Hub<T>>>) -> Self {
        IngressSource { hub }
    }
}

impl<T: Record + Send> Source for IngressSource<T> {
    type Item = T;
    type Reader = IngressReader<T>;

    fn partitions(&self) -> Result<Vec<PartitionId>, SourceError> {
        Ok(self.hub.iter().map(|hub| PartitionId(hub.name.clone())).collect())
    }

    fn open(
        &self,
        partition: &PartitionId,
        offset: Option<&[u8]>,
        context: &ReaderContext,
    ) -> Result<IngressReader<T>, SourceError> {
        let hub = self.hub.as_ref().expect("a program that was blamed does not run");
        let remembered = offset.map(|bytes| offset::decode::<2>(partition, bytes)).transpose()?;
        IngressReader::open(hub.clone(), remembered, context)
    }

    fn replay(&self) -> Replay {
        match &self.hub {
            Some(hub) if hub.options.journal.is_some() => Replay::Yes,
            _ => Replay::No {
                because: "what a host sends cannot be asked for again; give the ingress a journal, with IngressOptions::journal"
                    .to_owned(),
            },
        }
    }

    fn bounded(&self) -> bool {
        false
    }

    fn ends_with_partitions(&self) -> bool {
        true
    }
}
