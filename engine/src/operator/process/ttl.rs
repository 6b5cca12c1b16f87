//! How long state lives: what a program says.

use crate::time::Span;
use crate::window::TimeDomain;

/// How long entries of a state live after they were last used: a value, each element of a list, each entry of a map
/// ([Flink: State Time-To-Live](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/fault-tolerance/state/#state-time-to-live-ttl)).
///
/// What has expired is taken out by itself, within a thirty-second part of its time to live, whether anybody looks at it or not: the memory
/// of a state is bounded by what is used within its time to live. Flink's kinds of clean-up are not needed for that.
///
/// ```
/// use std::time::Duration;
/// use millstream_engine::operator::Ttl;
///
/// let day = Ttl::of(Duration::from_secs(86_400));
/// let session = Ttl::of(Duration::from_secs(1_800)).by_event_time().renewed_by_reading();
/// # let _ = (day, session);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ttl {
    pub(super) span: Span,
    pub(super) domain: TimeDomain,
    pub(super) renewed_by_reading: bool,
    pub(super) shows_expired: bool,
    pub(super) cleans_up: bool,
}

impl Ttl {
    /// So long by processing time after an entry was last written. It is to be longer than 0.
    pub fn of(span: impl Into<Span>) -> Ttl {
        Ttl {
            span: span.into(),
            domain: TimeDomain::Processing,
            renewed_by_reading: false,
            shows_expired: false,
            cleans_up: true,
        }
    }

    /// By event time: from the time of the record or timer that an entry was last used for, until the watermark says it is over. Flink has
    /// processing time only.
    pub fn by_event_time(self) -> Ttl {
        Ttl { domain: TimeDomain::Event, ..self }
    }

    /// Reading an entry counts as using it (Flink's `OnReadAndWrite`).
    pub fn renewed_by_reading(self) -> Ttl {
        Ttl { renewed_by_reading: true, ..self }
    }

    /// Shows an entry that has expired as long as it has not been taken out (Flink's `ReturnExpiredIfNotCleanedUp`): once, since looking at it
    /// takes it out.
    pub fn shows_expired(self) -> Ttl {
        Ttl { shows_expired: true, ..self }
    }

    /// Takes expired entries out only when they are looked at (Flink's `disableCleanupInBackground`). What nobody looks at any more stays
    /// for ever.
    pub fn without_cleanup(self) -> Ttl {
        Ttl { cleans_up: false, ..self }
    }
}
