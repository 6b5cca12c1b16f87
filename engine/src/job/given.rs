//! A setting, and who gave it: what the program says counts before what a parameter says, and that before the default.

use std::fmt;
use std::panic::Location;
use std::str::FromStr;

use super::JobError;
use crate::params::{ParamError, Params};

/// Who says what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// Nobody.
    Default,
    /// The program.
    Program {
        /// By which method.
        method: &'static str,
        /// The line that calls it.
        at: &'static Location<'static>,
    },
    /// A parameter.
    Parameter {
        /// How it was given: `--execution.checkpointing.interval`.
        given_as: String,
    },
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingOrigin::Default => f.write_str("the default"),
            SettingOrigin::Program { method, at } => {
                write!(f, "{method} at {}:{}", at.file(), at.line())
            }
            SettingOrigin::Parameter { given_as } => write!(f, "the parameter {given_as}"),
        }
    }
}

/// Two settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}) and {} ({}) contradict each other: {because}", first.0, first.1, second.0, second.1)]
pub struct SettingConflict {
    /// The first setting with its value, and who gave it.
    pub first: (String, SettingOrigin),
    /// The second one.
    pub second: (String, SettingOrigin),
    /// Why they do not go together, and the remedy.
    pub because: &'static str,
}

/// A setting's value, and who gave it.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) origin: SettingOrigin,
}

impl<T> Given<T> {
    /// What it is where nobody says anything.
    pub(crate) fn by_default(value: T) -> Given<T> {
        Given { value, origin: SettingOrigin::Default }
    }

    /// The program says so, in the line that called `method`.
    #[track_caller]
    pub(crate) fn by_program(value: T, method: &'static str) -> Given<T> {
        Given { value, origin: SettingOrigin::Program { method, at: Location::caller() } }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.origin == SettingOrigin::Default
    }

    /// Where the program says nothing: what the first of these parameters says that is given. All of them count as asked for.
    pub(crate) fn or_params<P>(
        &mut self,
        params: &Params,
        setting: &'static str,
        names: &[&str],
        read: impl Fn(P) -> T,
    ) -> Result<(), JobError>
    where
        P: FromStr<Err: fmt::Display>,
    {
        let mut found = None;
        for name in names {
            let wrong = |error: ParamError| JobError::Setting { setting, problem: error.to_string() };
            if let Some(value) = params.get::<P>(name).map_err(wrong)?
                && found.is_none()
            {
                let given_as = params.given_as(name).unwrap_or_else(|| (*name).to_owned());
                found = Some(Given { value: read(value), origin: SettingOrigin::Parameter { given_as } });
            }
        }
        if let (true, Some(found)) = (self.is_default(), found) {
            *self = found;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_counts_before_a_parameter_and_that_before_the_default() {
        let params = Params::from_args(["--new", "2", "--old", "1"]).unwrap();
        let mut given = Given::by_default(0u32);
        given.or_params(&params, "number", &["none", "old", "new"], |n: u32| n).unwrap();
        assert_eq!((given.value, given.origin.to_string().as_str()), (1, "the parameter --old"));
        assert_eq!(params.unasked(), [""; 0]);

        let mut given = Given::by_program(7u32, "Job::number");
        given.or_params(&params, "number", &["old"], |n: u32| n).unwrap();
        assert_eq!(given.value, 7);
        assert!(given.origin.to_string().starts_with("Job::number at "), "{}", given.origin);

        let params = Params::from_args(["--old", "many"]).unwrap();
        let error = given.or_params(&params, "number", &["old"], |n: u32| n).unwrap_err();
        assert!(error.to_string().contains("setting `number`"), "{error}");
    }
}
