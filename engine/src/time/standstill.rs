//! The answer to "why is event time not moving?".

use crate::element::{Nanos, Timestamp};

/// Why the watermark stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// This input holds it: the others wait for it.
    HeldBack(HeldBack),
    /// All inputs that have not ended are idle.
    AllIdle,
    /// Every active input was idle before and is still behind the watermark (its older records are late); it will count
    /// once it has caught up. This is the one that is furthest ahead.
    CatchingUp(HeldBack),
    /// All inputs have ended; there is nothing left to wait for.
    Ended,
}

/// The input that holds the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Its number: a partition of a source, or a producer shard.
    pub input: usize,
    /// Its watermark.
    pub watermark: Timestamp,
    /// Since when it has stood there (processing time).
    pub since: Nanos,
    /// The largest watermark among the other inputs, `None` where there are none.
    pub others_max: Option<Timestamp>,
}

impl Standstill {
    /// The input that is waited for, where it is one.
    pub fn input(&self) -> Option<&HeldBack> {
        match self {
            Standstill::HeldBack(held) | Standstill::CatchingUp(held) => Some(held),
            Standstill::AllIdle | Standstill::Ended => None,
        }
    }

    /// The answer in words. `name` gives the name of an input.
    pub fn describe(&self, now: Nanos, name: impl Fn(usize) -> String) -> String {
        match self {
            Standstill::HeldBack(held) => {
                let others = match held.others_max {
                    Some(max) => format!("; the furthest other input is at {max}"),
                    None => String::new(),
                };
                format!(
                    "{} holds event time at {} since {:?}{others}",
                    name(held.input),
                    held.watermark,
                    now.since(held.since)
                )
            }
            Standstill::AllIdle => "all inputs are idle".to_owned(),
            Standstill::CatchingUp(held) => format!(
                "{} was idle and is back at {}, behind the others; event time goes on once it has caught up",
                name(held.input),
                held.watermark
            ),
            Standstill::Ended => "all inputs have ended".to_owned(),
        }
    }
}

/// One input as the answer needs it.
#[derive(Clone, Copy)]
pub(super) struct InputView {
    pub(super) watermark: Timestamp,
    pub(super) since: Nanos,
    /// Not ended.
    pub(super) open: bool,
    pub(super) idle: bool,
    /// Active and taken into the minimum.
    pub(super) counts: bool,
}

pub(super) fn explain(inputs: impl Iterator<Item = InputView> + Clone) -> Standstill {
    let numbered = || inputs.clone().enumerate();
    let held = |input: usize, view: InputView| HeldBack {
        input,
        watermark: view.watermark,
        since: view.since,
        others_max: numbered().filter(|(other, _)| *other != input).map(|(_, other)| other.watermark).max(),
    };
    if let Some((input, view)) =
        numbered().filter(|(_, view)| view.counts).min_by_key(|(_, view)| view.watermark)
    {
        return Standstill::HeldBack(held(input, view));
    }
    let active = numbered().filter(|(_, view)| view.open && !view.idle);
    if let Some((input, view)) = active.max_by_key(|(_, view)| view.watermark) {
        return Standstill::CatchingUp(held(input, view));
    }
    if numbered().any(|(_, view)| view.open) { Standstill::AllIdle } else { Standstill::Ended }
}
