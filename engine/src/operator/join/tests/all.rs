//! The join of three streams against a naive model, which looks at all triples.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::random::CountLate;
use crate::operator::OpId;
use crate::operator::join::{AllFunction, AllJoin, Complete, Partial};
use crate::operator::tests::driver::Driver;
use crate::operator::tests::trace::{Event, Oracle, Sent, cases, run, traces};

type Records = (i64, i64, i64);

/// The records of a row, and its time.
type Given = ([Option<i64>; 3], i64);

struct Waiting {
    port: usize,
    key: u64,
    at: i64,
    record: i64,
    given: bool,
}

/// See the [module](self).
struct Model {
    within: i64,
    partial: bool,
    rows: Vec<Waiting>,
    seen: BTreeMap<u64, i64>,
    late: [u64; 3],
    groups: Vec<Vec<Given>>,
}

impl Model {
    /// Gives out the rows in which the record with this number is, with some of the `others` for each of the other streams; where one
    /// has none, the row is incomplete.
    fn give(&mut self, number: usize, others: impl Fn(&Waiting) -> bool, group: &mut Vec<Given>) {
        let (port, key) = (self.rows[number].port, self.rows[number].key);
        let of = |other: usize| -> Vec<Option<usize>> {
            if other == port {
                return vec![Some(number)];
            }
            let mine = |row: &Waiting| row.port == other && row.key == key && others(row);
            let found: Vec<_> = (0..self.rows.len()).filter(|row| mine(&self.rows[*row])).map(Some).collect();
            if found.is_empty() { vec![None] } else { found }
        };
        let [first, second, third] = [of(0), of(1), of(2)];
        let mut rows = Vec::new();
        for a in &first {
            for b in &second {
                rows.extend(third.iter().map(|c| [*a, *b, *c]));
            }
        }
        for row in rows {
            let times: Vec<i64> = row.iter().flatten().map(|number| self.rows[*number].at).collect();
            let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
            if most - least <= self.within {
                group.push((row.map(|number| number.map(|number| self.rows[number].record)), most));
                row.iter().flatten().for_each(|number| self.rows[*number].given = true);
            }
        }
    }
}

impl Oracle<i64> for Model {
    type Given = Given;

    fn record(&mut self, sent: &Sent<i64>) {
        let Sent { port, key, at, record } = *sent;
        let seen = self.seen.get(&key).copied().unwrap_or(i64::MIN);
        if at < seen {
            self.late[port] += 1;
            return;
        }
        self.rows.push(Waiting { port, key, at, record, given: false });
        let within = self.within;
        let waited = |row: &Waiting| {
            (row.at - at).abs() <= within && i128::from(row.at) + i128::from(within) > i128::from(seen)
        };
        let met = |port| self.rows.iter().any(|row| row.port == port && row.key == key && waited(row));
        let mut group = Vec::new();
        if (0..3).filter(|other| *other != port).all(met) {
            self.give(self.rows.len() - 1, waited, &mut group);
        }
        self.groups.push(group);
    }

    fn watermark(&mut self, keys: &[u64], at: i64) {
        for key in keys {
            let seen = self.seen.entry(*key).or_insert(i64::MIN);
            *seen = at.max(*seen);
        }
        let within = self.within;
        let is_over = |row: &Waiting| {
            keys.contains(&row.key) && i128::from(row.at) + i128::from(within) <= i128::from(at)
        };
        let mut over: Vec<usize> =
            (0..self.rows.len()).filter(|number| is_over(&self.rows[*number])).collect();
        over.sort_by_key(|number| (self.rows[*number].at, self.rows[*number].port));
        let mut by_time: BTreeMap<i64, Vec<Given>> = BTreeMap::new();
        for number in over {
            let first = self.rows[number].at;
            let group = by_time.entry(first).or_default();
            if self.partial && !self.rows[number].given {
                self.give(number, |row| (first..=first + within).contains(&row.at), group);
            }
        }
        self.groups.extend(by_time.into_values());
        self.rows.retain(|row| !is_over(row));
    }

    fn clock(&mut self, _: &[u64], _: i64) {}

    fn restart(&mut self, _: i64) {}

    fn take(&mut self) -> Vec<Vec<Given>> {
        std::mem::take(&mut self.groups)
    }
}

fn check<F>(
    within: i64,
    events: &[Event<i64>],
    function: impl Fn() -> F + 'static,
) -> Result<(), TestCaseError>
where
    F: AllFunction<Records, u64, Out = [Option<i64>; 3]>,
{
    let late: [Rc<Cell<u64>>; 3] = Default::default();
    let counts = late.clone();
    let mut driver = Driver::new(1, move || {
        let [a, b, c] = counts.clone().map(CountLate);
        AllJoin::<Records, u64, F, _>::new(OpId(0), within, function(), (a, b, c))
    });
    let (rows, groups) = (Vec::new(), Vec::new());
    let mut model = Model { within, partial: F::PARTIAL, rows, seen: BTreeMap::new(), late: [0; 3], groups };
    run(&mut driver, &mut model, events, |row, at| vec![(row, at.0)])?;
    prop_assert_eq!(late.map(|late| late.get()), model.late);
    if matches!(events.last(), Some(Event::End)) {
        prop_assert!(model.rows.is_empty());
        for shard in driver.operators_mut() {
            prop_assert_eq!(shard.left_behind(), 0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn complete_rows(within in 0i64..30, events in traces(3, 0i64..1000)) {
        check(within, &events, || Complete(|a: &i64, b: &i64, c: &i64| [Some(*a), Some(*b), Some(*c)]))?;
    }

    #[test]
    fn rows_of_what_there_is(within in 0i64..30, events in traces(3, 0i64..1000)) {
        check(within, &events, || {
            Partial(|a: Option<&i64>, b: Option<&i64>, c: Option<&i64>| [a.copied(), b.copied(), c.copied()])
        })?;
    }
}
