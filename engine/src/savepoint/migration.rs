//! What a program does itself to values that have become of another type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::schema::{Misfit, Value};

type Migrate = dyn Fn(Value) -> Result<Value, String> + Send + Sync;

/// The migrations of a job, by operator and state: [`Job::migrate`](crate::job::Job::migrate).
#[derive(Clone, Default)]
pub struct Migrations(BTreeMap<(String, String), Arc<Migrate>>);

impl Migrations {
    /// Adds one.
    pub(crate) fn add(
        &mut self,
        operator: String,
        state: String,
        migrate: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        self.0.insert((operator, state), Arc::new(migrate));
    }

    /// The migration of a state. That of a list is of all its parts.
    pub(super) fn of(&self, operator: &str, state: &str) -> Option<&Migrate> {
        let find = |state: &str| self.0.get(&(operator.to_owned(), state.to_owned()));
        let found = find(state).or_else(|| find(state.strip_suffix(" chunks")?));
        found.map(AsRef::as_ref)
    }
}

/// Applies a migration to a value; where it is a part of a list (`elements`), to each element.
pub(super) fn apply(migrate: &Migrate, value: Value, elements: bool) -> Result<Value, Misfit> {
    if !elements {
        return migrate(value).map_err(Misfit::new);
    }
    match value {
        Value::List(items) => {
            let items = items.into_iter().map(|item| migrate(item).map_err(Misfit::new));
            Ok(Value::List(items.collect::<Result<_, _>>()?))
        }
        mut head => {
            if let Some(last) = head.take("last") {
                head.set("last", apply(migrate, last, true)?);
            }
            Ok(head)
        }
    }
}

impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
