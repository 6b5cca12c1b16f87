//! What a source says of its journal.

use std::path::{Path, PathBuf};

use super::Settings;
use crate::source::SourceError;

/// What a restart does with a record that made the job fail and is marked so in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailedRecord {
    /// Gives it again, as with any other replayable source.
    #[default]
    Replay,
    /// Leaves it out.
    Skip,
}

/// The journal of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalOptions {
    dir: Option<PathBuf>,
    on_failed_record: OnFailedRecord,
    sync_before_hand_out: bool,
    pub(crate) settings: Settings,
}

impl JournalOptions {
    /// A journal below the job's state directory, that syncs every 5 ms and replays failed records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the journal into this directory.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// What to do with records that made the job fail.
    pub fn on_failed_record(mut self, what: OnFailedRecord) -> Self {
        self.on_failed_record = what;
        self
    }

    /// Hands out no record before it survives a power failure. Costs the time of a disk sync per batch of records. Without it, a
    /// power failure (never the end of the process) can lose the records of the last few milliseconds, except those that a
    /// checkpoint covers.
    pub fn sync_before_hand_out(mut self) -> Self {
        self.sync_before_hand_out = true;
        self
    }

    /// The journal's own settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What the journal's own settings are.
    pub fn journal_settings(&self) -> Settings {
        self.settings
    }

    /// Whether a record is handed out only once it survives a power failure.
    pub fn syncs_before_hand_out(&self) -> bool {
        self.sync_before_hand_out
    }

    /// Whether a record that made the job fail is left out from then on.
    pub fn skips_failed_records(&self) -> bool {
        self.on_failed_record == OnFailedRecord::Skip
    }

    /// Where the journal of this operator is, in a job with this state directory.
    ///
    /// # Errors
    /// There is no place for it.
    pub fn place(&self, operator: &str, state_dir: Option<&Path>) -> Result<PathBuf, SourceError> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        match (&self.dir, state_dir) {
            (Some(dir), _) => Ok(dir.clone()),
            (None, Some(state)) => {
                let name: String = operator.chars().map(plain).collect();
                Ok(state.join(format!("journal-{name}")))
            }
            (None, None) => Err(SourceError::fatal(format!(
                "{operator}: the journal has no place; give the job a state directory, or the journal its own with \
                 JournalOptions::dir"
            ))),
        }
    }
}
