//! Values as bytes. `docs/formats/savepoint.md` draws the encoding.

use std::cell::Cell;

use super::types::{Member, Schema, Shape, Type};
use super::value::{Misfit, Name, Value};
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// How deep values may lie within each other. Only types that contain themselves come near it.
const DEPTH_MAX: usize = 256;

/// How many values may be read from so many bytes. Some take none; a damaged schema must not make them too many.
const VALUES_MIN: usize = 4096;
const VALUES_PER_BYTE: usize = 16;

/// Bytes that are no value of a schema, or a schema that describes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The bytes are no value of the schema.
    #[error("not a value of its schema: {0}")]
    Value(#[from] CodecError),
    /// The schema cannot be read.
    #[error("not a schema: {0}")]
    Schema(String),
}

/// Writes items one after the other. One that takes no bytes is written as a zero: so the number of items never exceeds that of bytes,
/// and whoever reads them need not trust it.
pub(crate) fn put_items<T>(
    out: &mut Writer,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Writer, T),
) {
    for item in items {
        let before = out.len();
        put(out, item);
        if out.len() == before {
            out.put_u8(0);
        }
    }
}

/// Reads a value off the beginning.
pub(crate) fn read_value(schema: &Schema, input: &mut Reader<'_>) -> Result<Value, CodecError> {
    let left = Cell::new(VALUES_MIN + VALUES_PER_BYTE * input.remaining());
    Decoder { schema, left }.value(&schema.root, input, 0)
}

struct Decoder<'s> {
    schema: &'s Schema,
    /// How many more values there may be.
    left: Cell<usize>,
}

impl Decoder<'_> {
    fn value(&self, ty: &Type, input: &mut Reader<'_>, depth: usize) -> Result<Value, CodecError> {
        if depth > DEPTH_MAX {
            return Err(input.error("value", format_args!("lies more than {DEPTH_MAX} levels deep")));
        }
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| input.error("value", "has more parts than its bytes can hold"))?);
        let depth = depth + 1;
        Ok(match ty {
            Type::Unit => Value::Unit,
            Type::Bool => Value::Bool(input.bool("bool")?),
            Type::Char => {
                let start = input.clone();
                let code = input.u32("char")?;
                Value::Char(char::from_u32(code).ok_or_else(|| start.error("char", code))?)
            }
            Type::Int { bits, signed } => int(*bits, *signed, input)?,
            Type::Float { bits: 32 } => Value::Float(f32::from_bits(input.u32("f32")?).into()),
            Type::Float { .. } => Value::Float(f64::from_bits(input.u64("f64")?)),
            Type::Text => Value::Text(input.str("text")?.to_owned()),
            Type::Option(of) => Value::Option(match input.bool("option")? {
                true => Some(Box::new(self.value(of, input, depth)?)),
                false => None,
            }),
            Type::Array(of, len) => Value::List(self.items(of, *len, input, depth)?),
            Type::List(of) | Type::Set(of) => {
                let len = input.count("items", 1)? as u64;
                Value::List(self.items(of, len, input, depth)?)
            }
            Type::Map(key, of) => Value::Map(input.list("entries", 1, |input| {
                self.item(input, |input| Ok((self.value(key, input, depth)?, self.value(of, input, depth)?)))
            })?),
            Type::Tuple(of) => {
                let items = of.iter().map(|ty| self.value(ty, input, depth));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Type::Named(number) => self.named(*number, input, depth)?,
            Type::Opaque { .. } => Value::Opaque(input.bytes("archived bytes")?.to_vec()),
        })
    }

    fn named(&self, number: u32, input: &mut Reader<'_>, depth: usize) -> Result<Value, CodecError> {
        let definition = self.schema.definition(number);
        let definition = definition.ok_or_else(|| input.error("type", "the schema does not define it"))?;
        match &definition.shape {
            Shape::Struct(members) => Ok(Value::Struct(self.members(members, input, depth)?)),
            Shape::Enum(variants) => {
                let start = input.clone();
                let place = input.u16("variant")?;
                let variant =
                    variants.get(usize::from(place)).ok_or_else(|| start.error("variant", place))?;
                let members = self.members(&variant.members, input, depth)?;
                Ok(Value::Variant(variant.name.clone(), members))
            }
        }
    }

    fn members(
        &self,
        members: &[Member],
        input: &mut Reader<'_>,
        depth: usize,
    ) -> Result<Vec<(Name, Value)>, CodecError> {
        let each = |member: &Member| Ok((member.name.clone(), self.value(&member.ty, input, depth)?));
        members.iter().map(each).collect()
    }

    fn items(
        &self,
        of: &Type,
        len: u64,
        input: &mut Reader<'_>,
        depth: usize,
    ) -> Result<Vec<Value>, CodecError> {
        if len > input.remaining() as u64 {
            return Err(input.error("items", format_args!("{len} cannot be there")));
        }
        (0..len).map(|_| self.item(input, |input| self.value(of, input, depth))).collect()
    }

    /// Reads what [`put_items`] wrote for one item.
    fn item<T>(
        &self,
        input: &mut Reader<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        let before = input.offset();
        let item = read(input)?;
        if input.offset() == before {
            input.u8("item")?;
        }
        Ok(item)
    }
}

fn int(bits: u8, signed: bool, input: &mut Reader<'_>) -> Result<Value, CodecError> {
    Ok(match (signed, bits) {
        (false, 8) => input.u8("u8")?.into(),
        (false, 16) => input.u16("u16")?.into(),
        (false, 32) => input.u32("u32")?.into(),
        (false, 64) => input.u64("u64")?.into(),
        (false, _) => u128::from_le_bytes(input.array("u128")?).into(),
        (true, 8) => i8::from_le_bytes(input.array("i8")?).into(),
        (true, 16) => i16::from_le_bytes(input.array("i16")?).into(),
        (true, 32) => i32::from_le_bytes(input.array("i32")?).into(),
        (true, 64) => input.i64("i64")?.into(),
        (true, _) => i128::from_le_bytes(input.array("i128")?).into(),
    })
}

/// Writes a value of a schema.
pub(crate) fn write_value(schema: &Schema, value: &Value, out: &mut Writer) -> Result<(), Misfit> {
    Encoder { schema }.value(&schema.root, value, out, 0)
}

struct Encoder<'s> {
    schema: &'s Schema,
}

impl Encoder<'_> {
    fn value(&self, ty: &Type, value: &Value, out: &mut Writer, depth: usize) -> Result<(), Misfit> {
        if depth > DEPTH_MAX {
            return Err(Misfit::new(format!("it lies more than {DEPTH_MAX} levels deep")));
        }
        let depth = depth + 1;
        match (ty, value) {
            (Type::Unit, Value::Unit) => {}
            (Type::Bool, Value::Bool(value)) => {
                out.put_bool(*value);
            }
            (Type::Char, Value::Char(value)) => {
                out.put_u32(u32::from(*value));
            }
            (Type::Int { bits, signed }, Value::Unsigned(_) | Value::Signed(_)) => {
                return put_int(*bits, *signed, value, out);
            }
            (Type::Float { bits: 32 }, Value::Float(value)) => {
                out.put_u32((*value as f32).to_bits());
            }
            (Type::Float { .. }, Value::Float(value)) => {
                out.put_u64(value.to_bits());
            }
            (Type::Text, Value::Text(text)) => {
                out.put_str(text);
            }
            (Type::Option(of), Value::Option(value)) => {
                out.put_bool(value.is_some());
                if let Some(value) = value {
                    self.value(of, value, out, depth)?;
                }
            }
            (Type::Array(of, len), Value::List(items)) if items.len() as u64 == *len => {
                self.items(items, out, |item, out| self.value(of, item, out, depth))?;
            }
            (Type::List(of) | Type::Set(of), Value::List(items)) => {
                out.put_u64(items.len() as u64);
                self.items(items, out, |item, out| self.value(of, item, out, depth))?;
            }
            (Type::Map(key, of), Value::Map(entries)) => {
                out.put_u64(entries.len() as u64);
                self.items(entries, out, |(a, b), out| {
                    self.value(key, a, out, depth)?;
                    self.value(of, b, out, depth)
                })?;
            }
            (Type::Tuple(of), Value::List(items)) if items.len() == of.len() => {
                for (ty, item) in of.iter().zip(items) {
                    self.value(ty, item, out, depth)?;
                }
            }
            (Type::Named(number), value) => self.named(*number, value, out, depth)?,
            (Type::Opaque { .. }, Value::Opaque(bytes)) => {
                out.put_bytes(bytes);
            }
            _ => return Err(Misfit::found(value, format_args!("a {}", self.schema.show(ty)))),
        }
        Ok(())
    }

    fn named(&self, number: u32, value: &Value, out: &mut Writer, depth: usize) -> Result<(), Misfit> {
        let definition = self.schema.definition(number);
        let definition = definition.ok_or_else(|| Misfit::new("the schema does not define its type"))?;
        match (&definition.shape, value) {
            (Shape::Struct(members), Value::Struct(given)) => self.members(members, given, out, depth),
            (Shape::Enum(variants), Value::Variant(name, given)) => {
                let place = variants.iter().position(|variant| variant.name == *name);
                let place = place
                    .ok_or_else(|| Misfit::new(format!("`{}` has no variant `{name}`", definition.name)))?;
                out.put_u16(place as u16);
                self.members(&variants[place].members, given, out, depth)
            }
            _ => Err(Misfit::found(value, format_args!("a `{}`", definition.name))),
        }
    }

    fn members(
        &self,
        members: &[Member],
        given: &[(Name, Value)],
        out: &mut Writer,
        depth: usize,
    ) -> Result<(), Misfit> {
        if let Some((stranger, _)) =
            given.iter().find(|(name, _)| members.iter().all(|member| member.name != *name))
        {
            return Err(Misfit::new("the type has no such field").within(stranger));
        }
        for member in members {
            let value = given.iter().find(|(name, _)| *name == member.name).map(|(_, value)| value);
            let value = value.ok_or_else(|| Misfit::new("it is missing").within(&member.name))?;
            self.value(&member.ty, value, out, depth).map_err(|misfit| misfit.within(&member.name))?;
        }
        Ok(())
    }

    fn items<T>(
        &self,
        items: &[T],
        out: &mut Writer,
        put: impl Fn(&T, &mut Writer) -> Result<(), Misfit>,
    ) -> Result<(), Misfit> {
        let mut result = Ok(());
        put_items(out, items, |out, item| {
            if result.is_ok() {
                result = put(item, out);
            }
        });
        result
    }
}

fn put_int(bits: u8, signed: bool, value: &Value, out: &mut Writer) -> Result<(), Misfit> {
    let too_large = || Misfit::found(value, format_args!("{}{bits}", if signed { 'i' } else { 'u' }));
    let bytes = usize::from(bits / 8);
    let wide = if signed {
        let number = match value {
            Value::Signed(number) => *number,
            Value::Unsigned(number) => i128::try_from(*number).map_err(|_| too_large())?,
            _ => return Err(too_large()),
        };
        if bits < 128 && (number >= 1 << (bits - 1) || number < -(1 << (bits - 1))) {
            return Err(too_large());
        }
        number.to_le_bytes()
    } else {
        let number = match value {
            Value::Unsigned(number) => *number,
            Value::Signed(number) => u128::try_from(*number).map_err(|_| too_large())?,
            _ => return Err(too_large()),
        };
        if bits < 128 && number >= 1 << bits {
            return Err(too_large());
        }
        number.to_le_bytes()
    };
    out.put_raw(&wide[..bytes]);
    Ok(())
}
