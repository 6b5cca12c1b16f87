//! A partition of a source in which a record is suspect: it is read record by record, until that has passed.

use std::sync::Arc;

use super::{Blamed, Mark, RecordId, Suspects};
use crate::element::Epoch;
use crate::record::{Record, RecordBuf};
use crate::source::Reader;

/// See the [module](self).
pub(crate) struct PartitionWatch {
    suspects: Arc<Suspects>,
    operator: String,
    partition: String,
    /// Where the suspect records are, in the reader's words.
    places: Vec<String>,
    /// Those that are to be left out.
    marks: Vec<Mark>,
    /// The reader's offset before the poll at hand.
    offset: Vec<u8>,
    /// How many records of the poll have come.
    count: u64,
    /// The one that is in the loop, archived.
    record: RecordBuf,
}

impl PartitionWatch {
    /// None where there is nothing to look out for.
    pub(crate) fn of(
        suspects: &Arc<Suspects>,
        operator: &str,
        partition: &str,
    ) -> Option<Box<PartitionWatch>> {
        let places = suspects.places_of(operator, partition);
        let mut marks = suspects.marks_of(operator);
        marks.retain(|mark| matches!(&mark.id, RecordId::Source { partition: of, .. } if of == partition));
        if places.is_empty() && marks.is_empty() {
            return None;
        }
        Some(Box::new(PartitionWatch {
            suspects: suspects.clone(),
            operator: operator.to_owned(),
            partition: partition.to_owned(),
            places,
            marks,
            offset: Vec::new(),
            count: 0,
            record: RecordBuf::new(),
        }))
    }

    /// The reader is about to be polled.
    pub(crate) fn begin(&mut self, reader: &impl Reader) {
        self.offset.clear();
        self.count = 0;
        reader.offset(&mut self.offset);
    }

    /// A record comes: says whether it is to be handled. One that is to be left out is left out after the switch to `epoch`.
    #[cold]
    #[inline(never)]
    pub(crate) fn admits<T: Record>(&mut self, record: &T, epoch: Epoch) -> bool {
        self.record.clear();
        record.encode(&mut self.record);
        self.count += 1;
        let id = self.id();
        let Some(found) = self.marks.iter().position(|mark| mark.id == id) else { return true };
        let mark = self.marks.swap_remove(found);
        self.suspects.was_left_out(&mark, epoch);
        tracing::warn!(
            operator = mark.operator,
            partition = self.partition,
            "a record that made the job fail is left out"
        );
        false
    }

    /// Which record is in the loop.
    fn id(&self) -> RecordId {
        RecordId::Source {
            partition: self.partition.clone(),
            offset: self.offset.clone(),
            index: self.count.saturating_sub(1),
        }
    }

    /// The records of the poll have passed. Returns whether there is anything left to look out for.
    pub(crate) fn passed(&mut self, reader: &impl Reader) -> bool {
        for index in 0..self.count as usize {
            let place = reader.place(index);
            if let Some(suspect) = self.places.iter().position(|suspect| *suspect == place) {
                let place = self.places.swap_remove(suspect);
                self.suspects.has_passed((self.operator.clone(), self.partition.clone(), place));
            }
        }
        !self.places.is_empty() || !self.marks.is_empty()
    }

    /// The record in the loop has made the chain fail.
    pub(crate) fn blame(&self, blamed: &mut Blamed) {
        blamed.id = Some(self.id());
        blamed.bytes = Some(self.record.to_vec());
    }
}
