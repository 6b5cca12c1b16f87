//! What can be wrong with parameters.

use std::fmt;

/// Why a parameter could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// It is required and not given.
    #[error("the parameter `{name}` is missing: {}{}", Ways(ways), Near(near))]
    Missing {
        /// The parameter.
        name: String,
        /// How it could be given.
        ways: Vec<String>,
        /// What was given instead, it seems.
        near: Option<String>,
    },
    /// Its value is no value of the type.
    #[error("the parameter {given_as} has the value `{value}`, which is no {wanted}: {problem}")]
    Unreadable {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// How it was given.
        given_as: String,
        /// The type.
        wanted: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// An argument of the command line is no parameter.
    #[error(
        "the argument `{argument}` (number {number}) is no parameter: give parameters as --name value, --name=value or -Dname=value"
    )]
    Argument {
        /// The argument.
        argument: String,
        /// Its number, from 1.
        number: usize,
    },
    /// A file could not be read.
    #[error("the parameters in {file} cannot be read: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and where.
        problem: String,
    },
}

struct Ways<'a>(&'a [String]);

impl fmt::Display for Ways<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the program takes none");
        }
        write!(f, "give it as {}", self.0.join(", or "))
    }
}

struct Near<'a>(&'a Option<String>);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |near| write!(f, "; there is {near}"))
    }
}
