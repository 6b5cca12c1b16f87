//! What two savepoints differ in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::error::SavepointError;
use super::reader::{Entry, Savepoint};
use crate::schema::Value;

/// A difference between two savepoints.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Only the first one has a state.
    StateGone {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
    },
    /// Only the second one has a state.
    StateNew {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
    },
    /// An entry is only in one of them, or is another one.
    Entry {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The key, and what is beside it.
        key: String,
        /// The value in the first one.
        then: Option<Value>,
        /// The value in the second one.
        now: Option<Value>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::StateGone { operator, state } => write!(f, "- {operator} {state}"),
            Difference::StateNew { operator, state } => write!(f, "+ {operator} {state}"),
            Difference::Entry { operator, state, key, then, now } => match (then, now) {
                (Some(then), Some(now)) => write!(f, "~ {operator} {state} {key}: {then} -> {now}"),
                (Some(then), None) => write!(f, "- {operator} {state} {key}: {then}"),
                (None, Some(now)) => write!(f, "+ {operator} {state} {key}: {now}"),
                (None, None) => write!(f, "  {operator} {state} {key}"),
            },
        }
    }
}

impl Savepoint {
    /// What has to change in this savepoint to get the other one, state by state, in order of the keys. One state at a time is held in
    /// memory.
    ///
    /// # Errors
    /// One of them is damaged, or `each` says so.
    pub fn diff(
        &self,
        other: &Savepoint,
        mut each: impl FnMut(Difference) -> Result<(), SavepointError>,
    ) -> Result<(), SavepointError> {
        let names = |of: &Savepoint| -> BTreeSet<(String, String)> {
            of.states().into_iter().map(|info| (info.operator, info.state)).collect()
        };
        let (mine, theirs) = (names(self), names(other));
        for (operator, state) in mine.union(&theirs) {
            let name = (operator.clone(), state.clone());
            let (operator, state) = name.clone();
            if !theirs.contains(&name) {
                each(Difference::StateGone { operator, state })?;
                continue;
            }
            if !mine.contains(&name) {
                each(Difference::StateNew { operator, state })?;
                continue;
            }
            let (then, mut now) = (self.all_of(&operator, &state)?, other.all_of(&operator, &state)?);
            for (key, values) in then {
                let others = now.remove(&key).unwrap_or_default();
                compare(&operator, &state, &key, values, others, &mut each)?;
            }
            for (key, values) in now {
                compare(&operator, &state, &key, Vec::new(), values, &mut each)?;
            }
        }
        Ok(())
    }

    /// The values of a state by their keys as they are shown. A key may have several: an operator's records have none of their own.
    fn all_of(&self, operator: &str, state: &str) -> Result<BTreeMap<String, Vec<Value>>, SavepointError> {
        let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        self.each(operator, state, |Entry { key, part, value }| {
            let key = match part {
                Some(part) => format!("{key} with {part}"),
                None => key.to_string(),
            };
            all.entry(key).or_default().push(value);
            Ok(())
        })?;
        all.values_mut().for_each(|values| values.sort_by_key(Value::to_string));
        Ok(all)
    }
}

fn compare(
    operator: &str,
    state: &str,
    key: &str,
    then: Vec<Value>,
    now: Vec<Value>,
    each: &mut impl FnMut(Difference) -> Result<(), SavepointError>,
) -> Result<(), SavepointError> {
    let (mut then, mut now) = (then.into_iter(), now.into_iter());
    loop {
        let (then, now) = (then.next(), now.next());
        if then.is_none() && now.is_none() {
            return Ok(());
        }
        // By their words: a number that is none (NaN) is not equal to itself.
        if then.as_ref().map(Value::to_string) != now.as_ref().map(Value::to_string) {
            let (operator, state, key) = (operator.to_owned(), state.to_owned(), key.to_owned());
            each(Difference::Entry { operator, state, key, then, now })?;
        }
    }
}
