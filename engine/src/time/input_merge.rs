//! The event time of an operator: the minimum over its inputs.

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
/// Each call says what follows from it for those downstream.
#[derive(Debug)]
pub struct InputMerge {
    inputs: Vec<Input>,
    output: Output,
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

impl Input {
    fn is_active(&self) -> bool {
        !self.idle && !self.ended
    }

    /// Inputs that count are never behind the output, so that being behind it is what marks one that has yet to catch up.
    fn counts(&self, output: Timestamp) -> bool {
        self.is_active() && self.watermark >= output
    }
}

impl InputMerge {
    /// A merge of `inputs` inputs, all active, all at `start`: [`Timestamp::MIN`] for a fresh start; after a rescaling the smallest watermark
    /// of the old instances (each key group keeps its own as a floor, see [`KeyGroupFloors`](super::KeyGroupFloors)).
    pub fn new(inputs: usize, start: Timestamp, now: Nanos) -> Self {
        let input = Input { watermark: start, since: now, idle: false, ended: false };
        InputMerge { inputs: vec![input; inputs], output: Output::starting_at(start) }
    }

    /// A merge that goes on from a checkpoint with the same inputs.
    pub fn restore(saved: &MergeTime, now: Nanos) -> Self {
        let inputs: Vec<Input> = saved
            .inputs
            .iter()
            .map(|&InputTime { watermark, idle, ended }| Input { watermark, since: now, idle, ended })
            .collect();
        let mut merge = InputMerge { inputs, output: Output::starting_at(saved.output) };
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
        if entry.ended {
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

    /// Whether all inputs have ended.
    pub fn has_ended(&self) -> bool {
        self.output.status == Status::Ended
    }

    /// Whether an input is active but does not count yet, because it came back from idleness behind the watermark: its late records
    /// are late for that reason.
    pub fn is_catching_up(&self, input: usize) -> bool {
        let input = &self.inputs[input];
        input.is_active() && !input.counts(self.output.watermark)
    }

    /// All that a listener has to be told that knows nothing yet (after a restart): the watermark, and whether all inputs are idle
    /// or have ended.
    pub fn restate(&self) -> Signals {
        self.output.restate()
    }

    /// Why the watermark stands where it stands.
    pub fn held_back_by(&self) -> Standstill {
        explain(self.inputs.iter().map(|input| InputView {
            watermark: input.watermark,
            since: input.since,
            open: !input.ended,
            idle: input.idle,
            counts: input.counts(self.output.watermark),
        }))
    }

    fn settle(&mut self) -> Signals {
        let combined = self.combined();
        self.output.say(combined)
    }

    fn combined(&self) -> Combined {
        let mut min = None;
        let mut max = Timestamp::MIN;
        let (mut any_open, mut any_active) = (false, false);
        for input in &self.inputs {
            any_open |= !input.ended;
            any_active |= input.is_active();
            max = max.max(input.watermark);
            if input.counts(self.output.watermark) {
                min = Some(min.map_or(input.watermark, |min: Timestamp| min.min(input.watermark)));
            }
        }
        match (any_open, any_active) {
            (_, true) => Combined::Active(min),
            (true, false) => Combined::Idle(max),
            (false, false) => Combined::Ended,
        }
    }
}

#[cfg(test)]
mod tests;
