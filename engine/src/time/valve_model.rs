//! An oracle for [`InputMerge`]: Flink's `StatusWatermarkValve`, written out literally with its alignment flags, run against the same
//! random events.
//!
//! It leaves Flink in the two points that the module's documentation names (the conclusion when all are idle does not depend on which
//! input went idle last, and an ended input takes no part), and it says a new minimum as soon as it holds, where Flink sometimes waits
//! for the next watermark.

use proptest::prelude::*;

use super::{InputMerge, Nanos, Producers, Side, Signal, Timestamp};

#[derive(Clone, Copy)]
struct Channel {
    watermark: i64,
    active: bool,
    aligned: bool,
    ended: bool,
}

struct Valve {
    channels: Vec<Channel>,
    last_output: i64,
    active: bool,
    ended: bool,
    said: Vec<Signal>,
}

impl Valve {
    fn new(channels: usize) -> Self {
        let channel = Channel { watermark: i64::MIN, active: true, aligned: true, ended: false };
        Valve {
            channels: vec![channel; channels],
            last_output: i64::MIN,
            active: true,
            ended: false,
            said: Vec::new(),
        }
    }

    fn output(&mut self, watermark: i64) {
        if watermark > self.last_output {
            self.last_output = watermark;
            self.said.push(Signal::Advance(Timestamp(watermark)));
        }
    }

    fn output_min_across_aligned(&mut self) {
        let aligned = self.channels.iter().filter(|channel| channel.aligned);
        if let Some(min) = aligned.map(|channel| channel.watermark).min() {
            self.output(min);
        }
    }

    fn output_max_across_all(&mut self) {
        let max = self.channels.iter().map(|channel| channel.watermark).max().unwrap();
        self.output(max);
    }

    fn input_watermark(&mut self, channel: usize, watermark: i64) {
        if self.channels[channel].ended {
            return;
        }
        // A watermark says that its input is active.
        self.mark_active(channel);
        let last_output = self.last_output;
        let channel = &mut self.channels[channel];
        if watermark > channel.watermark {
            channel.watermark = watermark;
            if !channel.aligned && watermark >= last_output {
                channel.aligned = true;
            }
        }
        self.output_min_across_aligned();
    }

    fn input_idle(&mut self, channel: usize) {
        if self.channels[channel].active && !self.channels[channel].ended {
            self.channels[channel].active = false;
            self.channels[channel].aligned = false;
            self.after_one_left();
        }
    }

    fn input_end(&mut self, channel: usize) {
        if !self.channels[channel].ended {
            self.channels[channel].ended = true;
            self.channels[channel].active = false;
            self.channels[channel].aligned = false;
            self.after_one_left();
        }
    }

    fn after_one_left(&mut self) {
        if self.channels.iter().any(|channel| channel.active) {
            self.output_min_across_aligned();
        } else if self.channels.iter().any(|channel| !channel.ended) {
            if self.active {
                self.output_max_across_all();
                self.said.push(Signal::Idle);
            }
            self.active = false;
        } else if !self.ended {
            self.ended = true;
            self.output(i64::MAX);
            self.said.push(Signal::End);
        }
    }

    fn input_active(&mut self, channel: usize) {
        self.mark_active(channel);
        self.output_min_across_aligned();
    }

    fn mark_active(&mut self, channel: usize) {
        if !self.channels[channel].active && !self.channels[channel].ended {
            self.channels[channel].active = true;
            self.channels[channel].aligned = self.channels[channel].watermark >= self.last_output;
            if !self.active {
                self.active = true;
                self.said.push(Signal::Active);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Watermark(usize, i64),
    Batch(usize),
    Idle(usize),
    End(usize),
    SaveAndRestore,
}

fn event(inputs: usize) -> impl Strategy<Value = Event> {
    let input = 0..inputs;
    let watermark = prop_oneof![9 => -20i64..20, 1 => any::<i64>()];
    prop_oneof![
        8 => (input.clone(), watermark).prop_map(|(input, to)| Event::Watermark(input, to)),
        3 => input.clone().prop_map(Event::Batch),
        4 => input.clone().prop_map(Event::Idle),
        1 => input.prop_map(Event::End),
        1 => Just(Event::SaveAndRestore),
    ]
}

fn run() -> impl Strategy<Value = (usize, Vec<Event>)> {
    (1usize..6).prop_flat_map(|inputs| (Just(inputs), proptest::collection::vec(event(inputs), 0..60)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn tm_10_to_13_agree_with_the_valve((inputs, events) in run()) {
        let mut valve = Valve::new(inputs);
        let sides = [Side { inputs, producers: Producers::Source }];
        let mut merge = InputMerge::new(&sides, Timestamp::MIN, Nanos(0));
        for event in events {
            let signals = match event {
                Event::Watermark(input, to) => {
                    valve.input_watermark(input, to);
                    merge.watermark(input, Timestamp(to), Nanos(0))
                }
                Event::Batch(input) => {
                    valve.input_active(input);
                    merge.active(input)
                }
                Event::Idle(input) => {
                    valve.input_idle(input);
                    merge.idle(input)
                }
                Event::End(input) => {
                    valve.input_end(input);
                    merge.end(input)
                }
                Event::SaveAndRestore => {
                    merge = InputMerge::restore(&sides, &merge.save(), Nanos(1));
                    continue;
                }
            };
            prop_assert_eq!(signals.into_iter().collect::<Vec<_>>(), std::mem::take(&mut valve.said));
            prop_assert_eq!(merge.current(), Timestamp(valve.last_output));
        }
    }
}
