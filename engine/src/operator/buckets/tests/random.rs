//! Random windows, triggers, evictors and traces, against the model.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::engine::{AnyEvictor, AnyTrigger, AnyWindows, Probe, read, span};
use super::model::{Given, Model, Tells};
use super::spec::{Evicts, Fires, Spec, specs};
use crate::element::Timestamp;
use crate::operator::OpId;
use crate::operator::Out;
use crate::operator::buckets::{
    Accumulated, AddedUp, AppliedToBoth, Assign, Buckets, Contents, Decide, Elements, Finished, FromOne,
    FromTwo, Intake, KeptElements, Late, LateOfEach, Pair, Processed, WindowFunction, each_pair,
};
use crate::operator::tests::driver::Driver;
use crate::operator::tests::trace::{Event, cases, run, traces};
use crate::operator::window::finish::{DropLate, Whole};
use crate::operator::window::rule::FoldParts;
use crate::window::{AtEnd, WindowContext};

/// The operator with a trigger, contents and a function.
pub type Of<I, G, C, F, L> = Buckets<I, u64, AnyWindows, G, C, F, L>;

/// Adds values up to a list of them all.
macro_rules! list {
    () => {
        FoldParts {
            init: Vec::new(),
            f: |acc: &mut Vec<i64>, value: &i64| acc.push(*value),
            merge: |acc: &mut Vec<i64>, other: &Vec<i64>| acc.extend(other),
        }
    };
}
pub(super) use list;

fn check<I, G, C, F, L>(
    spec: &Spec,
    tells: Tells,
    events: &[Event<i64>],
    make: impl Fn(&Spec) -> (G, C, F, L) + 'static,
    read: impl Fn(F::Out, Timestamp) -> Vec<Given>,
) -> Result<(), TestCaseError>
where
    I: Intake,
    AnyWindows: Assign<I>,
    G: Decide<I>,
    C: Contents<I, u64>,
    F: WindowFunction<u64, C::Values>,
    L: Late<I>,
{
    let mut model = Model::new(spec.clone(), tells);
    let of = spec.clone();
    let mut driver = Driver::new(1, move || {
        let windows = AnyWindows::new(of.windows);
        let manner = windows.manner(&of);
        let (trigger, contents, function, late) = make(&of);
        Of::<I, G, C, F, L>::new(OpId(0), (Some(windows), manner), trigger, contents, function, late)
    });
    run(&mut driver, &mut model, events, read)?;
    let late: u64 = driver.operators().map(|shard| shard.progress.late.count()).sum();
    let unassigned: u64 = driver.operators().map(|shard| shard.progress.unassigned).sum();
    prop_assert_eq!((late, unassigned), (model.late, model.unassigned));
    let kept = |of: fn(&Of<I, G, C, F, L>) -> u64| driver.operators().map(of).sum::<u64>();
    // Of two streams, only roughly known.
    if matches!(spec.evicts, Evicts::Nothing) && tells != Tells::Sides {
        prop_assert_eq!(kept(|shard| shard.contents.windows()), model.filled());
    }
    if matches!(events.last(), Some(Event::End))
        && !spec.on_clock
        && spec.has_end()
        && spec.lateness < i64::MAX
    {
        prop_assert_eq!(model.windows(), 0);
        prop_assert_eq!(kept(|shard| shard.contents.windows()), 0, "contents are left");
        prop_assert_eq!(kept(|shard| shard.kept.as_ref().unwrap().event.len()), 0, "timers are left");
    }
    Ok(())
}

/// A function of the elements of two streams that tells all pairs of them, and the elements themselves.
fn tell_both(
    context: &WindowContext<u64>,
    first: Elements<'_, i64>,
    second: Elements<'_, i64>,
    out: &mut Out<Given>,
) {
    let (key, window, firing) = (*context.key(), span(context.window()), context.firing());
    each_pair(first, second, |left, right| {
        out.emit(Given::Paired { key, window, pair: [left.copied(), right.copied()] });
    });
    let sides = [first, second].map(|elements| elements.iter().copied().collect());
    out.emit(Given::Grouped { key, window, firing, sides });
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn aggregates_of_windows_with_any_trigger(spec in specs(false), events in traces(1, -9i64..10)) {
        let make = |spec: &Spec| {
            (AnyTrigger::new(&spec.fires), Accumulated::new(list!()), Finished(Whole), DropLate)
        };
        check::<FromOne<i64>, _, _, _, _>(&spec, Tells::Sum, &events, make, read)?;
    }

    #[test]
    fn aggregates_of_windows_that_fire_at_their_end(spec in specs(false), events in traces(1, -9i64..10)) {
        let spec = Spec { fires: Fires::AtEnd, ..spec };
        let make = |_: &Spec| (AtEnd, Accumulated::new(list!()), Finished(Whole), DropLate);
        check::<FromOne<i64>, _, _, _, _>(&spec, Tells::Sum, &events, make, read)?;
    }

    #[test]
    fn functions_of_elements_with_any_trigger_and_evictor(spec in specs(true), events in traces(1, -9i64..10)) {
        let make = |spec: &Spec| {
            let contents = KeptElements::new(AnyEvictor::new(spec));
            (AnyTrigger::new(&spec.fires), contents, Processed(Probe::new(spec)), DropLate)
        };
        check::<FromOne<i64>, _, _, _, _>(&spec, Tells::All, &events, make, |given, _| given)?;
    }

    #[test]
    fn joins_by_window(spec in specs(false), events in traces(2, -9i64..10)) {
        let make = |spec: &Spec| {
            let both = AppliedToBoth::<_, Given>::new(tell_both);
            (AnyTrigger::new(&spec.fires), Pair::new(), both, LateOfEach(DropLate, DropLate))
        };
        check::<FromTwo<i64, i64>, _, _, _, _>(&spec, Tells::Sides, &events, make, |given, _| vec![given])?;
    }

    #[test]
    fn aggregates_of_what_evictors_leave(spec in specs(true), events in traces(1, -9i64..10)) {
        let make = |spec: &Spec| {
            let contents = KeptElements::new(AnyEvictor::new(spec));
            (AnyTrigger::new(&spec.fires), contents, AddedUp::new(list!(), Whole), DropLate)
        };
        check::<FromOne<i64>, _, _, _, _>(&spec, Tells::Sum, &events, make, read)?;
    }
}
