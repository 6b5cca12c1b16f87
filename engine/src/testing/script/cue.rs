//! What a script is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::element::Timestamp;

/// One thing that a [`Script`](super::Script) does. [`script!`](crate::script!) writes them shorter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cue<T> {
    /// Gives a record with this event time.
    Give(T, Timestamp),
    /// Says that event time has come here.
    Watermark(Timestamp),
    /// Says that nothing is to be expected for a while.
    Idle,
    /// Pauses.
    Wait(Duration),
    /// Fails the job, once.
    Abort(Abort),
}

impl<T> Cue<T> {
    /// A record without an event time.
    pub fn record(record: T) -> Self {
        Cue::Give(record, Timestamp::MIN)
    }

    /// A record with an event time.
    pub fn timed(record: T, at: impl Into<Timestamp>) -> Self {
        Cue::Give(record, at.into())
    }

    /// A watermark that the source says.
    pub fn watermark(at: impl Into<Timestamp>) -> Self {
        Cue::Watermark(at.into())
    }

    /// The source says that it is idle, until its next record or watermark.
    pub fn idle() -> Self {
        Cue::Idle
    }

    /// A pause by the job's clock.
    pub fn wait(pause: Duration) -> Self {
        Cue::Wait(pause)
    }

    /// A failure that comes once.
    pub fn abort() -> Self {
        Cue::Abort(Abort::default())
    }
}

/// Whether the job was failed at an abort. Clones share it, and with it all attempts of a job.
#[derive(Clone, Debug, Default)]
pub struct Abort(Arc<AtomicBool>);

impl Abort {
    /// Whether the job was not failed here before. It will have been from now on.
    pub(super) fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}
