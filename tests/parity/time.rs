//! Event time: here, watermarks from the records of source partitions to an operator on another shard; below, by theme, in whole jobs.

mod clocks;
pub mod fed;
mod generators;
mod silence;
mod timestamps;

use std::time::Duration;

use millstream::element::{Nanos, Timestamp};
use millstream::source::PartitionId;
use millstream::time::{
    InputMerge, Producers, Side, Signal, Signals, SourceClock, Standstill, Tick, Ticks, Watermarks,
};

/// Two shards with one partition each, whose records all go to one operator.
struct TwoShards {
    sources: [SourceClock; 2],
    operator: InputMerge,
    heard: Vec<Signal>,
}

impl TwoShards {
    fn new(strategy: &Watermarks) -> Self {
        let plan = strategy.plan(Tick::Millisecond).unwrap();
        let source = |shard: usize| {
            let mut clock = SourceClock::new(true);
            clock.add(PartitionId(format!("partition-{shard}")), &plan, Nanos(0));
            clock
        };
        TwoShards {
            sources: [source(0), source(1)],
            operator: InputMerge::new(
                &[Side { inputs: 2, producers: Producers::Source }],
                Timestamp::MIN,
                Nanos(0),
            ),
            heard: Vec::new(),
        }
    }

    fn record(&mut self, shard: usize, at: i64, now: u64) {
        self.sources[shard].on_record(0, Timestamp(at));
        self.sources[shard].on_batch(0, Nanos(now));
        self.step(shard, now);
    }

    fn step(&mut self, shard: usize, now: u64) {
        for signal in self.sources[shard].advance(Nanos(now)) {
            let signals: Signals = match signal {
                Signal::Active => self.operator.active(shard),
                Signal::Advance(to) => self.operator.watermark(shard, to, Nanos(now)),
                Signal::Idle => self.operator.idle(shard),
                Signal::End => self.operator.end(shard),
            };
            self.heard.extend(signals);
        }
    }

    fn heard(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.heard)
    }
}

fn wm(ticks: i64) -> Signal {
    Signal::Advance(Timestamp(ticks))
}

#[test]
fn tm_09_tm_10_the_operator_follows_the_slowest_partition() {
    let mut job = TwoShards::new(&Watermarks::bounded_out_of_orderness(Ticks(10)));
    job.record(0, 111, 1);
    assert_eq!(job.heard(), []);
    job.record(1, 61, 2);
    assert_eq!(job.heard(), [wm(50)]);
    job.record(1, 211, 3);
    assert_eq!(job.heard(), [wm(100)]);
}

#[test]
fn tm_11_an_empty_partition_stops_holding_once_it_is_idle_and_is_named_until_then() {
    let mut job = TwoShards::new(&Watermarks::monotonous().with_idleness(Duration::from_secs(10)));
    let second = 1_000_000_000;
    job.record(0, 101, 5 * second);
    assert_eq!(job.heard(), []);
    let Standstill::HeldBack(held) = job.operator.held_back_by() else { panic!("shard 1 holds") };
    assert_eq!((held.input, held.others_max), (1, Some(Timestamp(100))));
    assert_eq!(job.sources[1].next_deadline(), Some(Nanos(10 * second)));
    job.step(1, 10 * second - 1);
    assert_eq!(job.heard(), []);
    job.step(1, 10 * second);
    assert_eq!(job.heard(), [wm(100)]);
}

#[test]
fn tm_12_tm_13_both_idle_then_one_comes_back() {
    let mut job = TwoShards::new(&Watermarks::monotonous().with_idleness(Duration::from_nanos(10)));
    job.record(0, 6, 0);
    job.record(1, 5, 0);
    assert_eq!(job.heard(), [wm(4)]);
    job.step(0, 10);
    job.step(1, 10);
    assert_eq!(job.heard(), [wm(5), Signal::Idle]);
    job.record(1, 5, 20);
    assert_eq!(job.heard(), [Signal::Active]);
    assert!(job.operator.is_catching_up(1));
    job.record(1, 9, 21);
    assert_eq!(job.heard(), [wm(8)]);
}

#[test]
fn tm_02_the_end_of_all_input_is_the_end_of_time() {
    let mut job = TwoShards::new(&Watermarks::monotonous());
    job.record(0, 6, 0);
    job.record(1, 5, 0);
    assert_eq!(job.heard(), [wm(4)]);
    job.sources[1].end(0);
    job.step(1, 1);
    assert_eq!(job.heard(), [wm(5)]);
    job.sources[0].end(0);
    job.step(0, 2);
    assert_eq!(job.heard(), [Signal::Advance(Timestamp::MAX), Signal::End]);
}
