//! Why a call had no reply.

use crate::embed::SendError;
use crate::job::JobStatus;

/// Why a call had no reply, and what is known of its request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There was no reply in time.
    #[error("there was no reply in time; the request {}", if *.sent { "was given to the job, and may yet take effect" } else { "never reached the job" })]
    Deadline {
        /// Whether the job was given the request.
        sent: bool,
    },
    /// There are as many calls under way as there can be. The request did not reach the job.
    #[error(
        "there are as many calls under way as there can be; wait with call(..), or allow more with AskOptions::in_flight"
    )]
    Overloaded,
    /// The job failed, or was stopped, after it had been given the request and before it replied. Whether what it did for the request
    /// survives depends on whether a checkpoint was made in between.
    #[error(
        "the job was interrupted before it replied; the request may or may not have taken effect (a journal makes the job process it \
         again and reply: AskOptions::journal)"
    )]
    Interrupted,
    /// The job is over. The request did not reach it.
    #[error("the job is {status}")]
    JobOver {
        /// How it stands.
        status: JobStatus,
    },
    /// The request could not be sent.
    #[error("{why}")]
    NotSent {
        /// Why not, in words.
        why: String,
    },
}

impl AskError {
    /// Why a request could not be sent.
    pub(super) fn of<Q>(error: SendError<Q>) -> AskError {
        match error {
            SendError::Full { .. } => AskError::Overloaded,
            SendError::TimedOut { .. } => AskError::Deadline { sent: false },
            SendError::Closed { status, .. } => AskError::JobOver { status },
            SendError::NotStarted { .. }
            | SendError::TooManyHandles { .. }
            | SendError::NoWatermarks { .. }
            | SendError::Disk { .. } => AskError::NotSent { why: error.to_string() },
        }
    }

    /// The same of a request that is known not to have been sent.
    pub(super) fn unsent(self) -> AskError {
        match self {
            AskError::Deadline { .. } => AskError::Deadline { sent: false },
            other => other,
        }
    }
}
