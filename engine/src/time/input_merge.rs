//! The event time of an operator: the minimum over its inputs.

use std::ops::Range;

use super::saved::{InputTime, MergeTime};
use super::signal::{Combined, Output, Signals, Status};
use super::standstill::{InputView, Standstill, explain};
use crate::element::{Nanos, Timestamp};

/// Merges the watermarks, idle marks and ends of an operator's inputs (one per producer shard).
///
/// After Flink's `StatusWatermarkValve`, except for what the [module](super) names:
///
/// - the watermark is the minimum over the inputs that count, and never goes back;
/// - an input counts unless it is idle, has ended, or came back from idleness and is still behind the watermark;
/// - when all inputs that have not ended are idle, the watermark concludes on the largest that any input has announced, once;
/// - when all have ended, it is [`Timestamp::MAX`].
///
/// The inputs from the instances of one [operator](Producers::Operator) are one input to these rules: its watermark is the smallest of
/// theirs, and it is idle when they all are.
///
/// Each call says what follows from it for those downstream.
#[derive(Debug)]
pub struct InputMerge {
    inputs: Vec<Input>,
    /// The inputs that are one to the rules.
    groups: Vec<Range<usize>>,
    output: Output,
}

/// The inputs that come through one exchange: one from each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// How many inputs there are.
    pub inputs: usize,
    /// What is at their other ends.
    pub producers: Producers,
}

/// What is at the other ends of an exchange's lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Producers {
    /// Instances of a source, which read different partitions, or of what each of them feeds alone: each goes idle by itself.
    Source,
    /// Instances of an operator that an exchange feeds. All of them hear of the same sources, so they become idle or active together, a
    /// moment apart. To go on without those that have yet to wake up would make what they are about to say late.
    Operator,
}

#[derive(Clone, Copy, Debug)]
struct Input {
    /// The last watermark it announced (its end does not change it).
    watermark: Timestamp,
    /// Since when it has stood there.
    since: Nanos,
    idle: bool,
    ended: bool,
}

/// A group of inputs as one.
#[derive(Clone, Copy)]
struct Group {
    watermark: Timestamp,
    open: bool,
    active: bool,
}

impl Group {
    /// Those that count are never behind the output, so that being behind it is what marks one that has yet to catch up.
    fn counts(&self, output: Timestamp) -> bool {
        self.active && self.watermark >= output
    }
}

impl InputMerge {
    /// A merge of inputs that are all active and all at `start`: [`Timestamp::MIN`] for a fresh start; after a rescaling the smallest
    /// watermark of the old instances (each key group keeps its own as a floor, see [`KeyGroupFloors`](super::KeyGroupFloors)).
    pub fn new(sides: &[Side], start: Timestamp, now: Nanos) -> Self {
        let input = Input { watermark: start, since: now, idle: false, ended: false };
        let mut groups = Vec::new();
        let mut first = 0;
        for side in sides {
            let inputs = first..first + side.inputs;
            first = inputs.end;
            match side.producers {
                Producers::Source => groups.extend(inputs.map(|input| input..input + 1)),
                Producers::Operator => groups.push(inputs),
            }
        }
        InputMerge { inputs: vec![input; first], groups, output: Output::starting_at(start) }
    }

    /// A merge that goes on from a checkpoint with the same inputs.
    ///
    /// # Panics
    /// Where there were more or fewer inputs.
    pub fn restore(sides: &[Side], saved: &MergeTime, now: Nanos) -> Self {
        let mut merge = InputMerge::new(sides, saved.output, now);
        assert_eq!(merge.inputs.len(), saved.inputs.len(), "as many inputs as were saved");
        for (input, &InputTime { watermark, idle, ended }) in merge.inputs.iter_mut().zip(&saved.inputs) {
            *input = Input { watermark, since: now, idle, ended };
        }
        merge.output.status = match merge.combined() {
            Combined::Active(_) => Status::Active,
            Combined::Idle(_) => Status::Idle,
            Combined::Ended => Status::Ended,
        };
        merge
    }

    /// What a checkpoint has to hold.
    pub fn save(&self) -> MergeTime {
        let state =
            |input: &Input| InputTime { watermark: input.watermark, idle: input.idle, ended: input.ended };
        MergeTime { output: self.output.watermark, inputs: self.inputs.iter().map(state).collect() }
    }

    /// A watermark came from an input. An input that was idle is active again. One that goes back is ignored.
    pub fn watermark(&mut self, input: usize, to: Timestamp, now: Nanos) -> Signals {
        let output = self.output.watermark;
        let entry = &mut self.inputs[input];
        // The end of time is not announced: it is what an input has come to that has ended, and its end follows.
        if entry.ended || to == Timestamp::MAX {
            return Signals::NONE;
        }
        let was_idle = std::mem::replace(&mut entry.idle, false);
        let from = entry.watermark;
        if to > from {
            entry.watermark = to;
            entry.since = now;
        }
        // An input ahead of the output was not the one that held it.
        if !was_idle && (to <= from || from > output) {
            return Signals::NONE;
        }
        self.settle()
    }

    /// A batch came from an input: it is active, if it was not before. To be called for every batch; costs one test.
    #[inline]
    pub fn active(&mut self, input: usize) -> Signals {
        if !self.inputs[input].idle {
            return Signals::NONE;
        }
        self.inputs[input].idle = false;
        self.settle()
    }

    /// An input is idle.
    pub fn idle(&mut self, input: usize) -> Signals {
        let entry = &mut self.inputs[input];
        if entry.idle || entry.ended {
            return Signals::NONE;
        }
        entry.idle = true;
        self.settle()
    }

    /// An input has ended.
    pub fn end(&mut self, input: usize) -> Signals {
        let entry = &mut self.inputs[input];
        if entry.ended {
            return Signals::NONE;
        }
        entry.ended = true;
        entry.idle = false;
        self.settle()
    }

    /// The operator's watermark.
    #[inline]
    pub fn current(&self) -> Timestamp {
        self.output.watermark
    }

    /// Whether all inputs that have not ended are idle.
    pub fn is_idle(&self) -> bool {
        self.output.status == Status::Idle
    }

    /// Whether an input has not ended.
    pub fn is_open(&self, input: usize) -> bool {
        !self.inputs[input].ended
    }

    /// Whether all inputs have ended.
    pub fn has_ended(&self) -> bool {
        self.output.status == Status::Ended
    }

    /// Whether an input is active but does not count yet, because it came back from idleness behind the watermark: its late records
    /// are late for that reason.
    pub fn is_catching_up(&self, input: usize) -> bool {
        let group = self.group(self.group_of(input));
        group.active && !self.inputs[input].ended && !group.counts(self.output.watermark)
    }

    /// Whether a batch that is at hand comes from an input that was idle and is behind the watermark: its late records are late for that
    /// reason. To be asked before [`InputMerge::active`]; costs one comparison.
    #[inline]
    pub fn is_behind(&self, input: usize) -> bool {
        // Those that count are never behind the output.
        self.inputs[input].watermark < self.output.watermark
    }

    /// All that a listener has to be told that knows nothing yet (after a restart): the watermark, and whether all inputs are idle
    /// or have ended.
    pub fn restate(&self) -> Signals {
        self.output.restate()
    }

    /// Why the watermark stands where it stands.
    pub fn held_back_by(&self) -> Standstill {
        let views = self.groups.iter().flat_map(|inputs| {
            let group = self.group(inputs);
            self.inputs[inputs.clone()].iter().map(move |input| InputView {
                watermark: input.watermark,
                since: input.since,
                open: !input.ended,
                idle: !input.ended && !group.active,
                counts: !input.ended && group.counts(self.output.watermark),
            })
        });
        explain(views)
    }

    fn settle(&mut self) -> Signals {
        let combined = self.combined();
        self.output.say(combined)
    }

    fn combined(&self) -> Combined {
        let mut min = None;
        let mut max = Timestamp::MIN;
        let (mut any_open, mut any_active) = (false, false);
        for group in self.groups.iter().map(|inputs| self.group(inputs)) {
            any_open |= group.open;
            any_active |= group.active;
            max = max.max(group.watermark);
            if group.counts(self.output.watermark) {
                min = Some(min.map_or(group.watermark, |min: Timestamp| min.min(group.watermark)));
            }
        }
        match (any_open, any_active) {
            (_, true) => Combined::Active(min),
            (true, false) => Combined::Idle(max),
            (false, false) => Combined::Ended,
        }
    }

    fn group(&self, inputs: &Range<usize>) -> Group {
        let inputs = &self.inputs[inputs.clone()];
        let open = || inputs.iter().filter(|input| !input.ended);
        let smallest = open().map(|input| input.watermark).min();
        // What inputs that have all ended came to.
        let last = || inputs.iter().map(|input| input.watermark).max();
        Group {
            watermark: smallest.or_else(last).unwrap_or(Timestamp::MIN),
            open: smallest.is_some(),
            active: open().any(|input| !input.idle),
        }
    }

    fn group_of(&self, input: usize) -> &Range<usize> {
        self.groups.iter().find(|inputs| inputs.contains(&input)).expect("every input is in a group")
    }
}

#[cfg(test)]
mod tests;
