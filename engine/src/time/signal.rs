//! What the merging of inputs says to whoever follows.

use crate::element::Timestamp;

/// One step of event time, to be passed on in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// There is input again after [`Signal::Idle`]. On a channel, any batch or watermark says so; where neither is due, the last
    /// watermark is repeated, so that downstream waits from now on.
    Active,
    /// The watermark is now this.
    Advance(Timestamp),
    /// Nothing is expected for a while: do not wait.
    Idle,
    /// There will never be anything more.
    End,
}

/// Up to four [`Signal`]s that follow from one event. Iterates in the order in which they are to be passed on: active, advance,
/// idle, end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Signals {
    pub(super) active: bool,
    pub(super) advance: Option<Timestamp>,
    pub(super) idle: bool,
    pub(super) end: bool,
}

impl Signals {
    /// Nothing changed.
    pub const NONE: Signals = Signals { active: false, advance: None, idle: false, end: false };

    /// Whether nothing changed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        *self == Signals::NONE
    }

    /// The new watermark, if it moved.
    #[inline]
    pub fn advance(&self) -> Option<Timestamp> {
        self.advance
    }
}

impl IntoIterator for Signals {
    type Item = Signal;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Signal>, 4>>;

    fn into_iter(self) -> Self::IntoIter {
        [
            self.active.then_some(Signal::Active),
            self.advance.map(Signal::Advance),
            self.idle.then_some(Signal::Idle),
            self.end.then_some(Signal::End),
        ]
        .into_iter()
        .flatten()
    }
}

/// What all inputs taken together say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Combined {
    /// Some are active; the smallest watermark of those that count, if any counts.
    Active(Option<Timestamp>),
    /// All that have not ended are idle; the largest watermark of all.
    Idle(Timestamp),
    /// All have ended.
    Ended,
}

/// What was said last: the output of a merge. Turns what holds now into what is new.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) watermark: Timestamp,
    pub(super) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    Idle,
    Ended,
}

impl Output {
    pub(super) fn starting_at(watermark: Timestamp) -> Self {
        Output { watermark, status: Status::Active }
    }

    pub(super) fn say(&mut self, combined: Combined) -> Signals {
        let mut signals = Signals::NONE;
        let (status, watermark) = match combined {
            Combined::Active(watermark) => (Status::Active, watermark),
            // Once: what idle inputs say later is for when one of them is active again.
            Combined::Idle(max) => (Status::Idle, (self.status == Status::Active).then_some(max)),
            Combined::Ended => (Status::Ended, Some(Timestamp::MAX)),
        };
        if status != self.status {
            match status {
                Status::Active => signals.active = true,
                Status::Idle => signals.idle = true,
                Status::Ended => signals.end = true,
            }
            self.status = status;
        }
        if let Some(watermark) = watermark
            && watermark > self.watermark
        {
            self.watermark = watermark;
            signals.advance = Some(watermark);
        }
        signals
    }

    /// What a listener that knows nothing has to be told.
    pub(super) fn restate(&self) -> Signals {
        Signals {
            active: false,
            advance: (self.watermark > Timestamp::MIN).then_some(self.watermark),
            idle: self.status == Status::Idle,
            end: self.status == Status::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_come_in_the_order_of_the_grammar() {
        let all = Signals { active: true, advance: Some(Timestamp(3)), idle: true, end: true };
        let order: Vec<_> = all.into_iter().collect();
        assert_eq!(order, [Signal::Active, Signal::Advance(Timestamp(3)), Signal::Idle, Signal::End]);
        assert_eq!(Signals::NONE.into_iter().count(), 0);
    }

    #[test]
    fn a_listener_that_knows_nothing_is_told_all_of_it() {
        let mut output = Output::starting_at(Timestamp::MIN);
        assert!(output.restate().is_empty());
        let _ = output.say(Combined::Idle(Timestamp(5)));
        let told: Vec<_> = output.restate().into_iter().collect();
        assert_eq!(told, [Signal::Advance(Timestamp(5)), Signal::Idle]);
    }
}
