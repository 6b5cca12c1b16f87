//! Random records and watermarks, against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proptest::prelude::*;

use super::driver::{Driver, Windows};
use super::model::{Kind, Model, Result};
use crate::operator::OpId;
use crate::operator::fold::Count;
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::{ExtremeOf, FoldParts, SumOf, WindowRule};
use crate::time::{Tick, Ticks};
use crate::window::{Cumulative, Slices, Sliding, Tumbling};

/// How many keys there are.
const KEYS: u64 = 6;

/// What happens to the operator.
#[derive(Clone, Debug)]
enum Event {
    /// Records, in one batch per shard.
    Records(Vec<(u64, i64, i64)>),
    /// The watermark of one shard (modulo their number), or of all, advances by so much.
    Advance(Option<usize>, i64),
    /// A restart with so many shards.
    Restart(u16),
    /// The watermarks of all shards come to the end of time.
    End,
}

/// Where a run is cut by a checkpoint and a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cuts {
    /// Only where the events say so.
    None,
    /// After every event, and after every piece of a firing.
    Everywhere,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let length = || prop_oneof![4 => 1i64..12, 1 => 12i64..70];
    prop_oneof![
        (length(), -100i64..100).prop_map(|(size, offset)| Kind::Tumbling { size, offset: offset % size }),
        (length(), length(), -100i64..100).prop_map(|(size, slide, offset)| Kind::Sliding {
            size,
            slide,
            offset: offset % slide
        }),
        (length(), 1i64..4, -100i64..100).prop_map(|(size, slide, offset)| {
            let slide = slide.min(size);
            Kind::Sliding { size, slide, offset: offset % slide }
        }),
        (1i64..8, 1i64..9, -100i64..100).prop_map(|(step, steps, offset)| {
            Kind::Cumulative { step, steps, offset: offset % (step * steps) }
        }),
    ]
}

fn events(restarts: bool) -> impl Strategy<Value = Vec<Event>> {
    let record = (0..KEYS, -80i64..80, -5i64..6);
    let records = proptest::collection::vec(record, 1..8).prop_map(Event::Records);
    let all = prop_oneof![4 => 0i64..15, 1 => 15i64..60].prop_map(|by| Event::Advance(None, by));
    let one = (0usize..4, 0i64..25).prop_map(|(shard, by)| Event::Advance(Some(shard), by));
    let event = if restarts {
        prop_oneof![6 => records, 3 => all, 3 => one, 2 => (1u16..4).prop_map(Event::Restart)].boxed()
    } else {
        prop_oneof![6 => records, 4 => all].boxed()
    };
    let end = prop_oneof![Just(vec![]), Just(vec![Event::End])];
    (proptest::collection::vec(event, 1..24), end).prop_map(|(mut events, end)| {
        events.extend(end);
        events
    })
}

fn check<W, R>(
    kind: Kind,
    lateness: i64,
    events: &[Event],
    cuts: Cuts,
    make: impl Fn() -> Windows<W, R> + 'static,
    value_of: impl Fn(&[i64]) -> R::Out,
) -> std::result::Result<(), TestCaseError>
where
    W: Slices,
    R: WindowRule<i64>,
    R::Out: Debug + PartialEq + Clone,
{
    let mut driver = Driver::new(1, make);
    let mut model = Model::new(kind, lateness);
    let mut watermarks = vec![-90i64];
    let advance = |driver: &mut Driver<W, R>, model: &mut Model, shard: usize, at: i64| {
        let keys: BTreeSet<u64> = (0..KEYS).filter(|key| driver.shard_of(*key) == shard).collect();
        let expected = model.watermark(&keys, at);
        driver.watermark(shard, at, |driver| {
            if cuts == Cuts::Everywhere {
                driver.restore(None);
            }
        });
        expected
    };
    let mut expected = advance(&mut driver, &mut model, 0, -90);
    prop_assert!(expected.is_empty());
    for event in events {
        match event {
            Event::Records(records) => {
                let mut by_shard: BTreeMap<usize, Vec<(u64, i64, i64)>> = BTreeMap::new();
                for record in records {
                    by_shard.entry(driver.shard_of(record.0)).or_default().push(*record);
                }
                for (shard, records) in by_shard {
                    driver.batch(shard, &records);
                    let fired = records.iter().flat_map(|(key, at, value)| model.record(*key, *at, *value));
                    expected.extend(fired);
                }
            }
            Event::Advance(shard, by) => {
                let only = shard.map(|shard| shard % watermarks.len());
                for (shard, watermark) in watermarks.iter_mut().enumerate() {
                    if only.is_none_or(|only| only == shard) {
                        *watermark += by;
                        expected.extend(advance(&mut driver, &mut model, shard, *watermark));
                    }
                }
            }
            Event::Restart(shards) => {
                let least = *watermarks.iter().min().unwrap();
                if usize::from(*shards) != watermarks.len() {
                    watermarks = vec![least; usize::from(*shards)];
                }
                driver.restore(Some(*shards));
            }
            Event::End => {
                for shard in 0..watermarks.len() {
                    expected.extend(advance(&mut driver, &mut model, shard, i64::MAX));
                }
            }
        }
        let results = driver.results();
        let got: Vec<_> = results
            .into_iter()
            .map(|result| {
                let window = (result.window.start.0, result.window.end.0);
                (window, result.key, result.firing, result.value)
            })
            .collect();
        let wanted: Vec<_> = expected
            .drain(..)
            .map(|(window, key, values, firing): Result| (window, key, firing, value_of(&values)))
            .collect();
        if matches!(event, Event::Records(_)) {
            prop_assert_eq!(got, wanted, "{:?}", event);
        } else {
            // Within a window, keys come in the order of their hashes; shards were advanced one after the other.
            let ends: Vec<i64> = got.iter().map(|result| result.0.1).collect();
            prop_assert!(watermarks.len() > 1 || ends.is_sorted(), "{:?}", ends);
            let sort = |mut results: Vec<((i64, i64), u64, _, _)>| {
                results.sort_by_key(|result| (result.0.1, result.1));
                results
            };
            prop_assert_eq!(sort(got), sort(wanted), "{:?}", event);
        }
        if cuts == Cuts::Everywhere {
            driver.restore(None);
        }
    }
    prop_assert_eq!(driver.lost(), (model.late, model.unassigned));
    Ok(())
}

/// Runs one case with windows of the kind.
macro_rules! with_windows {
    ($kind:expr, $lateness:expr, $events:expr, $cuts:expr, $rule:expr, $value_of:expr) => {{
        let (kind, lateness) = ($kind, $lateness);
        let rule = $rule;
        let tick = Tick::Millisecond;
        match kind {
            Kind::Tumbling { size, offset } => {
                let windows = Tumbling::of(Ticks(size)).offset(Ticks(offset)).build(tick).unwrap();
                let make = move || Windows::new(OpId(0), windows.clone(), lateness, rule(), Whole, DropLate);
                check(kind, lateness, $events, $cuts, make, $value_of)
            }
            Kind::Sliding { size, slide, offset } => {
                let windows = Sliding::of(Ticks(size)).every(Ticks(slide)).offset(Ticks(offset));
                let windows = windows.build(tick).unwrap();
                let make = move || Windows::new(OpId(0), windows.clone(), lateness, rule(), Whole, DropLate);
                check(kind, lateness, $events, $cuts, make, $value_of)
            }
            Kind::Cumulative { step, steps, offset } => {
                let windows = Cumulative::of(Ticks(step * steps)).every(Ticks(step)).offset(Ticks(offset));
                let windows = windows.build(tick).unwrap();
                let make = move || Windows::new(OpId(0), windows.clone(), lateness, rule(), Whole, DropLate);
                check(kind, lateness, $events, $cuts, make, $value_of)
            }
        }
    }};
}

/// A case with each sort of aggregate: one that can always take a part out, one that can sometimes, one that never can.
fn each_aggregate(
    kind: Kind,
    lateness: i64,
    events: &[Event],
    cuts: Cuts,
    which: u8,
) -> std::result::Result<(), TestCaseError> {
    let sum = |values: &[i64]| values.iter().sum::<i64>();
    let greatest = |values: &[i64]| *values.iter().max().unwrap();
    match which {
        0 => with_windows!(kind, lateness, events, cuts, || Count, |values: &[i64]| values.len() as u64),
        1 => with_windows!(kind, lateness, events, cuts, || SumOf::new(|value: &i64| *value), sum),
        2 => with_windows!(
            kind,
            lateness,
            events,
            cuts,
            || ExtremeOf::<i64, _, true>::new(|value: &i64| *value),
            greatest
        ),
        _ => with_windows!(
            kind,
            lateness,
            events,
            cuts,
            || FoldParts {
                init: Vec::new(),
                f: |acc: &mut Vec<i64>, value: &i64| insert(acc, *value),
                merge: |acc: &mut Vec<i64>, other: &Vec<i64>| other
                    .iter()
                    .for_each(|value| insert(acc, *value)),
            },
            |values: &[i64]| values.to_vec()
        ),
    }
}

fn insert(sorted: &mut Vec<i64>, value: i64) {
    sorted.insert(sorted.partition_point(|other| *other < value), value);
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0i64), 3 => 1i64..30, 1 => Just(i64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn windows_of_every_kind_give_what_the_model_gives(
        kind in kinds(),
        lateness in lateness(),
        events in events(false),
        which in 0u8..4,
    ) {
        each_aggregate(kind, lateness, &events, Cuts::None, which)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn other_numbers_of_shards_change_nothing(
        kind in kinds(),
        lateness in lateness(),
        events in events(true),
        which in 0u8..4,
    ) {
        each_aggregate(kind, lateness, &events, Cuts::None, which)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_restart_after_every_event_and_every_piece_changes_nothing(
        kind in kinds(),
        lateness in lateness(),
        events in events(true),
        which in 0u8..4,
    ) {
        each_aggregate(kind, lateness, &events, Cuts::Everywhere, which)?;
    }
}
