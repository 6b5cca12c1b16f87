//! What a topology has to give out, by a naive model: one thread, whole inputs, no time.

use std::collections::BTreeMap;

use crate::outside::Output;
use crate::topology::{Event, Level, Topology};

/// A record as the model knows it. Its `at` and `id` count only where they do not depend on the order in which records came.
#[derive(Clone, Copy, Debug)]
struct Element {
    key: u64,
    at: i64,
    id: u64,
}

/// What comes out of the last level.
pub struct Expected {
    inputs: Vec<Element>,
    timed: bool,
    level: Level,
}

impl Expected {
    pub fn of(topology: &Topology) -> Expected {
        let records = topology.partitions.iter().flat_map(|partition| &partition.records);
        let mut elements: Vec<Element> =
            records.map(|(event, at)| Element { key: event.key, at: at.0, id: event.id }).collect();
        let mut timed = true;
        for (number, (steps, level)) in topology.levels.iter().enumerate() {
            elements = elements
                .into_iter()
                .map(|of| (Event { key: of.key, id: of.id, n: 0, extra: 0 }, of.at))
                .filter(|(event, _)| steps.keeps(event))
                .flat_map(|(event, at)| {
                    steps.fan(event).map(move |event| Element { key: event.key, at, id: event.id })
                })
                .collect();
            if number + 1 == topology.levels.len() {
                return Expected { inputs: elements, timed, level: *level };
            }
            match level {
                Level::Rebalance | Level::Calls { .. } => {}
                Level::EveryThird { .. } => {
                    timed = false;
                    let thirds = by_key(&elements).into_iter().flat_map(|(key, of)| {
                        std::iter::repeat_n(Element { key, at: 0, id: 0 }, of.len() / 3)
                    });
                    elements = thirds.collect();
                }
                Level::Window { size } => {
                    let windows = windows(&elements, *size).into_iter();
                    elements = windows.map(|((key, at), (n, _))| Element { key, at, id: n }).collect();
                }
                Level::Count | Level::CountByName { .. } | Level::Fold | Level::Reduce { .. } => {
                    elements.iter_mut().for_each(|of| of.id = 0);
                }
            }
        }
        unreachable!("a topology has a level")
    }

    /// Compares what came out. Where the job did not finish, output may be missing.
    pub fn check(&self, outputs: &[Output], finished: bool) -> Result<(), String> {
        match self.level {
            Level::Count | Level::CountByName { .. } => self.check_running(outputs, finished, false),
            Level::Fold | Level::Reduce { .. } => self.check_running(outputs, finished, true),
            Level::EveryThird { .. } => {
                let thirds = by_key(&self.inputs).into_iter().map(|(key, of)| (key, of.len() / 3));
                compare(thirds.collect(), outputs.iter().map(|(event, _)| event.key), finished)
            }
            Level::Window { size } => {
                let windows = windows(&self.inputs, size).into_iter();
                let expected = windows.map(|((key, at), (n, sum))| ((key, at, n, sum), 1)).collect();
                let given = outputs.iter().map(|(event, at)| (event.key, at.0, event.n, event.extra));
                compare(expected, given, finished)
            }
            Level::Rebalance | Level::Calls { .. } => {
                let mut expected = BTreeMap::new();
                for of in &self.inputs {
                    *expected.entry((of.key, self.at(of.at), of.id)).or_insert(0) += 1;
                }
                compare(
                    expected,
                    outputs.iter().map(|(event, at)| (event.key, self.at(at.0), event.id)),
                    finished,
                )
            }
        }
    }

    fn at(&self, at: i64) -> i64 {
        if self.timed { at } else { 0 }
    }

    /// A running fold gives out one record for each of its input, with all numbers from 1 on.
    fn check_running(&self, outputs: &[Output], finished: bool, sums: bool) -> Result<(), String> {
        let inputs = by_key(&self.inputs);
        let numbers = inputs.iter().flat_map(|(key, of)| (1..=of.len() as u64).map(|n| ((*key, n), 1)));
        compare(numbers.collect(), outputs.iter().map(|(event, _)| (event.key, event.n)), finished)?;
        let mut times = BTreeMap::new();
        for of in &self.inputs {
            *times.entry((of.key, self.at(of.at))).or_insert(0) += 1;
        }
        compare(times, outputs.iter().map(|(event, at)| (event.key, self.at(at.0))), finished)?;
        for (event, _) in outputs.iter().filter(|_| sums) {
            let of = &inputs[&event.key];
            let sum = of.iter().fold(0u64, |sum, of| sum.wrapping_add(of.id));
            if event.n == of.len() as u64 && event.extra != sum {
                return Err(format!("{event:?}: all records of the key add up to {sum}"));
            }
        }
        Ok(())
    }
}

fn by_key(elements: &[Element]) -> BTreeMap<u64, Vec<Element>> {
    let mut keys: BTreeMap<u64, Vec<Element>> = BTreeMap::new();
    for of in elements {
        keys.entry(of.key).or_default().push(*of);
    }
    keys
}

/// By key and last tick of the window: how many records, and what their ids add up to.
fn windows(elements: &[Element], size: i64) -> BTreeMap<(u64, i64), (u64, u64)> {
    let mut windows = BTreeMap::new();
    for of in elements {
        let last = of.at.div_euclid(size) * size + size - 1;
        let (n, sum): &mut (u64, u64) = windows.entry((of.key, last)).or_default();
        *n += 1;
        *sum = sum.wrapping_add(of.id);
    }
    windows
}

/// Compares two multisets.
fn compare<T: Ord + std::fmt::Debug>(
    mut expected: BTreeMap<T, usize>,
    given: impl Iterator<Item = T>,
    finished: bool,
) -> Result<(), String> {
    let mut surplus = Vec::new();
    for of in given {
        match expected.get_mut(&of) {
            Some(left) if *left > 0 => *left -= 1,
            _ => surplus.push(of),
        }
    }
    expected.retain(|_, left| *left > 0);
    if surplus.is_empty() && (expected.is_empty() || !finished) {
        return Ok(());
    }
    let missing: usize = expected.values().sum();
    let some_missing: Vec<_> = expected.keys().take(3).collect();
    let some_surplus = &surplus[..surplus.len().min(3)];
    Err(format!(
        "{missing} are missing, as {some_missing:?}; {} should not be there, as {some_surplus:?}",
        surplus.len()
    ))
}
