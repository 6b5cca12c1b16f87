//! Where parameters come from, and what they are called there.

use std::collections::BTreeMap;
use std::fmt;

/// Some parameters that were given in one place.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) naming: Naming,
    /// By the names they have there.
    pub(super) values: BTreeMap<String, String>,
}

impl Origin {
    /// A parameter by the program's name for it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&self.naming.stored(name)).map(String::as_str)
    }
}

/// A place, and what parameters are called there.
#[derive(Clone)]
pub(super) enum Naming {
    /// The command line.
    Argument,
    /// A file of this name.
    File(String),
    /// Variables of the environment with this prefix.
    Environment(String),
}

impl Naming {
    /// The name that a parameter has in the place.
    pub(super) fn stored(&self, name: &str) -> String {
        match self {
            Naming::Argument | Naming::File(_) => name.to_owned(),
            Naming::Environment(prefix) => {
                let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
                prefix.chars().chain(name.chars().map(letter)).collect()
            }
        }
    }

    /// How one that has this name there is spelt there.
    pub(super) fn spelt(&self, stored: &str) -> String {
        match self {
            Naming::Argument => format!("--{stored}"),
            Naming::File(file) => format!("`{stored}` in {file}"),
            Naming::Environment(_) => format!("{stored} in the environment"),
        }
    }

    /// How a parameter is given there.
    pub(super) fn shown(&self, name: &str) -> String {
        self.spelt(&self.stored(name))
    }
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Naming::Argument => f.write_str("command line"),
            Naming::File(file) => f.write_str(file),
            Naming::Environment(_) => f.write_str("environment"),
        }
    }
}
