//! Records that have made the job fail, as the chains have to know them: which to look out for, and which to leave out.
//!
//! Where a record's place can be told exactly, it costs something: a source is then asked for one record at a time. So only those partitions are
//! read like that in which a record is suspect, and only until it has passed.

mod left_out;
mod partition_watch;

pub(crate) use left_out::LeftOut;
pub(crate) use partition_watch::PartitionWatch;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::element::{Epoch, KeyHash, Timestamp};

/// Which record it was that made a chain fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordId {
    /// One of a source.
    Source {
        partition: String,
        /// What the reader gave as its offset right before this record.
        offset: Vec<u8>,
        /// Its number among those that the reader gave at once: 0 with readers that keep to the room there is.
        index: u64,
    },
    /// One that came through an exchange. Of records that are equal in all of this, the first to come is taken for it.
    Exchanged { port: u8, hash: u64, at: Timestamp, bytes: Vec<u8> },
}

impl RecordId {
    /// A record that came through an exchange.
    pub(crate) fn exchanged(port: usize, hash: Option<KeyHash>, at: Timestamp, bytes: &[u8]) -> RecordId {
        let hash = hash.map_or(0, |hash| hash.0);
        RecordId::Exchanged { port: port as u8, hash, at, bytes: bytes.to_vec() }
    }
}

/// What a chain says of the record that made it fail.
#[derive(Debug, Default)]
pub struct Blamed {
    /// Where it came from, in the words of its source, and the partition.
    pub(crate) place: Option<(String, String)>,
    /// Which it was, where that is known.
    pub(crate) id: Option<RecordId>,
    /// Its archived bytes, where they are known.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A record that is to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The operator at the head of the chain it made fail.
    pub(crate) operator: String,
    pub(crate) id: RecordId,
    /// Between the switch to this epoch and the next one it was left out: later checkpoints are behind it.
    pub(crate) after: Option<Epoch>,
}

impl Mark {
    /// Whether a job that goes on from this checkpoint meets the record again.
    pub(crate) fn is_ahead_of(&self, from: Epoch) -> bool {
        self.after.is_none_or(|after| from <= after)
    }
}

/// Where a record of a source is: operator, partition, and its place in the reader's words.
pub(crate) type Place = (String, String, String);

/// What the control thread and the shards of all attempts share.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Records to be looked out for.
    places: Vec<Place>,
    /// Those that have passed since this was last asked.
    passed: Vec<Place>,
    marks: Vec<Mark>,
    /// How often the marks have changed.
    changes: u64,
}

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Each change is whole or not there.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt that follows is to look out for the record at this place.
    pub(crate) fn look_out(&self, place: &Place) {
        let mut shared = self.lock();
        if !shared.places.contains(place) {
            shared.places.push(place.clone());
        }
    }

    /// Nobody needs to look out for this one any more.
    pub(crate) fn forget(&self, place: &Place) {
        self.lock().places.retain(|known| known != place);
    }

    /// A record that was looked out for did no harm.
    fn has_passed(&self, place: Place) {
        let mut shared = self.lock();
        shared.places.retain(|known| *known != place);
        shared.passed.push(place);
    }

    /// The records that were looked out for and did no harm since this was last asked.
    pub(crate) fn take_passed(&self) -> Vec<Place> {
        std::mem::take(&mut self.lock().passed)
    }

    /// These are the marks, as far as there are any.
    pub(crate) fn restore(&self, marks: Vec<Mark>) {
        self.lock().marks = marks;
    }

    /// The attempts that follow leave this record out.
    pub(crate) fn mark(&self, mark: Mark) {
        let mut shared = self.lock();
        shared.marks.push(mark);
        shared.changes += 1;
    }

    /// All marks, and how often they have changed.
    pub(crate) fn marks(&self) -> (Vec<Mark>, u64) {
        let shared = self.lock();
        (shared.marks.clone(), shared.changes)
    }

    /// How often the marks have changed.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// An attempt begins from this checkpoint: what was left out after it is to be left out again. Marks that no retained checkpoint needs go.
    pub(crate) fn rewind(&self, from: Epoch, oldest: Epoch) {
        let mut shared = self.lock();
        let before = shared.marks.clone();
        shared.marks.retain(|mark| mark.is_ahead_of(oldest));
        for mark in shared.marks.iter_mut().filter(|mark| mark.is_ahead_of(from)) {
            mark.after = None;
        }
        if shared.marks != before {
            shared.changes += 1;
        }
    }

    /// A chain has left the record out after the switch to this epoch.
    fn was_left_out(&self, mark: &Mark, after: Epoch) {
        let mut shared = self.lock();
        if let Some(marked) = shared.marks.iter_mut().find(|marked| **marked == *mark) {
            marked.after = Some(after);
            shared.changes += 1;
        }
    }

    /// The marks of a chain's records that are still to be left out.
    fn marks_of(&self, operator: &str) -> Vec<Mark> {
        let shared = self.lock();
        let of = |mark: &&Mark| mark.operator == operator && mark.after.is_none();
        shared.marks.iter().filter(of).cloned().collect()
    }

    fn places_of(&self, operator: &str, partition: &str) -> Vec<String> {
        let shared = self.lock();
        let of = shared.places.iter().filter(|(o, p, _)| o == operator && p == partition);
        of.map(|(_, _, place)| place.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u8) -> Mark {
        let id = RecordId::Source { partition: "0".to_owned(), offset: vec![offset], index: 0 };
        Mark { operator: "numbers".to_owned(), id, after: None }
    }

    #[test]
    fn a_mark_holds_as_long_as_a_checkpoint_before_it_may_be_restored() {
        let suspects = Suspects::default();
        suspects.mark(mark(1));
        suspects.was_left_out(&mark(1), Epoch(4));
        assert_eq!(suspects.marks_of("numbers"), []);
        // From a later checkpoint on it is behind.
        suspects.rewind(Epoch(5), Epoch(3));
        assert_eq!(suspects.marks_of("numbers"), []);
        // Back before it: it is ahead again.
        suspects.rewind(Epoch(4), Epoch(3));
        assert_eq!(suspects.marks_of("numbers"), [mark(1)]);
        suspects.was_left_out(&mark(1), Epoch(4));
        let changes = suspects.changes();
        suspects.rewind(Epoch(6), Epoch(5));
        assert_eq!((suspects.marks().0.len(), suspects.changes() > changes), (0, true));
    }

    #[test]
    fn chains_look_out_for_their_own() {
        let suspects = Suspects::default();
        let place = ("numbers".to_owned(), "0".to_owned(), "value 3".to_owned());
        suspects.look_out(&place);
        suspects.look_out(&place);
        assert_eq!(suspects.places_of("numbers", "0"), ["value 3"]);
        assert!(suspects.places_of("numbers", "1").is_empty());
        assert!(suspects.places_of("others", "0").is_empty());
        suspects.has_passed(place.clone());
        assert!(suspects.places_of("numbers", "0").is_empty());
        assert_eq!((suspects.take_passed(), suspects.take_passed()), (vec![place], vec![]));
    }
}
