//! States of savepoints as files of [Parquet](https://parquet.apache.org/docs/file-format/), for tools that read columns.
//!
//! A file has the columns `key`, `part` where something is beside the key, and `value`: what lines of JSON have, too
//! ([`Savepoint::export_json`]). Types lie in columns like this:
//!
//! | type | Parquet |
//! | --- | --- |
//! | `bool`, `f32`, `f64` | `BOOLEAN`, `FLOAT`, `DOUBLE` |
//! | integers up to 64 bits | `INT(8, true)` to `INT(64, false)` |
//! | `i128`, `u128` | `DECIMAL(39, 0)` |
//! | `String`, `char` | `STRING` |
//! | `Vec<u8>`, `[u8; n]` | `BYTE_ARRAY` |
//! | other lists, arrays, sets | `LIST` |
//! | maps | `MAP` |
//! | structs | a group of their fields; of a struct without names, and of a tuple, `0`, `1`, ... |
//! | enums without fields | `STRING`: the variant's name |
//! | enums with fields | a group: `variant`, a `STRING`, and for each variant with fields a group of them, which is null for the others |
//! | `Option` | the type as an optional one, null for `None` |
//! | `Option` of an `Option`, or as the key of a map | a group around it, whose field is called `some` |
//! | `()`, structs without fields | `BOOLEAN`, which is true |
//! | a type that contains itself | from where it comes again, `STRING`: JSON |
//! | a type that does not describe itself | `BYTE_ARRAY`: its archived bytes |
//!
//! A file that is read may have been made by any program. Columns are found by their names; integers may have any width as long as their values
//! fit; a column for an `Option` may be missing. What does not fit is named with column and row.
//!
//! ```no_run
//! use millstream_engine::savepoint::Savepoint;
//! use millstream_io::parquet;
//!
//! let savepoint = Savepoint::open("savepoints/savepoint-12")?;
//! parquet::export(&savepoint, "count", "count", "counts.parquet")?;
//!
//! let mut edit = savepoint.edit();
//! parquet::import(&mut edit, "count", "count", "changed.parquet")?;
//! let mended = edit.write("savepoints")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrays;
mod cells;
mod column;
mod error;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::ParquetError;

use std::io;
use std::path::Path;

use millstream_engine::savepoint::{Edit, Entry, Savepoint, SavepointError, StateInfo, StateKind};
use millstream_engine::schema::{Misfit, Name, Schema, Type, Value};

use column::{Column, Kind};
use writer::Rows;

/// Writes a state into a file, which is replaced where there is one. Gives the number of entries.
///
/// # Errors
/// There is no such state, it is damaged, or the file cannot be written.
pub fn export(
    savepoint: &Savepoint,
    operator: &str,
    state: &str,
    file: impl AsRef<Path>,
) -> Result<u64, ParquetError> {
    let path = file.as_ref();
    let columns = columns(&savepoint.state(operator, state)?);
    let mut rows = Rows::create(path, columns.map_err(|misfit| ParquetError::column(path, misfit))?)?;
    savepoint.each(operator, state, |entry| {
        rows.add(row(entry)).map_err(|error| SavepointError::Output(io::Error::other(error)))
    })?;
    rows.finish()
}

/// Puts the entries of a file into a state, in the place of older ones with the same key. Gives their number.
///
/// # Errors
/// There is no such state or none that can be changed; the file cannot be read; or a column or an entry does not fit. The entries before it have
/// been put in.
pub fn import(
    edit: &mut Edit<'_>,
    operator: &str,
    state: &str,
    file: impl AsRef<Path>,
) -> Result<u64, ParquetError> {
    let path = file.as_ref();
    let columns = columns(&edit.state(operator, state)?);
    let columns = columns.map_err(|misfit| ParquetError::column(path, misfit))?;
    reader::rows(path, &columns, |number, row| {
        let put = edit.put(operator, state, &entry(row)).map(drop);
        put.map_err(|cause| ParquetError::Entry { path: path.to_owned(), row: number, cause })
    })
}

/// The columns of the entries of a state.
fn columns(info: &StateInfo) -> Result<Column, Misfit> {
    // What the entries of timers have is not kept, but made when they are read: their names.
    let name = Schema { root: Type::option(Type::Text), definitions: Vec::new() };
    let value = if info.kind == StateKind::Timers { &name } else { &info.value };
    let parts = [("key", Some(&info.key.key)), ("part", info.key.part.as_ref()), ("value", Some(value))];
    let parts = parts.into_iter().filter_map(|(name, schema)| Some((name, schema?)));
    let columns = parts.map(|(name, schema)| {
        let column = Column::of(schema).map_err(|misfit| misfit.within(name))?;
        Ok((Name::from(name), column))
    });
    Ok(Column { wanted: "an entry".to_owned(), kind: Kind::Struct(columns.collect::<Result<_, Misfit>>()?) })
}

fn row(entry: Entry) -> Value {
    let mut parts = vec![("key".into(), entry.key)];
    parts.extend(entry.part.map(|part| ("part".into(), part)));
    parts.push(("value".into(), entry.value));
    Value::Struct(parts)
}

fn entry(mut row: Value) -> Entry {
    let mut part = |name| row.take(name);
    let (key, beside, value) = (part("key"), part("part"), part("value"));
    let there = "a row has the columns of an entry";
    Entry { key: key.expect(there), part: beside, value: value.expect(there) }
}
