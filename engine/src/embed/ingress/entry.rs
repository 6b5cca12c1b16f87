//! A record as it lies in a journal, or in the file that records are spilled to: what it is told by, its event time, and its archived bytes.
//! Drawn in `docs/formats/journal.md`.

use std::marker::PhantomData;

use crate::element::Timestamp;
use crate::journal::JournalError;
use crate::record::{Record, RecordBuf};

/// Layout fingerprint and event time: a multiple of a record's alignment, so that it lies aligned behind them.
const HEAD_BYTES: usize = 16;

/// The form of entries that are records of one type.
pub(super) struct Form<T> {
    fingerprint: u64,
    record: PhantomData<fn() -> T>,
}

impl<T: Record> Form<T> {
    pub(super) fn new() -> Self {
        Form { fingerprint: T::layout().fingerprint, record: PhantomData }
    }

    /// Writes a record, with its head, over what was there.
    pub(super) fn encode(&self, record: &T, at: Timestamp, into: &mut RecordBuf) {
        into.clear();
        into.extend_from_slice(&self.fingerprint.to_le_bytes());
        into.extend_from_slice(&at.0.to_le_bytes());
        record.encode(into);
    }

    /// The record, and its event time.
    ///
    /// # Errors
    /// It is one of another type, or damaged.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<(Timestamp, T), JournalError> {
        let foreign = |what: String| JournalError::Foreign { expected: T::layout().text, what };
        let Some((head, archived)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Err(foreign(format!("it has {} bytes", bytes.len())));
        };
        let (fingerprint, at) =
            (u128::from_le_bytes(*head) as u64, (u128::from_le_bytes(*head) >> 64) as u64);
        if fingerprint != self.fingerprint {
            return Err(foreign("it was written with another layout".to_owned()));
        }
        let mut aligned = RecordBuf::with_capacity(archived.len());
        aligned.extend_from_slice(archived);
        let view = T::view(&aligned).map_err(|error| foreign(error.to_string()))?;
        Ok((Timestamp(at as i64), T::owned(view)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_what_it_was_written_as_and_as_nothing_else() {
        let mut bytes = RecordBuf::new();
        let form = Form::<(u64, String)>::new();
        let record = (7, "seven".to_owned());
        form.encode(&record, Timestamp(-3), &mut bytes);
        assert_eq!(form.decode(&bytes).unwrap(), (Timestamp(-3), record));
        let error = Form::<u64>::new().decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("u64") && error.contains("another layout"), "{error}");
        let error = form.decode(&bytes[..15]).unwrap_err().to_string();
        assert!(error.contains("15 bytes"), "{error}");
        assert!(form.decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
