//! Values without their types.

use std::fmt::{self, Formatter, Write};
use std::sync::Arc;

use super::binary::{self, SchemaError};
use super::types::Schema;
use crate::checkpoint::codec::{Reader, Writer};
use crate::record::{Record, RecordBuf};

/// The name of a type, field or variant.
pub type Name = Arc<str>;

/// A value of any type that a [`Schema`] describes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `()`.
    Unit,
    /// A truth value.
    Bool(bool),
    /// A character.
    Char(char),
    /// An integer without a sign.
    Unsigned(u128),
    /// An integer with a sign.
    Signed(i128),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// A value, or none.
    Option(Option<Box<Value>>),
    /// The items of an array, `Vec`, set or tuple, in order.
    List(Vec<Value>),
    /// The entries of a map.
    Map(Vec<(Value, Value)>),
    /// The fields of a struct, in order.
    Struct(Vec<(Name, Value)>),
    /// A variant of an enum: its name and its fields.
    Variant(Name, Vec<(Name, Value)>),
    /// The archived bytes of a type that does not describe itself.
    Opaque(Vec<u8>),
}

/// A value that does not fit a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(path))]
pub struct Misfit {
    /// The fields on the way to it, joined by dots; empty for the whole value.
    pub path: String,
    /// What does not fit.
    pub problem: String,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("field `{path}`: ") }
}

impl Misfit {
    /// A value where `wanted` was expected.
    pub fn found(value: &Value, wanted: impl fmt::Display) -> Misfit {
        Misfit { path: String::new(), problem: format!("{} where {wanted} is wanted", value.kind()) }
    }

    /// Something else is wrong.
    pub fn new(problem: impl Into<String>) -> Misfit {
        Misfit { path: String::new(), problem: problem.into() }
    }

    /// The same, of a value that is the field `name` of another one.
    pub fn within(mut self, name: &str) -> Misfit {
        let inner = std::mem::take(&mut self.path);
        self.path = if inner.is_empty() { name.to_owned() } else { format!("{name}.{inner}") };
        self
    }
}

impl Value {
    /// A record as a value.
    ///
    /// # Panics
    /// Where a record contains itself more than 256 levels deep.
    pub fn of<T: Record>(record: &T) -> Value {
        let mut archived = RecordBuf::new();
        record.encode(&mut archived);
        let mut out = Writer::new();
        let view = T::view(&archived).expect("what was just archived is a record");
        T::save_record(view, &mut out);
        let value = binary::read_value(&T::schema(), &mut Reader::new(out.bytes()));
        value.expect("what a record writes is of its schema")
    }

    /// The record that a value stands for.
    ///
    /// # Errors
    /// It does not fit the type.
    pub fn into_record<T: Record>(self) -> Result<T, Misfit> {
        T::load_record(self)
    }

    /// The field of this name of a struct or variant.
    pub fn get(&self, field: &str) -> Option<&Value> {
        match self {
            Value::Struct(members) | Value::Variant(_, members) => {
                members.iter().find(|(name, _)| &**name == field).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Puts a value into the field of this name of a struct or variant, which gets the field where it has none. Other values stay as they
    /// are.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) {
        let (Value::Struct(members) | Value::Variant(_, members)) = self else { return };
        match members.iter_mut().find(|(name, _)| &**name == field) {
            Some((_, old)) => *old = value.into(),
            None => members.push((field.into(), value.into())),
        }
    }

    /// Takes the field of this name out of a struct or variant.
    pub fn take(&mut self, field: &str) -> Option<Value> {
        let (Value::Struct(members) | Value::Variant(_, members)) = self else { return None };
        let place = members.iter().position(|(name, _)| &**name == field)?;
        Some(members.remove(place).1)
    }

    /// A whole number, where it is one that an `i64` holds.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Unsigned(number) => i64::try_from(*number).ok(),
            Value::Signed(number) => i64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A whole number, where it is one that a `u64` holds.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(number) => u64::try_from(*number).ok(),
            Value::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A number, as near as an `f64` comes to it.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Unsigned(number) => Some(*number as f64),
            Value::Signed(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array, `Vec`, set or tuple.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Reads a value of this schema in the portable encoding (`docs/formats/savepoint.md`).
    ///
    /// # Errors
    /// The bytes are no such value.
    pub fn decode(schema: &Schema, bytes: &[u8]) -> Result<Value, SchemaError> {
        let mut input = Reader::new(bytes);
        let value = binary::read_value(schema, &mut input)?;
        input.finish()?;
        Ok(value)
    }

    /// The portable encoding of a value of this schema.
    ///
    /// # Errors
    /// The value is of another one.
    pub fn encode(&self, schema: &Schema) -> Result<Vec<u8>, Misfit> {
        let mut out = Writer::new();
        binary::write_value(schema, self, &mut out)?;
        Ok(out.into_bytes())
    }

    /// What it is, for errors.
    fn kind(&self) -> String {
        match self {
            Value::Unit => "()".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Char(_) => "a character".to_owned(),
            Value::Unsigned(number) => format!("the number {number}"),
            Value::Signed(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            Value::Text(_) => "a text".to_owned(),
            Value::Option(None) => "None".to_owned(),
            Value::Option(Some(_)) => "an Option".to_owned(),
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Map(_) => "a map".to_owned(),
            Value::Struct(_) => "a struct".to_owned(),
            Value::Variant(name, _) => format!("the variant `{name}`"),
            Value::Opaque(_) => "archived bytes".to_owned(),
        }
    }
}

macro_rules! from_numbers {
    ($($number:ty => $kind:ident as $wide:ty),*) => {$(
        impl From<$number> for Value {
            fn from(number: $number) -> Value {
                Value::$kind(<$wide>::from(number))
            }
        }
    )*};
}

from_numbers! {
    u8 => Unsigned as u128, u16 => Unsigned as u128, u32 => Unsigned as u128, u64 => Unsigned as u128, u128 => Unsigned as u128,
    i8 => Signed as i128, i16 => Signed as i128, i32 => Signed as i128, i64 => Signed as i128, i128 => Signed as i128,
    f32 => Float as f64, f64 => Float as f64, bool => Bool as bool, char => Char as char
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        Value::Option(value.map(|value| Box::new(value.into())))
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

/// As Rust writes it, without the names of structs.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unit => f.write_str("()"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Char(value) => write!(f, "{value:?}"),
            Value::Unsigned(number) => write!(f, "{number}"),
            Value::Signed(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Option(None) => f.write_str("None"),
            Value::Option(Some(value)) => write!(f, "Some({value})"),
            Value::List(items) => {
                f.write_char('[')?;
                for (nth, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", comma(nth))?;
                }
                f.write_char(']')
            }
            Value::Map(entries) => {
                f.write_char('{')?;
                for (nth, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", comma(nth))?;
                }
                f.write_char('}')
            }
            Value::Struct(members) => show_members(members, f),
            Value::Variant(name, members) => {
                f.write_str(name)?;
                if members.is_empty() {
                    return Ok(());
                }
                f.write_char(' ')?;
                show_members(members, f)
            }
            Value::Opaque(bytes) => write!(f, "<{} archived bytes>", bytes.len()),
        }
    }
}

fn comma(nth: usize) -> &'static str {
    if nth == 0 { "" } else { ", " }
}

fn show_members(members: &[(Name, Value)], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("{ ")?;
    for (nth, (name, value)) in members.iter().enumerate() {
        write!(f, "{}{name}: {value}", comma(nth))?;
    }
    f.write_str(" }")
}
