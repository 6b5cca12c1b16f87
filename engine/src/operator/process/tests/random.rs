//! Random commands and traces, against the model.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::commands::{Given, commands};
use super::engine::Obedient;
use super::model::Model;
use crate::operator::OpId;
use crate::operator::process::KeyedProcessing;
use crate::operator::tests::driver::Driver;
use crate::operator::tests::trace::{Event, cases, run, traces};

fn check(skips_overdue: bool, events: &[Event<String>]) -> Result<(), TestCaseError> {
    let mut driver = Driver::new(1, move || KeyedProcessing::new(OpId(0), Obedient::new(skips_overdue)));
    let mut model = Model::new(skips_overdue);
    run(&mut driver, &mut model, events, |given, at| {
        let (Given::Fired { stamp, .. } | Given::Did { stamp, .. }) = given;
        assert_eq!(at.0, stamp);
        vec![given]
    })?;
    let timers: u64 = driver.operators().map(|shard| shard.running.timers()).sum();
    prop_assert_eq!(timers, model.timers());
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn timers_of_keyed_functions(events in traces(1, commands())) {
        check(false, &events)?;
    }

    #[test]
    fn timers_that_are_overdue_are_dropped_where_the_function_says_so(events in traces(1, commands())) {
        // What is due in the midst of a firing is overdue after it: no clock is cut there.
        let whole = |event| match event {
            Event::Clock(by, _) => Event::Clock(by, None),
            Event::Advance(shard, by, _) => Event::Advance(shard, by, None),
            other => other,
        };
        let events: Vec<_> = events.into_iter().map(whole).collect();
        check(true, &events)?;
    }
}
