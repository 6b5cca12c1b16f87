//! Random intervals and traces, against the model.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::model::{Given, Model, Spec, Timed};
use crate::element::Timestamp;
use crate::operator::OpId;
use crate::operator::join::{Bounds, IntervalJoin, JoinContext, JoinFunction};
use crate::operator::tests::driver::Driver;
use crate::operator::tests::trace::{Event, cases, run, traces};
use crate::operator::window::finish::OnLate;

/// Tells all it is told. `L` and `R` say of which sides it wants what is alone.
pub struct Tell<const L: bool, const R: bool>;

impl<const L: bool, const R: bool> JoinFunction<i64, i64, u64> for Tell<L, R> {
    type Out = Given;
    const LEFT: bool = L;
    const RIGHT: bool = R;

    fn call(&mut self, left: Option<&i64>, right: Option<&i64>, ctx: &mut JoinContext<'_, u64, Given>) {
        let timed = |record: Option<&i64>, at: Option<Timestamp>| -> Option<Timed> {
            assert_eq!(record.is_some(), at.is_some());
            record.map(|record| (*record, at.expect("there is a record").0))
        };
        let watermark = ctx.watermark().unwrap_or(Timestamp::MIN).0;
        ctx.emit(Given {
            key: ctx.key(),
            left: timed(left, ctx.left_timestamp()),
            right: timed(right, ctx.right_timestamp()),
            watermark,
        });
    }
}

/// Counts late records.
pub struct CountLate(pub Rc<Cell<u64>>);

impl OnLate<i64> for CountLate {
    fn late(&mut self, _: OpId, _: &i64, _: Timestamp) {
        self.0.set(self.0.get() + 1);
    }
}

pub type Join<const L: bool, const R: bool> = IntervalJoin<i64, i64, u64, Tell<L, R>, CountLate, CountLate>;

/// The operator for a spec, and where it counts the late records of each side.
pub fn driver<const L: bool, const R: bool>(spec: &Spec) -> (Driver<Join<L, R>, Given>, [Rc<Cell<u64>>; 2]) {
    assert_eq!(spec.alone, [L, R]);
    let bounds = Bounds {
        lower: spec.lower.saturating_add(i64::from(spec.exclusive[0])),
        upper: spec.upper.saturating_sub(i64::from(spec.exclusive[1])),
    };
    let late: [Rc<Cell<u64>>; 2] = Default::default();
    let counts = late.clone();
    let make = move || {
        let on_late = (CountLate(counts[0].clone()), CountLate(counts[1].clone()));
        IntervalJoin::new(OpId(0), bounds, Tell, on_late)
    };
    (Driver::new(1, make), late)
}

fn check<const L: bool, const R: bool>(spec: Spec, events: &[Event<i64>]) -> Result<(), TestCaseError> {
    let spec = Spec { alone: [L, R], ..spec };
    let (mut driver, late) = driver::<L, R>(&spec);
    let mut model = Model::new(spec);
    run(&mut driver, &mut model, events, |given, at| {
        let times = [given.left, given.right].into_iter().flatten();
        assert_eq!(Some(at.0), times.map(|(_, at)| at).max());
        vec![given]
    })?;
    prop_assert_eq!(late.map(|late| late.get()), model.late);
    let counted: u64 = driver.operators().map(|shard| shard.progress.late.count()).sum();
    prop_assert_eq!(counted, model.late.iter().sum::<u64>());
    if matches!(events.last(), Some(Event::End)) {
        prop_assert_eq!(model.rows(), 0);
        for shard in driver.operators() {
            prop_assert_eq!(shard.left_behind(), [0; 6]);
        }
    }
    Ok(())
}

impl<const L: bool, const R: bool> Join<L, R> {
    /// How many lists, timers, and notes of partners are left of each side.
    fn left_behind(&self) -> [u64; 6] {
        let kept = self.kept.as_ref().unwrap();
        let [left, right] = [kept.left.left_behind(), kept.right.left_behind()];
        [left[0], left[1], left[2], right[0], right[1], right[2]]
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let bounds = prop_oneof![
        8 => (-20i64..20, 0i64..20).prop_map(|(lower, length)| (lower, lower + length)),
        1 => (-20i64..20).prop_map(|lower| (lower, i64::MAX)),
        1 => (-20i64..20).prop_map(|upper| (i64::MIN, upper)),
        1 => Just((-1_000_000, 1_000_000)),
    ];
    (bounds, any::<[bool; 2]>()).prop_filter_map("it is not empty", |((lower, upper), exclusive)| {
        let length = i128::from(upper) - i128::from(lower);
        let left_out = i128::from(exclusive[0]) + i128::from(exclusive[1]);
        (length >= left_out).then_some(Spec { lower, upper, exclusive, alone: [false; 2] })
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn inner_joins(spec in specs(), events in traces(2, 0i64..1000)) {
        check::<false, false>(spec, &events)?;
    }

    #[test]
    fn outer_joins(spec in specs(), sides in 0..2, events in traces(2, 0i64..1000)) {
        match sides {
            0 => check::<true, false>(spec, &events)?,
            _ => check::<false, true>(spec, &events)?,
        }
    }

    #[test]
    fn full_joins(spec in specs(), events in traces(2, 0i64..1000)) {
        check::<true, true>(spec, &events)?;
    }
}
