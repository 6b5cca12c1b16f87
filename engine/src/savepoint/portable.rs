//! A savepoint on its way back into a job: values become archived records of the types that the program has now.

use std::sync::Arc;

use super::error::SavepointError;
use super::flight::{FlightError, load_frames};
use super::migration::{Migrations, apply};
use super::reader::Savepoint;
use super::types::RecordType;
use crate::arena::{StateError, StateName, TableId};
use crate::channel::BatchShape;
use crate::element::{KeyHash, ShardId};
use crate::graph::Port;
use crate::key::Key;
use crate::record::{Record, RecordBuf};
use crate::schema::{Change, Incompatible, KeySchema, Misfit, Schema, Value};

/// Why a savepoint does not fit the program.
#[derive(Debug, thiserror::Error)]
pub enum StateMisfit {
    /// The keys of a state are of another type.
    #[error(
        "the key of state `{state}` of operator `{operator}` was `{then}` and is `{now}`: the type of a key cannot change, since it decides \
         which records belong together; give the operator another name, and with Job::allow_non_restored_state leave its state behind"
    )]
    Key {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The key in the savepoint.
        then: String,
        /// The key of the program.
        now: String,
    },
    /// The values of a state are of a type that they cannot become by themselves.
    #[error(
        "state `{state}` of operator `{operator}` cannot be taken over: {difference}; say with Job::migrate(\"{operator}\", \"{state}\", ..) what \
         becomes of its values"
    )]
    Value {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// What is different.
        difference: Incompatible,
    },
    /// A value does not fit its type.
    #[error("an entry of state `{state}` of operator `{operator}` cannot be taken over: {cause}")]
    Entry {
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// What does not fit.
        cause: Misfit,
    },
    /// The savepoint cannot be read.
    #[error(transparent)]
    Savepoint(#[from] SavepointError),
}

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Portable {
    pub(crate) savepoint: Arc<Savepoint>,
    pub(crate) migrations: Migrations,
}

impl Portable {
    /// Compares a state with what it was; says what changes.
    pub(crate) fn changes(
        &self,
        operator: &str,
        state: &str,
        key: &KeySchema,
        value: &Schema,
    ) -> Result<Vec<Change>, StateMisfit> {
        let head = self.savepoint.head.operator(operator).and_then(|operator| operator.state(state));
        let Some(then) = head else { return Ok(Vec::new()) };
        if then.key != *key {
            return Err(StateMisfit::Key {
                operator: operator.to_owned(),
                state: state.to_owned(),
                then: words(&then.key),
                now: words(key),
            });
        }
        self.changes_of(operator, state, &then.value, value)
    }

    fn changes_of(
        &self,
        operator: &str,
        state: &str,
        then: &Schema,
        now: &Schema,
    ) -> Result<Vec<Change>, StateMisfit> {
        if self.migrations.of(operator, state).is_some() {
            let change =
                Change::Widened { field: String::new(), then: then.to_string(), now: now.to_string() };
            return Ok(vec![change]);
        }
        then.changes_to(now).map_err(|difference| StateMisfit::Value {
            operator: operator.to_owned(),
            state: state.to_owned(),
            difference,
        })
    }

    /// Compares the records on their way to an input with what they were.
    pub(crate) fn input_changes(
        &self,
        operator: &str,
        input: usize,
        now: &Schema,
    ) -> Result<Vec<Change>, StateMisfit> {
        let head = self.savepoint.head.operator(operator);
        let Some(then) = head.and_then(|operator| operator.inputs.get(input)) else { return Ok(Vec::new()) };
        self.changes_of(operator, &input_name(input), then, now)
    }

    /// The archived record of a value of a state.
    fn load<T: Record>(&self, operator: &str, state: &str, value: Value) -> Result<T, Misfit> {
        let value = match self.migrations.of(operator, state) {
            Some(migrate) => apply(migrate, value, T::ELEMENTS)?,
            None => value,
        };
        T::load_record(value)
    }

    /// An entry of an operator's own words.
    pub(crate) fn record<T: Record>(
        &self,
        operator: &str,
        state: &str,
        bytes: &[u8],
    ) -> Result<T, StateMisfit> {
        let misfit =
            |cause| StateMisfit::Entry { operator: operator.to_owned(), state: state.to_owned(), cause };
        let head = self.savepoint.head.operator(operator).and_then(|operator| operator.state(state));
        let head = head.ok_or_else(|| misfit(Misfit::new("the savepoint does not say what it is")))?;
        let value = Value::decode(&head.value, bytes)
            .map_err(|error| StateMisfit::Savepoint(SavepointError::unreadable(operator, error)))?;
        self.load(operator, state, value).map_err(misfit)
    }

    /// Frames of the records that were on their way to an input.
    pub(crate) fn frames(
        &self,
        operator: &str,
        port: Port,
        records: &[u8],
        shape: BatchShape,
        of: RecordType,
    ) -> Result<Vec<u8>, StateMisfit> {
        let input = usize::from(port.0);
        let name = input_name(input);
        let misfit = |cause| StateMisfit::Entry { operator: operator.to_owned(), state: name.clone(), cause };
        let head = self.savepoint.head.operator(operator).and_then(|operator| operator.inputs.get(input));
        let schema = head.ok_or_else(|| misfit(Misfit::new("the savepoint does not say what it is")))?;
        let migrate = self.migrations.of(operator, &name);
        let load = |value: Value, into: &mut RecordBuf| {
            let value = match migrate {
                Some(migrate) => apply(migrate, value, false)?,
                None => value,
            };
            of.load(value, into)
        };
        load_frames(records, schema, shape, load).map_err(|error| match error {
            FlightError::Codec(error) => StateMisfit::Savepoint(SavepointError::unreadable(operator, error)),
            FlightError::Misfit(cause) => misfit(cause),
        })
    }

    /// Shows the entries of a table with hashes of a range, archived as `V`s.
    pub(crate) fn each_archived<K: Key + ?Sized, V: Record, E: From<StateError>>(
        &self,
        (name, shard, table): (&StateName, ShardId, TableId),
        hashes: (KeyHash, KeyHash),
        mut each: impl FnMut(KeyHash, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (operator, state) = (&*name.operator, &*name.state);
        let refused = |message: String| StateError::Import {
            operator: operator.into(),
            state: state.into(),
            message: message.into(),
        };
        let seed = self.savepoint.head.seed;
        let mut archived = RecordBuf::new();
        let mut result = Ok(());
        let mut one = |hash: KeyHash, key: &[u8], value: Value| -> Result<(), SavepointError> {
            if result.is_err() {
                return Ok(());
            }
            let loaded: Result<V, Misfit> = self.load(operator, state, value);
            result = match loaded {
                Ok(record) => {
                    archived.clear();
                    record.encode(&mut archived);
                    each(hash, key, &archived)
                }
                Err(cause) => {
                    let key = K::show(hash, key, seed);
                    Err(E::from(refused(format!("the value of key {key}: {cause}"))))
                }
            };
            Ok(())
        };
        let read = self.savepoint.each_of_table(operator, shard, table, hashes, &mut one);
        read.map_err(|error| E::from(refused(error.to_string())))?;
        result
    }
}

/// What the records on their way to an input are called among states.
pub(super) fn input_name(input: usize) -> String {
    format!("input {input}")
}

fn words(key: &KeySchema) -> String {
    match &key.part {
        None => key.key.to_string(),
        Some(part) => format!("{} with {part}", key.key),
    }
}
