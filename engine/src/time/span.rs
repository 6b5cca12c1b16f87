//! Lengths of event time: given as a duration or in ticks, resolved to ticks once the job's tick is known.

use std::fmt;
use std::ops::Neg;
use std::time::Duration;

/// What one tick of event time means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tick {
    /// One millisecond, the default.
    #[default]
    Millisecond,
    /// One microsecond.
    Microsecond,
    /// One nanosecond.
    Nanosecond,
}

impl Tick {
    /// How many nanoseconds a tick has.
    pub fn nanos(self) -> i64 {
        match self {
            Tick::Millisecond => 1_000_000,
            Tick::Microsecond => 1_000,
            Tick::Nanosecond => 1,
        }
    }

    /// Its number in a checkpoint.
    pub(crate) fn code(self) -> u8 {
        match self {
            Tick::Millisecond => 0,
            Tick::Microsecond => 1,
            Tick::Nanosecond => 2,
        }
    }

    /// The tick with this number.
    pub(crate) fn from_code(code: u8) -> Option<Tick> {
        [Tick::Millisecond, Tick::Microsecond, Tick::Nanosecond].into_iter().find(|tick| tick.code() == code)
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tick::Millisecond => "1 ms",
            Tick::Microsecond => "1 us",
            Tick::Nanosecond => "1 ns",
        })
    }
}

/// A length of event time in ticks of the job; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

/// A length of event time, in ticks or in real units. Made from a [`Duration`] or from [`Ticks`]; `-span` turns it around.
///
/// ```
/// use millstream_engine::time::{Span, Tick, Ticks};
/// use std::time::Duration;
///
/// let eight_hours_back = -Span::from(Duration::from_secs(8 * 3600));
/// assert_eq!(eight_hours_back.in_ticks(Tick::Millisecond), Ok(-28_800_000));
/// assert_eq!(Span::from(Ticks(5)).in_ticks(Tick::Nanosecond), Ok(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Unit);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Ticks(i64),
    /// Fits: a duration has less than 2^94 nanoseconds.
    Nanos(i128),
}

impl From<Ticks> for Span {
    fn from(ticks: Ticks) -> Self {
        Span(Unit::Ticks(ticks.0))
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        // Less than 2^94, so that the conversion keeps the value.
        Span(Unit::Nanos(duration.as_nanos() as i128))
    }
}

impl Neg for Span {
    type Output = Span;

    fn neg(self) -> Span {
        match self.0 {
            Unit::Ticks(ticks) => match ticks.checked_neg() {
                Some(ticks) => Span(Unit::Ticks(ticks)),
                None => Span(Unit::Ticks(i64::MAX)),
            },
            Unit::Nanos(nanos) => Span(Unit::Nanos(-nanos)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unit::Ticks(1) => f.write_str("1 tick"),
            Unit::Ticks(ticks) => write!(f, "{ticks} ticks"),
            Unit::Nanos(nanos) => {
                let (sign, nanos) =
                    if nanos < 0 { ("-", nanos.unsigned_abs()) } else { ("", nanos.unsigned_abs()) };
                match nanos {
                    n if n.is_multiple_of(1_000_000_000) => write!(f, "{sign}{} s", n / 1_000_000_000),
                    n if n.is_multiple_of(1_000_000) => write!(f, "{sign}{} ms", n / 1_000_000),
                    n if n.is_multiple_of(1_000) => write!(f, "{sign}{} us", n / 1_000),
                    n => write!(f, "{sign}{n} ns"),
                }
            }
        }
    }
}

/// A length that cannot be told in the job's ticks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It lies between two ticks.
    #[error("{span} is not a whole number of ticks of {tick}; round it, or give the job a finer tick")]
    NotWhole {
        /// The length.
        span: String,
        /// The job's tick.
        tick: Tick,
    },
    /// It does not fit into 64 bits.
    #[error("{span} is more than event time can hold in ticks of {tick}; give the job a coarser tick")]
    TooLong {
        /// The length.
        span: String,
        /// The job's tick.
        tick: Tick,
    },
}

impl Span {
    /// The length in ticks of the job.
    pub fn in_ticks(self, tick: Tick) -> Result<i64, SpanError> {
        let nanos = match self.0 {
            Unit::Ticks(ticks) => return Ok(ticks),
            Unit::Nanos(nanos) => nanos,
        };
        let unit = i128::from(tick.nanos());
        if nanos % unit != 0 {
            return Err(SpanError::NotWhole { span: self.to_string(), tick });
        }
        i64::try_from(nanos / unit).map_err(|_| SpanError::TooLong { span: self.to_string(), tick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_becomes_ticks_of_the_job() {
        let span = Span::from(Duration::from_millis(3));
        assert_eq!(span.in_ticks(Tick::Millisecond), Ok(3));
        assert_eq!(span.in_ticks(Tick::Microsecond), Ok(3_000));
        assert_eq!(span.in_ticks(Tick::Nanosecond), Ok(3_000_000));
        assert_eq!((-span).in_ticks(Tick::Millisecond), Ok(-3));
    }

    #[test]
    fn what_does_not_fit_says_what_to_do() {
        let fine = Span::from(Duration::from_micros(1500)).in_ticks(Tick::Millisecond).unwrap_err();
        assert_eq!(
            fine.to_string(),
            "1500 us is not a whole number of ticks of 1 ms; round it, or give the job a finer tick"
        );
        let long = Span::from(Duration::MAX).in_ticks(Tick::Nanosecond);
        assert!(matches!(long, Err(SpanError::TooLong { .. })));
        assert!(Span::from(Duration::from_secs(u64::MAX)).in_ticks(Tick::Millisecond).is_err());
    }

    #[test]
    fn turning_around_saturates() {
        assert_eq!((-Span::from(Ticks(i64::MIN))).in_ticks(Tick::Millisecond), Ok(i64::MAX));
    }
}
