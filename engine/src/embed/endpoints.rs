//! The ends that a job has in its host program, by name: made with the job, used by its program, closed when it is over.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::job::{JobError, JobStatus};

/// An end, as the job's own threads see it.
pub(crate) trait Endpoint: Send + Sync {
    /// The job is about to run.
    fn start(&self, state_dir: Option<&Path>) -> Result<(), JobError>;
    /// The job is over.
    fn close(&self, status: JobStatus);
    /// A part of it that is used without the rest.
    fn part(&self) -> Option<Box<dyn Any>> {
        None
    }
}

/// All ends of a job. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Endpoints(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    named: BTreeMap<String, Named>,
    /// What was wrong with those that were made.
    errors: Vec<JobError>,
}

#[derive(Clone)]
struct Named {
    kind: &'static str,
    /// What goes through it, in words.
    carries: String,
    end: Arc<dyn Endpoint>,
    /// The same, as what it is.
    typed: Arc<dyn Any + Send + Sync>,
}

impl Named {
    fn of_other_types(&self, kind: &str, carries: &str) -> NoSuchEnd {
        NoSuchEnd(format!(
            "it was made as an {} of {}, and is used as an {kind} of {carries}; use one type in both places",
            self.kind, self.carries
        ))
    }
}

/// Why a program cannot have an end that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchEnd(pub(crate) String);

impl Endpoints {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an end. What is wrong with it shows when the job is started: those who make it have their handles by then.
    pub(super) fn add<E: Endpoint + 'static>(
        &self,
        kind: &'static str,
        carries: String,
        name: &str,
        checked: Result<(), String>,
        end: Arc<E>,
    ) {
        let mut table = self.lock();
        if let Err(problem) = checked {
            table.errors.push(wrong(kind, format!("`{name}`: {problem}")));
        }
        let named = Named { kind, carries, typed: end.clone(), end };
        if let Some(before) = table.named.insert(name.to_owned(), named) {
            let problem = format!(
                "`{name}` is the name of an {} of this job already; give one of them another",
                before.kind
            );
            table.errors.push(wrong(kind, problem));
            before.end.close(JobStatus::Canceled);
        }
    }

    /// The end of this name.
    pub(super) fn get<E: Endpoint + 'static>(
        &self,
        kind: &'static str,
        carries: &str,
        name: &str,
    ) -> Result<Arc<E>, NoSuchEnd> {
        let found = self.find(kind, name)?;
        found.typed.clone().downcast().map_err(|_| found.of_other_types(kind, carries))
    }

    /// A part of the end of this name.
    pub(super) fn part<P: 'static>(
        &self,
        kind: &'static str,
        carries: &str,
        name: &str,
    ) -> Result<P, NoSuchEnd> {
        let found = self.find(kind, name)?;
        let part = found.end.part().and_then(|part| part.downcast().ok());
        part.map(|part| *part).ok_or_else(|| found.of_other_types(kind, carries))
    }

    fn find(&self, kind: &'static str, name: &str) -> Result<Named, NoSuchEnd> {
        let table = self.lock();
        table.named.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = table.named.keys().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            NoSuchEnd(format!(
                "the job has no {kind} of this name (it has {known}); make it with Job::{kind} before the job is started"
            ))
        })
    }

    /// The names of all, with what they are.
    pub(crate) fn names(&self) -> Vec<(String, &'static str)> {
        self.lock().named.iter().map(|(name, named)| (name.clone(), named.kind)).collect()
    }

    /// Whether they were made well.
    ///
    /// # Errors
    /// The first that is wrong with any of them.
    pub(crate) fn check(&self) -> Result<(), JobError> {
        let errors = &mut self.lock().errors;
        if errors.is_empty() { Ok(()) } else { Err(errors.remove(0)) }
    }

    /// The job is about to run.
    ///
    /// # Errors
    /// What any of them needs is not there.
    pub(crate) fn start(&self, state_dir: Option<&Path>) -> Result<(), JobError> {
        let ends: Vec<_> = self.lock().named.values().map(|named| named.end.clone()).collect();
        ends.iter().try_for_each(|end| end.start(state_dir))
    }

    /// The job is over.
    pub(crate) fn close(&self, status: JobStatus) {
        let ends: Vec<_> = self.lock().named.values().map(|named| named.end.clone()).collect();
        ends.iter().for_each(|end| end.close(status));
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // A job that never ran; of one that did, all know already how it ended.
        self.named.values().for_each(|named| named.end.close(JobStatus::Canceled));
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn wrong(kind: &'static str, problem: String) -> JobError {
    JobError::Setting { setting: kind, problem }
}
