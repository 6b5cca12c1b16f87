//! In-flight records are saved exactly once, whatever the interleaving.

use proptest::prelude::*;

use super::*;
use crate::channel::lane::{own_lane_of, ring_lane_of};
use crate::element::Epoch;
use crate::runtime::Waker;

#[derive(Clone, Debug)]
enum Step {
    Push { filling: usize },
    Flush,
    Watermark,
    Read,
    ProducerSwitch,
    ConsumerSwitch,
    Look,
    CaptureSome(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0usize..200).prop_map(|filling| Step::Push { filling }),
        4 => Just(Step::Flush),
        1 => Just(Step::Watermark),
        6 => Just(Step::Read),
        1 => Just(Step::ProducerSwitch),
        1 => Just(Step::ConsumerSwitch),
        1 => Just(Step::Look),
        2 => (1usize..60).prop_map(Step::CaptureSome),
    ];
    prop::collection::vec(step, 0..300)
}

/// A channel with a log of all that went in and came out.
struct Run {
    outlet: Outlet,
    inlet: Inlet,
    own: bool,
    sent: Vec<Item>,
    read: Vec<Item>,
    /// Per epoch: how much was sent at the producer's switch, and what it saved.
    produced: Vec<(usize, Vec<u8>)>,
    /// Per epoch: how much was read at the consumer's switch.
    consumed: Vec<usize>,
    /// How many captures were taken and compared.
    compared: usize,
}

impl Run {
    fn new(own: bool, ring_words: usize, restored: u64) -> Run {
        let budget = OverflowBudget::new(u64::MAX);
        let (outlet, mut inlet) = if own {
            own_lane_of(VAR, ring_words, budget).unwrap()
        } else {
            let (outlet, inlet) = ring_lane_of(ring_words, Waker::new(), Waker::new());
            (outlet.open(VAR, budget).unwrap(), inlet.open(VAR))
        };
        // Some frames come from an earlier checkpoint.
        let mut sent = Vec::new();
        for number in 0..restored {
            let mut earlier = OpenBatch::new(VAR);
            let key = &number.to_le_bytes()[..(number % 9) as usize];
            earlier.push_bytes(Timestamp(number as i64), KeyHash(!number), key, &record(number, 30));
            let mut frame = Vec::new();
            earlier.save(&mut frame);
            inlet.restore(&frame).unwrap();
            sent.push(Item::Record(number));
        }
        Run { outlet, inlet, own, sent, read: vec![], produced: vec![], consumed: vec![], compared: 0 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Push { filling } => {
                let number = self.sent.len() as u64;
                push(&mut self.outlet, number, *filling).unwrap();
                self.sent.push(Item::Record(number));
            }
            Step::Flush => self.outlet.flush().unwrap(),
            Step::Watermark => {
                let at = self.sent.len() as i64;
                self.outlet.watermark(Timestamp(at)).unwrap();
                self.sent.push(Item::Watermark(at));
            }
            Step::Read => {
                if let Some(epoch) = read_one(&mut self.inlet, &mut self.read) {
                    assert_eq!(epoch.0 as usize, self.produced.len());
                    assert_eq!(
                        self.consumed.len() + 1,
                        self.produced.len(),
                        "only an unmade switch stops reading"
                    );
                    self.consumer_switch();
                }
                // Nothing that was sent after a switch is read before this end made it.
                if let Some((sent, _)) = self.produced.get(self.consumed.len()) {
                    assert!(self.read.len() <= *sent, "a record past an unseen switch was read");
                }
            }
            // The coordinator's rule: a new epoch only after the last one is known everywhere and saved.
            Step::ProducerSwitch if self.produced.len() == self.compared => self.producer_switch(),
            // On the own lane the producer is first.
            Step::ConsumerSwitch
                if self.consumed.len() == self.compared
                    && (!self.own || self.produced.len() > self.consumed.len()) =>
            {
                self.consumer_switch()
            }
            Step::ProducerSwitch | Step::ConsumerSwitch => {}
            Step::Look => {
                self.inlet.producer_epoch();
                self.inlet.has_position();
            }
            Step::CaptureSome(words) => self.capture_some(*words),
        }
    }

    fn producer_switch(&mut self) {
        let mut save = Vec::new();
        self.outlet.switch(Epoch(self.produced.len() as u64 + 1), &mut save).unwrap();
        self.produced.push((self.sent.len(), save));
    }

    fn consumer_switch(&mut self) {
        self.inlet.switch(Epoch(self.consumed.len() as u64 + 1)).unwrap();
        self.consumed.push(self.read.len());
    }

    /// Copies some, and where the capture is complete compares it with what was in flight.
    fn capture_some(&mut self, words: usize) {
        let running = self.consumed.len() > self.compared;
        if !self.inlet.capture_some(words) || !running {
            return;
        }
        assert!(self.inlet.has_position());
        let mut in_flight = saved_items(&self.inlet.take_capture().unwrap());
        let (sent, save) = &self.produced[self.compared];
        in_flight.extend(saved_items(save));
        assert_eq!(in_flight, self.sent[self.consumed[self.compared]..*sent]);
        self.compared += 1;
    }

    /// Completes all switches and reads everything.
    fn finish(mut self) {
        if self.produced.len() < self.consumed.len() {
            self.producer_switch();
        }
        self.outlet.end().unwrap();
        self.sent.push(Item::End);
        while self.read.len() < self.sent.len() {
            self.outlet.flush().unwrap();
            self.step(&Step::Read);
        }
        while self.consumed.len() < self.produced.len() {
            self.step(&Step::Read);
        }
        while self.compared < self.consumed.len() {
            self.capture_some(1);
        }
        assert_eq!(self.read, self.sent);
        assert!(matches!(self.inlet.peek(), Peek::Empty));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn in_flight_records_are_saved_exactly_once(
        own in prop::bool::weighted(0.3), ring_words in 80usize..400, restored in 0u64..4, steps in steps(),
    ) {
        let mut run = Run::new(own, ring_words, restored);
        steps.iter().for_each(|step| run.step(step));
        run.finish();
    }
}

#[test]
#[should_panic(expected = "a record past an unseen switch was read")]
fn a_planted_fault_is_found() {
    let mut run = Run::new(false, 256, 0);
    run.inlet.plant_read_past_switch();
    let push = Step::Push { filling: 0 };
    [push.clone(), Step::Flush, Step::ProducerSwitch, push, Step::Flush, Step::Read, Step::Read]
        .iter()
        .for_each(|step| run.step(step));
}

#[test]
fn an_aborted_capture_leaves_the_epoch_switched() {
    let (outlet, inlet) = ring_lane_of(256, Waker::new(), Waker::new());
    let mut outlet = outlet.open(VAR, OverflowBudget::new(0)).unwrap();
    let mut inlet = inlet.open(VAR);
    push(&mut outlet, 0, 0).unwrap();
    outlet.flush().unwrap();
    inlet.switch(Epoch(1)).unwrap();
    assert!(!inlet.has_position());
    assert!(!inlet.capture_some(usize::MAX), "without the position nothing is complete");
    assert_eq!(inlet.take_capture(), None);
    inlet.abort_capture();
    outlet.switch(Epoch(1), &mut Vec::new()).unwrap();
    assert!(inlet.has_position());
    inlet.switch(Epoch(2)).unwrap();
    outlet.switch(Epoch(2), &mut Vec::new()).unwrap();
    assert!(inlet.capture_some(usize::MAX));
    assert_eq!(saved_items(&inlet.take_capture().unwrap()), [Item::Record(0)]);
}

#[test]
fn switches_out_of_order_are_refused() {
    let (outlet, inlet) = ring_lane_of(256, Waker::new(), Waker::new());
    let mut outlet = outlet.open(VAR, OverflowBudget::new(0)).unwrap();
    let mut inlet = inlet.open(VAR);
    inlet.switch(Epoch(2)).unwrap();
    assert!(matches!(inlet.switch(Epoch(2)), Err(ChannelError::SwitchBackwards { .. })));
    assert!(matches!(inlet.switch(Epoch(3)), Err(ChannelError::CaptureUnfinished { .. })));
    inlet.abort_capture();
    assert!(matches!(inlet.switch(Epoch(3)), Err(ChannelError::SwitchTooEarly { .. })));
    outlet.switch(Epoch(2), &mut Vec::new()).unwrap();
    assert!(inlet.has_position());
    outlet.switch(Epoch(4), &mut Vec::new()).unwrap();
    assert_eq!(inlet.producer_epoch(), Epoch(4));
    assert!(matches!(inlet.switch(Epoch(3)), Err(ChannelError::SwitchBackwards { .. })));
    inlet.switch(Epoch(4)).unwrap();
}
