//! Records that fail the job again and again: found, named, and stopped at or left out, where Flink would start again for ever.

mod dead_letter;
mod marks;
mod record;

pub use record::PoisonRecord;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::OperatorFailure;
use super::{Job, JobError};
use crate::checkpoint::CheckpointStore;
use crate::disk::Disk;
use crate::element::Epoch;
use crate::graph::Plan;
use crate::operator::suspects::{Blamed, Mark, Place, RecordId, Suspects};
use crate::operator::{Failure, OpId};
use crate::runtime::restart::RestartStrategy;

/// A record that has made the job fail so often is poison.
const FAILURES: u32 = 3;

/// What is done about a record that a function of the program fails on three times, across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoisonPolicy {
    /// The job fails for good, with an error that holds the record: [`JobError::Poison`].
    Fail,
    /// The record is written to this file and left out from then on; all others are handled as if it had never been there. The file has a
    /// line for each record, in JSON: see `docs/guide/failures.md`.
    DeadLetter(PathBuf),
    /// Nothing: how often the job is started again is up to the [restart strategy](RestartStrategy) alone.
    Restart,
}

/// What a program says of such records.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoisonSettings {
    policy: Option<PoisonPolicy>,
    redact: Option<Redact>,
}

/// How the bytes of a record are shown.
#[derive(Clone)]
struct Redact(Arc<dyn Fn(&[u8]) -> String + Send + Sync>);

impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redact(..)")
    }
}

/// Records that fail the job again and again.
impl Job {
    /// What is done about a record that a function fails on three times (default: [`PoisonPolicy::Fail`] where the restart strategy goes on
    /// for ever, as the default one does; [`PoisonPolicy::Restart`] where it has an end of its own).
    ///
    /// A function that fails because something outside is away for a while fails on the same record as well: such a job is better off with
    /// [`PoisonPolicy::Restart`], or with retries in the function.
    pub fn on_poison_record(mut self, policy: PoisonPolicy) -> Job {
        self.poison.policy = Some(policy);
        self
    }

    /// How the bytes of a record are shown in errors and in the log: for records that hold what nobody is to read there (default: as text, with
    /// escapes, up to 256 bytes). A dead-letter file has the whole record in any case.
    pub fn redact_records(mut self, show: impl Fn(&[u8]) -> String + Send + Sync + 'static) -> Job {
        self.poison.redact = Some(Redact(Arc::new(show)));
        self
    }
}

/// Who fails: what is counted.
#[derive(Debug, PartialEq, Eq)]
enum Culprit {
    /// A record of a source.
    Read(Place),
    /// A record that came through an exchange, to this operator.
    Exchanged(String, RecordId),
    /// A key, without a record: a timer of it fired.
    Key(String, String),
}

/// What is known of the failures of a job.
pub(crate) struct Poison {
    settings: PoisonSettings,
    policy: PoisonPolicy,
    disk: Arc<dyn Disk>,
    /// Where the marks of records that are left out lie.
    marks: Option<PathBuf>,
    /// How often the marks had changed when they were written.
    written: u64,
    pub(crate) suspects: Arc<Suspects>,
    counts: Vec<(Culprit, u32)>,
}

/// What is to be done after a failure.
pub(crate) enum Verdict {
    /// What the restart strategy says.
    Restart,
    /// The job is to fail for good.
    Fail(Box<PoisonRecord>),
}

impl Poison {
    /// Reads what an earlier process has marked in the state directory.
    pub(crate) fn new(
        job: &Job,
        plan: &Plan,
        strategy: &RestartStrategy,
        disk: Arc<dyn Disk>,
    ) -> Result<Poison, JobError> {
        let by_default = if strategy.is_endless() { PoisonPolicy::Fail } else { PoisonPolicy::Restart };
        let settings = job.poison.clone();
        let policy = settings.policy.clone().unwrap_or(by_default);
        if plan.mode.batch && matches!(policy, PoisonPolicy::DeadLetter(_)) {
            return Err(JobError::Setting {
                setting: "on_poison_record",
                problem: "records are left out of streams only, and the job runs in batch mode; say PoisonPolicy::Fail".to_owned(),
            });
        }
        let marks = job.state_dir.as_ref().map(|dir| dir.join(marks::NAME));
        let suspects = Arc::new(Suspects::default());
        if let Some(path) = &marks {
            suspects.restore(marks::read(disk.as_ref(), path)?);
        }
        Ok(Poison { settings, policy, disk, marks, written: 0, suspects, counts: Vec::new() })
    }

    /// An attempt begins from this checkpoint.
    pub(crate) fn begin(&mut self, from: Epoch, store: Option<&CheckpointStore>) -> Result<(), JobError> {
        let oldest = store.and_then(|store| store.checkpoints().last().map(|oldest| oldest.epoch));
        self.suspects.rewind(from, oldest.unwrap_or(from));
        self.write_marks()
    }

    /// Writes the marks where they have changed: to be called before a checkpoint is committed, so that none is behind a record of which it is
    /// not known that it was left out.
    pub(crate) fn write_marks(&mut self) -> Result<(), JobError> {
        let Some(path) = &self.marks else { return Ok(()) };
        if self.suspects.changes() == self.written {
            return Ok(());
        }
        let (marks, changes) = self.suspects.marks();
        marks::write(self.disk.as_ref(), path, &marks)?;
        self.written = changes;
        Ok(())
    }

    /// A function has failed.
    ///
    /// # Errors
    /// The record can be neither written to the dead letters nor marked.
    pub(crate) fn judge(
        &mut self,
        job: &str,
        failure: &Failure,
        named: &OperatorFailure,
        plan: &Plan,
    ) -> Result<Verdict, JobError> {
        if self.policy == PoisonPolicy::Restart || !failure.by_closure() {
            return Ok(Verdict::Restart);
        }
        let Some(culprit) = culprit(failure, named, plan) else { return Ok(Verdict::Restart) };
        for passed in self.suspects.take_passed() {
            self.counts.retain(|(culprit, _)| *culprit != Culprit::Read(passed.clone()));
        }
        if let Culprit::Read(place) = &culprit {
            // In the next attempt the record is known by its offset, and its bytes are kept.
            self.suspects.look_out(place);
        }
        let count = match self.counts.iter_mut().find(|(known, _)| *known == culprit) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((culprit, 1));
                1
            }
        };
        if count < FAILURES {
            return Ok(Verdict::Restart);
        }
        let place = failure.blamed.as_ref().and_then(|(head, blamed)| place_of(*head, blamed, plan));
        if let Some(place) = place {
            self.suspects.forget(&place);
        }
        let record = self.record(failure, named, plan, count);
        match (
            &self.policy,
            failure.blamed.as_ref().and_then(|(head, blamed)| Some((head, blamed.id.as_ref()?))),
        ) {
            (PoisonPolicy::DeadLetter(path), Some((head, id))) => {
                dead_letter::append(self.disk.as_ref(), path, job, &record)?;
                tracing::warn!(job, "{record}; it is written to {} and left out from now on", path.display());
                let operator = plan.name(*head).to_owned();
                self.suspects.mark(Mark { operator, id: id.clone(), after: None });
                self.write_marks()?;
                Ok(Verdict::Restart)
            }
            _ => Ok(Verdict::Fail(Box::new(record))),
        }
    }

    fn record(&self, failure: &Failure, named: &OperatorFailure, plan: &Plan, failures: u32) -> PoisonRecord {
        let blamed = failure.blamed.as_ref();
        let source = blamed.and_then(|(head, blamed)| match &blamed.id {
            Some(RecordId::Source { partition, offset, .. }) => {
                Some((plan.name(*head).to_owned(), partition.clone(), offset.clone()))
            }
            _ => None,
        });
        let bytes = blamed.and_then(|(_, Blamed { bytes, .. })| bytes.clone());
        let redact = self.settings.redact.as_ref();
        PoisonRecord::new(named.clone(), failures, source, bytes, redact.map(|Redact(show)| &**show))
    }
}

fn culprit(failure: &Failure, named: &OperatorFailure, plan: &Plan) -> Option<Culprit> {
    if let Some((head, blamed)) = &failure.blamed {
        if let Some(place) = place_of(*head, blamed, plan) {
            return Some(Culprit::Read(place));
        }
        if let Some(id) = &blamed.id {
            return Some(Culprit::Exchanged(plan.name(*head).to_owned(), id.clone()));
        }
    }
    Some(Culprit::Key(named.operator.clone()?, named.key.clone()?))
}

/// Where a record of a source is.
fn place_of(head: OpId, blamed: &Blamed, plan: &Plan) -> Option<Place> {
    let (partition, place) = blamed.place.clone()?;
    Some((plan.name(head).to_owned(), partition, place))
}
