//! What is done to a program under test.

use std::fmt;

use super::ports::PortType;
use crate::element::Timestamp;
use crate::record::{Record, RecordBuf};

/// One thing that is done to a program under test: a record, a watermark, a movement of the clock. A list of steps is a trace, which can be
/// [run](super::Harness::step) and held against the [contract](crate::testing::contract).
///
/// ```
/// use millstream_engine::testing::Step;
///
/// let trace = [
///     Step::push(10i64, 1_000),
///     Step::push(7i64, 4_000).to("refunds"), // where there is more than one input
///     Step::watermark(4_999),
///     Step::end(),
/// ];
/// assert_eq!(trace[1].to_string(), "push 7 at 4000 to `refunds`");
/// ```
#[derive(Clone)]
pub struct Step {
    pub(super) input: Option<String>,
    pub(super) act: Act,
}

#[derive(Clone)]
pub(super) enum Act {
    Push { of: PortType, bytes: RecordBuf, at: Timestamp, shown: String },
    Watermark(Timestamp),
    Idle,
    Clock(Timestamp),
    End,
}

impl Step {
    fn new(act: Act) -> Step {
        Step { input: None, act }
    }

    /// Pushes a record with this event time into the only input, the one that is called `in`, or the one that [`Step::to`] names.
    pub fn push<T: Record + fmt::Debug>(record: T, at: impl Into<Timestamp>) -> Step {
        let mut bytes = RecordBuf::new();
        record.encode(&mut bytes);
        Step::new(Act::Push { of: PortType::of::<T>(), bytes, at: at.into(), shown: format!("{record:?}") })
    }

    /// Raises the watermark of all inputs that have not ended, or of the one that [`Step::to`] names.
    pub fn watermark(to: impl Into<Timestamp>) -> Step {
        Step::new(Act::Watermark(to.into()))
    }

    /// Says that an input is idle until its next record or watermark: all of them that have not ended, or the one that [`Step::to`] names.
    pub fn idle() -> Step {
        Step::new(Act::Idle)
    }

    /// Moves the clock to this processing time, with a stop at each moment at which something is due.
    pub fn clock(to: impl Into<Timestamp>) -> Step {
        Step::new(Act::Clock(to.into()))
    }

    /// Ends all inputs that have not ended, or the one that [`Step::to`] names. When all have, the job ends.
    pub fn end() -> Step {
        Step::new(Act::End)
    }

    /// Whether it ends all inputs.
    pub(in crate::testing) fn ends_all(&self) -> bool {
        self.input.is_none() && matches!(self.act, Act::End)
    }

    /// The same for the input of this name.
    pub fn to(mut self, input: impl Into<String>) -> Step {
        self.input = Some(input.into());
        self
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            Act::Push { at, shown, .. } => write!(f, "push {shown} at {at}")?,
            Act::Watermark(at) => write!(f, "watermark {at}")?,
            Act::Idle => f.write_str("idle")?,
            Act::Clock(at) => write!(f, "clock {at}")?,
            Act::End => f.write_str("end")?,
        }
        self.input.as_ref().map_or(Ok(()), |input| write!(f, " to `{input}`"))
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
