//! Reads parameters out of command lines and files.

use std::collections::BTreeMap;
use std::io::Read;

use java_properties::PropertiesIter;

use super::{GIVEN, ParamError};

/// The parameters of a command line. The last one of a name counts, as everywhere on command lines.
pub(super) fn args(args: impl Iterator<Item = String>) -> Result<BTreeMap<String, String>, ParamError> {
    let mut values = BTreeMap::new();
    let mut args = args.enumerate().peekable();
    while let Some((index, argument)) = args.next() {
        let Some(name) = name_of(&argument) else {
            return Err(ParamError::Argument { argument, number: index + 1 });
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => {
                let value = args.next_if(|(_, next)| name_of(next).is_none()).map(|(_, value)| value);
                (name.to_owned(), value.unwrap_or_else(|| GIVEN.to_owned()))
            }
        };
        if name.is_empty() {
            return Err(ParamError::Argument { argument, number: index + 1 });
        }
        values.insert(name, value);
    }
    Ok(values)
}

/// What follows the dashes of an argument. A number below zero is a value.
fn name_of(argument: &str) -> Option<&str> {
    if argument.parse::<f64>().is_ok() {
        return None;
    }
    let defined = argument.strip_prefix("-D").filter(|rest| rest.contains('='));
    defined.or_else(|| argument.strip_prefix("--")).or_else(|| argument.strip_prefix('-'))
}

/// The parameters of a file of properties.
pub(super) fn properties(file: &str, from: impl Read) -> Result<BTreeMap<String, String>, ParamError> {
    let mut values = BTreeMap::new();
    let read = PropertiesIter::new_with_encoding(from, encoding_rs::UTF_8).read_into(|name, value| {
        values.insert(name, value);
    });
    match read {
        Ok(()) => Ok(values),
        Err(error) => Err(ParamError::File { file: file.to_owned(), problem: error.to_string() }),
    }
}
