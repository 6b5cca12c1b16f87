//! What a call comes to, and what becomes of a record whose call comes to nothing.

use std::error::Error;
use std::time::Duration;

use super::Retry;
use crate::element::ShardId;
use crate::operator::side::Tag;

/// An error of the program's own.
pub(super) type UserError = Box<dyn Error + Send + Sync>;

/// How what a future gives becomes an answer. Implemented by markers, since a value may be a `Result` like any other.
pub trait Answer<O>: 'static {
    /// What goes on.
    type Value: 'static;

    /// The answer, if anything is to go on; or why there is none.
    fn of(output: O) -> Result<Option<Self::Value>, UserError>;
}

/// The future gives the answer.
pub struct Always;

impl<U: 'static> Answer<U> for Always {
    type Value = U;

    #[inline(always)]
    fn of(output: U) -> Result<Option<U>, UserError> {
        Ok(Some(output))
    }
}

/// The future gives the answer or an error.
pub struct MayFail;

impl<U: 'static, E: Into<UserError>> Answer<Result<U, E>> for MayFail {
    type Value = U;

    #[inline(always)]
    fn of(output: Result<U, E>) -> Result<Option<U>, UserError> {
        output.map(Some).map_err(Into::into)
    }
}

/// The future gives an answer, that nothing is to go on, or an error.
pub struct IfAny;

impl<U: 'static> Answer<Result<Option<U>, UserError>> for IfAny {
    type Value = U;

    #[inline(always)]
    fn of(output: Result<Option<U>, UserError>) -> Result<Option<U>, UserError> {
        output
    }
}

/// Why there is no answer for a record.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing came in time.
    #[error("nothing came within {within:?} (attempt {attempt})")]
    TimedOut {
        /// How long was waited, over all attempts.
        within: Duration,
        /// Which attempt was under way, counted from 1.
        attempt: u32,
    },
    /// The last attempt failed.
    #[error("attempt {attempts} of {attempts} failed: {error}")]
    Failed {
        /// How many attempts were made.
        attempts: u32,
        /// How the last one failed.
        error: UserError,
    },
}

/// What becomes of a record without an answer.
pub(crate) enum Otherwise<T, U> {
    /// The job fails.
    Fail,
    /// This goes on in its stead.
    Value(Box<dyn FnMut(T, &NoAnswer) -> U>),
    /// The record goes to a side output.
    Side(Tag<T>),
}

/// A record has no answer, and nothing was said of what becomes of such.
#[derive(Debug, thiserror::Error)]
#[error(
    "no answer for record {number} that came to shard {shard} since the start: {why}; allow more time with .timeout(..), more attempts with \
     .retry(..), or say what becomes of such records with .or_value(..) or .or_side(..)"
)]
pub(super) struct Unanswered {
    pub(super) number: u64,
    pub(super) shard: ShardId,
    pub(super) why: NoAnswer,
}

/// How calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Whether results keep the order of their records.
    pub(crate) ordered: bool,
    /// How many records are under way at most, on each shard.
    pub(crate) capacity: usize,
    /// How long a record may be under way, over all attempts.
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Retry,
}

impl Settings {
    /// As in Flink, except for the timeout, which there has to be given.
    pub(crate) fn new(ordered: bool) -> Settings {
        Settings { ordered, capacity: 100, timeout: Some(Duration::from_secs(60)), retry: Retry::NEVER }
    }

    /// What is wrong with them, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.capacity == 0 {
            return Some("the capacity is 0: no call could ever be made".to_owned());
        }
        if self.timeout == Some(Duration::ZERO) {
            return Some("the timeout is 0: no call could come back in time".to_owned());
        }
        self.retry.fault()
    }
}
