//! The join with versions against a naive model, which remembers all versions and looks for the right one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::random::CountLate;
use crate::element::Timestamp;
use crate::operator::OpId;
use crate::operator::join::{AsOfJoin, JoinContext, JoinFunction};
use crate::operator::tests::driver::Driver;
use crate::operator::tests::trace::{Event, Oracle, Sent, cases, run, traces};

/// A record, its time, and the version that it met, with its time.
type Given = (u64, (i64, i64), Option<(i64, i64)>);

/// Tells all it is told.
struct Tell;

impl JoinFunction<i64, i64, u64> for Tell {
    type Out = Given;
    const LEFT: bool = true;

    fn call(&mut self, left: Option<&i64>, right: Option<&i64>, ctx: &mut JoinContext<'_, u64, Given>) {
        let record = (*left.unwrap(), ctx.left_timestamp().unwrap().0);
        let version = right.map(|version| (*version, ctx.right_timestamp().unwrap().0));
        let key = ctx.key();
        ctx.emit((key, record, version));
    }
}

/// See the [module](self).
struct Model {
    within: i64,
    /// Versions by key, in the order of their coming, with their times.
    versions: BTreeMap<u64, Vec<(i64, i64)>>,
    /// Records that wait: by time, key, value.
    waiting: Vec<(i64, u64, i64)>,
    seen: BTreeMap<u64, i64>,
    late: [u64; 2],
    groups: Vec<Vec<Given>>,
}

impl Model {
    fn new(within: i64) -> Self {
        let (versions, seen) = Default::default();
        Model { within, versions, waiting: Vec::new(), seen, late: [0; 2], groups: Vec::new() }
    }

    /// Whether a version counts for a time.
    fn counts(&self, since: i64, at: i64) -> bool {
        since <= at && i128::from(at) - i128::from(since) <= i128::from(self.within)
    }

    fn version_at(&self, key: u64, at: i64) -> Option<(i64, i64)> {
        let versions = self.versions.get(&key)?.iter().filter(|(_, since)| self.counts(*since, at));
        versions.max_by_key(|(_, since)| *since).copied()
    }
}

impl Oracle<i64> for Model {
    type Given = Given;

    fn record(&mut self, sent: &Sent<i64>) {
        let Sent { port, key, at, record } = *sent;
        let seen = self.seen.get(&key).copied().unwrap_or(i64::MIN);
        let in_time = match port {
            0 => at > seen,
            // One that comes late still counts from here on, unless it is over, or the one in force is newer.
            _ => {
                let newer = self.version_at(key, seen).is_some_and(|(_, since)| since > at);
                at > seen || self.counts(at, seen) && !newer
            }
        };
        match (in_time, port) {
            (false, _) => self.late[port] += 1,
            (true, 0) => self.waiting.push((at, key, record)),
            (true, _) => self.versions.entry(key).or_default().push((record, at)),
        }
    }

    fn watermark(&mut self, keys: &[u64], at: i64) {
        for key in keys {
            let seen = self.seen.entry(*key).or_insert(i64::MIN);
            *seen = at.max(*seen);
        }
        let due: Vec<_> =
            self.waiting.extract_if(.., |(time, key, _)| keys.contains(key) && *time <= at).collect();
        let mut by_time: BTreeMap<i64, Vec<Given>> = BTreeMap::new();
        for (time, key, record) in due {
            by_time.entry(time).or_default().push((key, (record, time), self.version_at(key, time)));
        }
        self.groups.extend(by_time.into_values());
    }

    fn clock(&mut self, _: &[u64], _: i64) {}

    fn restart(&mut self, _: i64) {}

    fn take(&mut self) -> Vec<Vec<Given>> {
        std::mem::take(&mut self.groups)
    }
}

fn check(within: i64, events: &[Event<i64>]) -> Result<(), TestCaseError> {
    let late: [Rc<Cell<u64>>; 2] = Default::default();
    let counts = late.clone();
    let mut driver = Driver::new(1, move || {
        let on_late = (CountLate(counts[0].clone()), CountLate(counts[1].clone()));
        AsOfJoin::new(OpId(0), within, Tell, on_late)
    });
    let mut model = Model::new(within);
    run(&mut driver, &mut model, events, |given: Given, at| {
        assert_eq!(Timestamp(given.1.1), at);
        vec![given]
    })?;
    prop_assert_eq!(late.map(|late| late.get()), model.late);
    if matches!(events.last(), Some(Event::End)) {
        let versions = if within == i64::MAX { model.versions.len() as u64 } else { 0 };
        let left: Vec<[u64; 3]> = driver.operators().map(|shard| shard.left_behind()).collect();
        let sum = |of: usize| left.iter().map(|left| left[of]).sum::<u64>();
        prop_assert_eq!([sum(0), sum(1), sum(2)], [0, 0, versions]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn joins_with_versions(
        within in prop_oneof![0i64..30, Just(i64::MAX)],
        events in traces(2, 0i64..1000),
    ) {
        check(within, &events)?;
    }
}
