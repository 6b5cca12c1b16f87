//! Windows that cannot be.

use crate::time::{Span, SpanError, Tick};

/// Windows that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// A length cannot be told in ticks.
    #[error("{what}: {error}")]
    Length {
        /// Which length.
        what: &'static str,
        /// Why not.
        #[source]
        error: SpanError,
    },
    /// A length is zero or negative.
    #[error("{what}: {given} is not positive; give it at least one tick")]
    NotPositive {
        /// Which length.
        what: &'static str,
        /// What was given.
        given: String,
    },
    /// A length that may be zero is negative.
    #[error("{what}: {given} is negative; leave it out, or give zero or more")]
    Negative {
        /// Which length.
        what: &'static str,
        /// What was given.
        given: String,
    },
    /// The offset is not smaller than the distance from one window to the next.
    #[error(
        "window offset: {offset} is not smaller than the window {what} of {limit}; use the remainder, between -{limit} and {limit}"
    )]
    OffsetTooLarge {
        /// What was given.
        offset: String,
        /// What limits it: the size, the slide or the step.
        what: &'static str,
        /// Its length.
        limit: String,
    },
    /// The step of cumulative windows does not divide their size, so that the last one would be shorter.
    #[error(
        "window step: {step} does not divide the largest size of {size}; choose a size that is a whole number of steps"
    )]
    StepDoesNotDivide {
        /// What was given.
        step: String,
        /// The largest size.
        size: String,
    },
}

/// A length that has to be positive, in ticks.
pub(crate) fn positive(what: &'static str, span: Span, tick: Tick) -> Result<i64, WindowError> {
    let ticks = span.in_ticks(tick).map_err(|error| WindowError::Length { what, error })?;
    if ticks > 0 { Ok(ticks) } else { Err(WindowError::NotPositive { what, given: span.to_string() }) }
}

/// An offset in ticks, which has to be smaller than `limit` both ways.
pub(super) fn offset_below(
    offset: Span,
    what: &'static str,
    limit: Span,
    tick: Tick,
) -> Result<i64, WindowError> {
    let within = limit.in_ticks(tick).map_err(|error| WindowError::Length { what, error })?;
    let ticks =
        offset.in_ticks(tick).map_err(|error| WindowError::Length { what: "window offset", error })?;
    if ticks.unsigned_abs() < within.unsigned_abs() {
        Ok(ticks)
    } else {
        Err(WindowError::OffsetTooLarge { offset: offset.to_string(), what, limit: limit.to_string() })
    }
}

/// An allowed lateness in ticks; may be zero.
pub(crate) fn lateness(span: Span, tick: Tick) -> Result<i64, WindowError> {
    const WHAT: &str = "allowed lateness";
    let ticks = span.in_ticks(tick).map_err(|error| WindowError::Length { what: WHAT, error })?;
    if ticks >= 0 { Ok(ticks) } else { Err(WindowError::Negative { what: WHAT, given: span.to_string() }) }
}
