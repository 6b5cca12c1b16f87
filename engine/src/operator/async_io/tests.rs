//! Random traces of calls, with restarts in between: every record goes on once, in its order where there is one, and none behind the watermark that
//! came behind it.

use proptest::prelude::*;

use crate::element::Timestamp;
use crate::operator::async_io::sleep;
use crate::testing::Harness;
use std::time::Duration;

/// A record: its number, how long its call takes, and how often that is looked at in between.
type Request = (u64, u64, u64);

#[derive(Clone, Debug)]
enum Act {
    /// A record so many ticks behind the watermark that was said last, whose call takes so many milliseconds in so many pieces.
    Push {
        behind: i64,
        takes: u64,
        pieces: u64,
    },
    Watermark(i64),
    Clock(i64),
    Idle,
    /// The job stops and goes on, on so many shards.
    Restart(u16),
}

fn act(shards: u16) -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1i64..20, 0u64..12, 1u64..3).prop_map(|(behind, takes, pieces)| Act::Push { behind, takes, pieces }),
        3 => (1i64..15).prop_map(Act::Watermark),
        3 => (1i64..8).prop_map(Act::Clock),
        1 => Just(Act::Idle),
        1 => (1..=shards).prop_map(Act::Restart),
    ]
}

fn harness(ordered: bool, capacity: usize) -> Harness {
    Harness::new(move |flow| {
        let requests = flow.input::<Request>("in");
        let calls = if ordered { requests.ordered_wait() } else { requests.unordered_wait() };
        let answers = calls.capacity(capacity).call(|(number, takes, pieces)| async move {
            for _ in 0..pieces {
                sleep(Duration::from_millis(takes)).await;
            }
            number
        });
        flow.output("out", answers);
    })
}

fn run(ordered: bool, capacity: usize, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut harness = harness(ordered, capacity);
    let (mut watermark, mut clock, mut pushed) = (0, 0, Vec::new());
    let mut given: Vec<(u64, Timestamp)> = Vec::new();
    let mut one_shard = true;
    let take = |harness: &mut Harness, event_time: Timestamp, given: &mut Vec<(u64, Timestamp)>| {
        let outputs = harness.outputs::<u64>();
        for (number, at) in &outputs {
            prop_assert!(*at > event_time, "record {number} of {at} came behind {event_time}");
        }
        given.extend(outputs);
        prop_assert!(harness.event_time("out") >= event_time, "event time went back");
        Ok(())
    };
    for act in acts {
        let event_time = harness.event_time("out");
        match *act {
            Act::Push { behind, takes, pieces } => {
                let (number, at) = (pushed.len() as u64, watermark + behind);
                harness.push((number, takes, pieces), at);
                pushed.push((number, Timestamp(at)));
            }
            Act::Watermark(further) => {
                watermark += further;
                harness.watermark(watermark);
            }
            Act::Clock(further) => {
                clock += further;
                harness.advance_clock(clock);
            }
            Act::Idle => harness.idle("in"),
            Act::Restart(shards) => {
                one_shard &= shards == 1;
                let snapshot = harness.snapshot();
                harness.restore(&snapshot, shards);
            }
        }
        take(&mut harness, event_time, &mut given)?;
    }
    let event_time = harness.event_time("out");
    harness.watermark(watermark + 1);
    harness.advance_clock(clock + 100_000);
    take(&mut harness, event_time, &mut given)?;
    prop_assert_eq!(harness.event_time("out"), Timestamp(watermark + 1));
    harness.end();
    if !ordered || !one_shard {
        given.sort_unstable();
    }
    prop_assert_eq!(given, pushed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 96 }))]

    #[test]
    fn every_record_goes_on_once_and_in_time(
        ordered: bool,
        capacity in 1usize..6,
        acts in proptest::collection::vec(act(3), 1..50),
    ) {
        run(ordered, capacity, &acts)?;
    }

    #[test]
    fn order_is_kept_through_restarts(capacity in 1usize..6, acts in proptest::collection::vec(act(1), 1..50)) {
        run(true, capacity, &acts)?;
    }
}
