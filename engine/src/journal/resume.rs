//! Where a source goes on in its journal.

use std::collections::BTreeSet;

use super::{Journal, JournalError, JournalOptions};
use crate::source::SourceError;

/// Stands in an offset for the number of a journal where there is none.
pub const NO_JOURNAL: u64 = 0;

impl Journal {
    /// The record that a source goes on with, which remembers this of its checkpoint (the journal's number and the record); one that
    /// remembers nothing begins with the oldest. No record that is appended from now on has a smaller number.
    ///
    /// # Errors
    /// The checkpoint knows another journal; or a segment cannot be made.
    pub fn resume(&self, remembered: Option<[u64; 2]>) -> Result<u64, SourceError> {
        let dir = self.shared.dir.display();
        match remembered {
            Some([id, next]) if id == self.id() => {
                // A power failure may have taken what the checkpoint already covers.
                self.skip_to(next)?;
                Ok(next)
            }
            // The journal was switched on after the checkpoint.
            Some([NO_JOURNAL, _]) => Ok(self.next()),
            Some(_) => Err(SourceError::fatal(format!(
                "the journal in {dir} is not the one that the checkpoint knows; put that one back, or start with a new state \
                 directory"
            ))),
            None => {
                let first = self.first();
                if first > 0 {
                    tracing::warn!(
                        "the journal in {dir} begins with record {}: earlier ones were given up after a checkpoint that this start \
                         does not use",
                        first + 1
                    );
                }
                Ok(first)
            }
        }
    }

    /// The records that are not given again.
    pub fn left_out(&self, options: &JournalOptions) -> BTreeSet<u64> {
        if options.skips_failed_records() { self.failed() } else { BTreeSet::new() }
    }
}

impl From<JournalError> for SourceError {
    fn from(error: JournalError) -> SourceError {
        let retryable = matches!(error, JournalError::Io { .. } | JournalError::Broken { .. });
        let what = error.to_string();
        let told = if retryable { SourceError::retryable(what) } else { SourceError::fatal(what) };
        told.because(error)
    }
}
