//! A state as lines of JSON: `{"key": 7, "value": {...}}`, and `"part"` where something is beside the key.

use std::io::Write;

use serde_json::{Map, Value as Json};

use super::error::SavepointError;
use super::reader::{Entry, Savepoint};

impl Entry {
    /// The entry as an object of JSON.
    pub fn to_json(&self) -> Json {
        let mut object = Map::new();
        object.insert("key".to_owned(), self.key.to_json());
        if let Some(part) = &self.part {
            object.insert("part".to_owned(), part.to_json());
        }
        object.insert("value".to_owned(), self.value.to_json());
        Json::Object(object)
    }
}

impl Savepoint {
    /// Writes a state as lines of JSON, one for each entry.
    ///
    /// # Errors
    /// There is no such state, it is damaged, or `out` cannot be written to.
    pub fn export_json(
        &self,
        operator: &str,
        state: &str,
        out: &mut dyn Write,
    ) -> Result<u64, SavepointError> {
        let mut entries = 0;
        self.each(operator, state, |entry| {
            entries += 1;
            writeln!(out, "{}", entry.to_json()).map_err(SavepointError::Output)
        })?;
        Ok(entries)
    }
}
