//! What can go wrong between a host program and its job.

use crate::job::JobStatus;
use crate::journal::JournalError;

/// Why a record could not be sent. Where it can be given back, it is in here.
#[derive(thiserror::Error)]
pub enum SendError<T> {
    /// There is no room, and the caller does not want to wait.
    #[error(
        "ingress `{ingress}` is full; wait with send(..), give it more room with IngressOptions::capacity, or shed load"
    )]
    Full {
        /// The ingress.
        ingress: String,
        /// What was to be sent.
        record: T,
    },
    /// There was no room for as long as the caller wanted to wait.
    #[error(
        "ingress `{ingress}` had no room in time; the job takes records more slowly than they come, or is restarting"
    )]
    TimedOut {
        /// The ingress.
        ingress: String,
        /// What was to be sent.
        record: T,
    },
    /// The job takes no more records.
    #[error("ingress `{ingress}` is closed: the job is {status}")]
    Closed {
        /// The ingress.
        ingress: String,
        /// How the job stands.
        status: JobStatus,
        /// What was to be sent.
        record: T,
    },
    /// The job has not been started: its journal is not open.
    #[error("ingress `{ingress}` has a journal, which opens when the job is started; call Job::spawn first")]
    NotStarted {
        /// The ingress.
        ingress: String,
        /// What was to be sent.
        record: T,
    },
    /// There are too many handles.
    #[error(
        "ingress `{ingress}` has {max} handles already, and this one is one more; share handles, or drop some"
    )]
    TooManyHandles {
        /// The ingress.
        ingress: String,
        /// How many there can be.
        max: usize,
        /// What was to be sent.
        record: T,
    },
    /// Handles that share a queue have one order of records, and no watermarks each.
    #[error(
        "ingress `{ingress}` has no watermarks of each handle, because its handles share one queue (a journal, Overload::Spill or \
         Overload::DropOldest); let the job make them of the records, with .event_time(..)"
    )]
    NoWatermarks {
        /// The ingress.
        ingress: String,
        /// What was to be said.
        record: T,
    },
    /// The journal does not take the record, or the file that records are spilled to does not.
    #[error("ingress `{ingress}` cannot keep the record: {cause}")]
    Disk {
        /// The ingress.
        ingress: String,
        /// What was to be sent.
        record: T,
        /// What the disk said.
        #[source]
        cause: JournalError,
    },
}

impl<T> SendError<T> {
    /// What was to be sent.
    pub fn into_record(self) -> T {
        match self {
            SendError::Full { record, .. }
            | SendError::TimedOut { record, .. }
            | SendError::Closed { record, .. }
            | SendError::NotStarted { record, .. }
            | SendError::TooManyHandles { record, .. }
            | SendError::NoWatermarks { record, .. }
            | SendError::Disk { record, .. } => record,
        }
    }
}

/// What went wrong, in words: records need not be `Debug`.
impl<T> std::fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SendError({self})")
    }
}

/// Why nothing was received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// There is nothing now.
    #[error("egress `{egress}` has nothing at hand")]
    Empty {
        /// The egress.
        egress: String,
    },
    /// The job is over, and everything it gave out has been received.
    #[error("egress `{egress}` is at its end: the job is {status}")]
    Closed {
        /// The egress.
        egress: String,
        /// How the job stands.
        status: JobStatus,
    },
}
