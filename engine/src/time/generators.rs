//! Watermark generators: each makes the watermark of one source partition from what comes out of it.
//!
//! | generator | watermark |
//! | --- | --- |
//! | [`BoundedOutOfOrderness`] | the greatest timestamp, less a fixed bound, less one |
//! | [`AdaptiveBound`] | the same, with a bound that follows the disorder that is observed |
//! | [`Reported`] | what the source itself says |
//! | one of the program's own | what it likes |
//!
//! When a watermark is let out (after each batch, now and then, or at marked records) is not theirs to say:
//! [`Watermarks`](super::Watermarks) does.

mod adaptive;
mod bounded;
mod reported;

pub use adaptive::{AdaptiveBound, AdaptiveBoundError};
pub use bounded::BoundedOutOfOrderness;
pub use reported::Reported;

use crate::element::Timestamp;

/// Makes the watermark of one source partition.
///
/// `on_record` is called for every record: keep it to a few instructions.
pub trait WatermarkGenerator: 'static {
    /// A record with this timestamp came. A record without a timestamp ([`Timestamp::MIN`]) must change nothing.
    fn on_record(&mut self, at: Timestamp);

    /// The source itself says that no more records with a timestamp of `at` or less are to be expected.
    fn on_reported(&mut self, at: Timestamp) {
        let _ = at;
    }

    /// The watermark as of now. It may go back, which is counted (`watermark_regressions`): what is sent out does not.
    fn watermark(&self) -> Timestamp;

    /// Appends all that the generator has to remember across a restart.
    fn save(&self, out: &mut Vec<u8>);

    /// Goes on where a saved generator was. Where the program has changed, these may be the bytes of another kind: what does not fit is
    /// to be ignored. (The watermark does not go back in any case.)
    fn restore(&mut self, saved: &[u8]);
}

/// The generator of a partition. Built-in kinds are reached by a predictable branch, not by a virtual call.
pub(super) enum Generator {
    /// Makes no watermarks.
    None,
    Bounded(BoundedOutOfOrderness),
    Adaptive(Box<AdaptiveBound>),
    Reported(Reported),
    Custom(Box<dyn WatermarkGenerator>),
}

impl Generator {
    #[inline]
    pub(super) fn on_record(&mut self, at: Timestamp) {
        match self {
            Generator::Bounded(generator) => generator.on_record(at),
            Generator::None | Generator::Reported(_) => {}
            Generator::Adaptive(generator) => generator.on_record(at),
            Generator::Custom(generator) => generator.on_record(at),
        }
    }

    pub(super) fn on_reported(&mut self, at: Timestamp) {
        match self {
            Generator::Reported(generator) => generator.on_reported(at),
            Generator::Custom(generator) => generator.on_reported(at),
            Generator::None | Generator::Bounded(_) | Generator::Adaptive(_) => {}
        }
    }

    pub(super) fn watermark(&self) -> Timestamp {
        match self {
            Generator::None => Timestamp::MIN,
            Generator::Bounded(generator) => generator.watermark(),
            Generator::Adaptive(generator) => generator.watermark(),
            Generator::Reported(generator) => generator.watermark(),
            Generator::Custom(generator) => generator.watermark(),
        }
    }

    /// Whether it has to be told of every record. The others need only the greatest timestamp of a batch.
    pub(super) fn needs_every_record(&self) -> bool {
        matches!(self, Generator::Adaptive(_) | Generator::Custom(_))
    }

    /// Whether a watermark that goes back is a mistake of whoever made it. (That of a bound that grows is not.)
    pub(super) fn must_not_go_back(&self) -> bool {
        matches!(self, Generator::Reported(_) | Generator::Custom(_))
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        match self {
            Generator::None => {}
            Generator::Bounded(generator) => generator.save(out),
            Generator::Adaptive(generator) => generator.save(out),
            Generator::Reported(generator) => generator.save(out),
            Generator::Custom(generator) => generator.save(out),
        }
    }

    pub(super) fn restore(&mut self, saved: &[u8]) {
        match self {
            Generator::None => {}
            Generator::Bounded(generator) => generator.restore(saved),
            Generator::Adaptive(generator) => generator.restore(saved),
            Generator::Reported(generator) => generator.restore(saved),
            Generator::Custom(generator) => generator.restore(saved),
        }
    }
}

/// What all built-in generators begin their saved bytes with: a number of ticks. So the greatest timestamp survives a change of the
/// bound's kind.
fn first_ticks(saved: &[u8]) -> Option<i64> {
    saved.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes))
}
