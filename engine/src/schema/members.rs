//! The fields of a struct on their way back into its type: by name, whatever their order.

use super::value::{Misfit, Name, Value};
use crate::record::Field;

/// The fields of a struct or variant that have not been taken yet. Those that nobody takes are dropped: the type has lost them.
#[derive(Debug)]
pub struct Members(Vec<(Name, Value)>);

impl Members {
    /// Those of a struct called `name`.
    ///
    /// # Errors
    /// The value is something else.
    pub fn of_struct(value: Value, name: &str) -> Result<Members, Misfit> {
        match value {
            Value::Struct(members) => Ok(Members(members)),
            other => Err(Misfit::found(&other, format_args!("a `{name}`"))),
        }
    }

    /// The variant of an enum called `name`, and its fields.
    ///
    /// # Errors
    /// The value is something else.
    pub fn of_variant(value: Value, name: &str) -> Result<(Name, Members), Misfit> {
        match value {
            Value::Variant(variant, members) => Ok((variant, Members(members))),
            other => Err(Misfit::found(&other, format_args!("a `{name}`"))),
        }
    }

    /// The field `name`, which may go by one of the names that it had before; where there is none, what `missing` gives.
    ///
    /// # Errors
    /// There is none and nothing in its place, or it does not fit.
    pub fn take<T: Field>(
        &mut self,
        name: &str,
        was: &[&str],
        missing: Option<fn() -> T>,
    ) -> Result<T, Misfit> {
        let names = std::iter::once(name).chain(was.iter().copied());
        for known in names {
            if let Some(place) = self.0.iter().position(|(other, _)| &**other == known) {
                return load(self.0.swap_remove(place).1).map_err(|misfit| misfit.within(name));
            }
        }
        let value = missing.map(|make| make()).or_else(T::absent);
        value.ok_or_else(|| Misfit::new("there is none, and no default").within(name))
    }
}

/// A value as a field type: one that may be missing becomes one that may not, and the other way round.
pub fn load<T: Field>(value: Value) -> Result<T, Misfit> {
    match value {
        Value::Option(Some(value)) if !T::OPTIONAL => T::load_field(*value),
        Value::Option(_) => T::load_field(value),
        value if T::OPTIONAL => T::load_field(Value::Option(Some(Box::new(value)))),
        value => T::load_field(value),
    }
}
