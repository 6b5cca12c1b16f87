//! Parameters of a program: from the command line, from files, from the environment.
//!
//! What Flink calls `ParameterTool`
//! ([Flink: Handling Application Parameters](https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/datastream/application_parameters/)).
//!
//! ```
//! use millstream_engine::params::Params;
//!
//! let arguments = ["--host", "localhost", "--port=9001", "-Dstate.dir=/tmp/state", "--verbose"];
//! let params = Params::from_args(arguments)?;
//! assert_eq!(params.required::<String>("host")?, "localhost");
//! assert_eq!(params.get_or("port", 80)?, 9001);
//! assert_eq!(params.get_or("retries", 3)?, 3);
//! assert!(params.get_or("verbose", false)?);
//! # Ok::<(), millstream_engine::params::ParamError>(())
//! ```

mod error;
mod length;
mod origin;
mod read;

pub use error::ParamError;
pub use length::{Length, NoLength};

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use origin::{Naming, Origin};

/// The value of a parameter that was given without one, as in `--verbose`.
const GIVEN: &str = "true";

/// Words in the name of a parameter whose value is not printed.
const SECRETS: [&str; 6] = ["password", "secret", "token", "apikey", "api-key", "credential"];

/// The parameters of a program. Where several origins give one, the origin that was added first decides. Copies are cheap.
#[derive(Clone, Default)]
pub struct Params {
    /// In the order in which they are asked.
    origins: Arc<Vec<Origin>>,
    /// The names that the program has asked for, on whatever copy.
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Params {
    /// None at all.
    pub fn new() -> Params {
        Params::default()
    }

    /// Those of a command line, without the program's own name: `--name value`, `--name=value`, `-name value`, `-Dname=value`, and
    /// `--name` by itself, which is `true`.
    ///
    /// # Errors
    /// An argument that is none of these.
    pub fn from_args<A: Into<String>>(args: impl IntoIterator<Item = A>) -> Result<Params, ParamError> {
        Params::new().or_args(args)
    }

    /// Those of a file of properties.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is no property.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Params, ParamError> {
        Params::new().or_file(path)
    }

    /// Those of the environment: a parameter `state.dir` is the variable `MY_APP_STATE_DIR`, where the prefix is `MY_APP_`.
    pub fn from_env(prefix: &str) -> Params {
        Params::new().or_env(prefix)
    }

    /// Where these do not give a parameter, a command line may: see [`Params::from_args`].
    ///
    /// # Errors
    /// As [`Params::from_args`].
    pub fn or_args<A: Into<String>>(self, args: impl IntoIterator<Item = A>) -> Result<Params, ParamError> {
        let values = read::args(args.into_iter().map(Into::into))?;
        Ok(self.or(Origin { naming: Naming::Argument, values }))
    }

    /// Where these do not give a parameter, a file of properties may: lines of `name = value`
    /// ([java.util.Properties](https://docs.oracle.com/javase/8/docs/api/java/util/Properties.html#load-java.io.Reader-), in UTF-8).
    ///
    /// # Errors
    /// As [`Params::from_file`].
    pub fn or_file(self, path: impl AsRef<Path>) -> Result<Params, ParamError> {
        let name = path.as_ref().display().to_string();
        match std::fs::File::open(path) {
            Ok(file) => self.or_reader(name, file),
            Err(error) => Err(ParamError::File { file: name, problem: error.to_string() }),
        }
    }

    /// As [`Params::or_file`], from whatever can be read. The name is for messages.
    ///
    /// # Errors
    /// As [`Params::from_file`].
    pub fn or_reader(self, name: impl Into<String>, from: impl Read) -> Result<Params, ParamError> {
        let name = name.into();
        let values = read::properties(&name, from)?;
        Ok(self.or(Origin { naming: Naming::File(name), values }))
    }

    /// Where these do not give a parameter, the environment may: see [`Params::from_env`].
    pub fn or_env(self, prefix: &str) -> Params {
        let values = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            name.starts_with(prefix).then_some((name, value))
        });
        self.or(Origin { naming: Naming::Environment(prefix.to_owned()), values: values.collect() })
    }

    fn or(mut self, origin: Origin) -> Params {
        Arc::make_mut(&mut self.origins).push(origin);
        self
    }

    /// A parameter, if it is given.
    ///
    /// # Errors
    /// Its value does not read as a `T`.
    pub fn get<T>(&self, name: &str) -> Result<Option<T>, ParamError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.lock().insert(name.to_owned());
        let Some((origin, value)) = self.origins.iter().find_map(|origin| Some((origin, origin.get(name)?)))
        else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|problem: T::Err| ParamError::Unreadable {
            name: name.to_owned(),
            value: shown(name, value).to_owned(),
            given_as: origin.naming.shown(name),
            wanted: std::any::type_name::<T>(),
            problem: problem.to_string(),
        })
    }

    /// A parameter, or what stands in for it where it is not given.
    ///
    /// # Errors
    /// Its value does not read as a `T`.
    pub fn get_or<T>(&self, name: &str, default: T) -> Result<T, ParamError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// A parameter that has to be given.
    ///
    /// # Errors
    /// It is not, or its value does not read as a `T`.
    pub fn required<T>(&self, name: &str) -> Result<T, ParamError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.get(name)?.ok_or_else(|| {
            let ways: Vec<String> = self.origins.iter().map(|origin| origin.naming.shown(name)).collect();
            let near = self.near(name);
            ParamError::Missing { name: name.to_owned(), ways, near }
        })
    }

    /// Whether a parameter is given, with a value or without.
    pub fn has(&self, name: &str) -> bool {
        self.lock().insert(name.to_owned());
        self.origins.iter().any(|origin| origin.get(name).is_some())
    }

    /// How a parameter was given, for messages; none where it was not.
    pub(crate) fn given_as(&self, name: &str) -> Option<String> {
        let origin = self.origins.iter().find(|origin| origin.get(name).is_some())?;
        Some(origin.naming.shown(name))
    }

    /// Those that are given and that nobody has asked for so far, in sentences: most likely they are misspelt. A job logs them once its
    /// shards are open.
    pub fn unasked(&self) -> Vec<String> {
        let asked = self.lock();
        let mut unasked = Vec::new();
        for origin in self.origins.iter() {
            let known: BTreeSet<String> = asked.iter().map(|name| origin.naming.stored(name)).collect();
            for given in origin.values.keys().filter(|given| !known.contains(*given)) {
                let nearest = nearest(given, known.iter().map(String::as_str));
                let hint = nearest.map(|near| format!("; did you mean {}?", origin.naming.spelt(near)));
                let spelt = origin.naming.spelt(given);
                unasked.push(format!("nobody asks for the parameter {spelt}{}", hint.unwrap_or_default()));
            }
        }
        unasked
    }

    /// What is given under a name that looks like this one.
    fn near(&self, name: &str) -> Option<String> {
        let near = |origin: &Origin| {
            let near = nearest(&origin.naming.stored(name), origin.values.keys().map(String::as_str))?;
            Some(origin.naming.spelt(near))
        };
        self.origins.iter().find_map(near)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // An insertion is whole or not there.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that is most like this one, if it is like it at all.
fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = among.map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= 0.6).map(|(_, other)| other)
}

/// A value as it may be printed.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_ascii_lowercase();
    if SECRETS.iter().any(|secret| name.contains(secret)) { "******" } else { value }
}

impl fmt::Display for Params {
    /// One per line, as they were given, without the values of secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for origin in self.origins.iter() {
            for (name, value) in &origin.values {
                writeln!(f, "{name} = {} ({})", shown(name, value), origin.naming)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.origins.iter().flat_map(|origin| &origin.values);
        f.debug_map().entries(all.map(|(name, value)| (name, shown(name, value)))).finish()
    }
}

#[cfg(test)]
mod tests;
