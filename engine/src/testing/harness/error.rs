//! What can go wrong in a harness.

use crate::element::Timestamp;
use crate::job::JobError;

/// Why a harness did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// The job could not be started, or failed.
    #[error(transparent)]
    Job(Box<JobError>),
    /// The name of an input is wrong.
    #[error("the program has no input `{name}`; it has {known}. Make one with flow.input(\"{name}\")")]
    NoSuchInput {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The name of an output is wrong.
    #[error(
        "the program has no output `{name}`; it has {known}. Make one with flow.output(\"{name}\", stream)"
    )]
    NoSuchOutput {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// There are several, or none, and none was named.
    #[error("which {port} is meant? The program has {known}: name one")]
    NotTheOnlyOne {
        /// Input or output.
        port: &'static str,
        /// Those there are.
        known: String,
    },
    /// An input or output has records of another type.
    #[error("`{name}` has records of type {is}, not {asked}")]
    WrongType {
        /// The input or output.
        name: String,
        /// The type of its records.
        is: &'static str,
        /// The type that it was used with.
        asked: &'static str,
    },
    /// An input was fed after its end.
    #[error("input `{input}` has ended; feed it before its end")]
    AfterEnd {
        /// The input.
        input: String,
    },
    /// A watermark was to go back.
    #[error(
        "the watermark of input `{input}` stands at {stands} and cannot go back to {to}; watermarks only rise"
    )]
    WatermarkBack {
        /// The input.
        input: String,
        /// Where its watermark stands.
        stands: Timestamp,
        /// Where it was to go.
        to: Timestamp,
    },
    /// A watermark at the end of time.
    #[error("a watermark of {} is the end of input `{input}`; end the input instead", i64::MAX)]
    EndOfTime {
        /// The input.
        input: String,
    },
    /// The clock was to go back.
    #[error("the clock stands at {stands} and cannot go back to {to}; processing time only rises")]
    ClockBack {
        /// Where it stands.
        stands: Timestamp,
        /// Where it was to go.
        to: Timestamp,
    },
    /// The job is over.
    #[error("the job is over, {how}; make a new harness, or restore a snapshot")]
    Over {
        /// How it ended.
        how: String,
    },
    /// The job does not come to rest.
    #[error(
        "the job still has something to do after {turns} turns; an operator that always says it has more, or a source without end, keeps it \
         from resting:\n{state}"
    )]
    Restless {
        /// How many turns its shards have taken.
        turns: u64,
        /// Who is at it.
        state: String,
    },
}

impl From<JobError> for HarnessError {
    fn from(error: JobError) -> Self {
        HarnessError::Job(Box::new(error))
    }
}

/// The value; or a panic with the error's words, at the line of the test.
#[track_caller]
pub(super) fn must<T>(result: Result<T, HarnessError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
