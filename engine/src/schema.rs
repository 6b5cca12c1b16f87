//! What records and keys look like, as data: a [`Schema`] describes a type, a [`Value`] is one of its values without the type.
//!
//! Archived records can be read only by a program that has their types, built with the same layout of rkyv. A schema and the encoding that
//! goes with it are this crate's own. They are what savepoints are written in, so that a program with other types, or none, can read
//! them.
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::schema::Value;
//!
//! #[derive(Record)]
//! struct Click {
//!     user: u64,
//!     page: Option<String>,
//! }
//!
//! let schema = Click::schema();
//! assert_eq!(schema.to_string(), "Click { user: u64, page: Option<String> }");
//!
//! let value = Value::of(&Click { user: 7, page: None });
//! assert_eq!(value.get("user"), Some(&Value::from(7u64)));
//! assert_eq!(value.to_string(), "{ user: 7, page: None }");
//! let again: Click = value.into_record()?;
//! assert_eq!(again.user, 7);
//! # Ok::<(), millstream_engine::schema::Misfit>(())
//! ```

mod binary;
mod compare;
mod json;
mod keys;
mod members;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod value_json;

pub use binary::SchemaError;
pub use compare::{Change, Incompatible};
pub use keys::KeySchema;
pub use members::Members;
pub use types::{Definition, Member, Schema, Shape, Type, Types, Variant};
pub use value::{Misfit, Name, Value};

#[doc(hidden)]
pub use members::load;

pub(crate) use binary::{put_items, read_value};
