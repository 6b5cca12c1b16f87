//! Keys without their types: what their canonical encoding stands for (the table is in [`crate::key`]).

use super::types::{Schema, Shape, Type};
use super::value::{Misfit, Value};
use crate::checkpoint::codec::{CodecError, Reader, Writer};
use crate::element::KeyHash;
use crate::key::{HashSeed, hash_encoding, hash_sub_key, word_of};

/// What the keys of a state look like: a key of the stream, and with it perhaps something more, such as the key of a map's entry or the
/// number of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// The key of the stream.
    pub key: Schema,
    /// What an entry has beside it.
    pub part: Option<Schema>,
}

/// A key as it lies in a table, and its hash.
pub(crate) type StoredKey = (KeyHash, Vec<u8>);

impl KeySchema {
    /// The key of the stream and what is beside it.
    pub(crate) fn decode(
        &self,
        hash: KeyHash,
        stored: &[u8],
        seed: HashSeed,
    ) -> Result<(Value, Option<Value>), CodecError> {
        let Some(part) = &self.part else { return Ok((decode(&self.key, hash, stored, seed)?, None)) };
        let mut input = Reader::new(stored);
        let part = take(part, &part.root, &mut input)?;
        let hash = KeyHash(input.u64("hash of a key")?);
        let key = input.raw("key", input.remaining())?;
        Ok((decode(&self.key, hash, key, seed)?, Some(part)))
    }

    /// How a key lies in a table.
    pub(crate) fn encode(
        &self,
        key: &Value,
        part: Option<&Value>,
        seed: HashSeed,
    ) -> Result<StoredKey, Misfit> {
        let (hash, bytes) = encode(&self.key, key, seed)?;
        let (schema, part) = match (&self.part, part) {
            (None, None) => return Ok((hash, bytes)),
            (Some(schema), Some(part)) => (schema, part),
            (Some(_), None) => return Err(Misfit::new("there is something beside the key in this state")),
            (None, Some(_)) => return Err(Misfit::new("there is nothing beside the key in this state")),
        };
        let mut out = Writer::new();
        put(schema, &schema.root, part, &mut out)?;
        let sub_hash = hash_sub_key(hash, out.bytes());
        out.put_u64(hash.0).put_raw(&bytes);
        Ok((sub_hash, out.into_bytes()))
    }
}

/// The key whose hash and bytes lie in a table.
fn decode(schema: &Schema, hash: KeyHash, stored: &[u8], seed: HashSeed) -> Result<Value, CodecError> {
    let word;
    let bytes = match width(schema, &schema.root) {
        Some(width) if width <= 8 => {
            word = word_of(hash, seed);
            &word[..width]
        }
        _ => stored,
    };
    let mut input = Reader::new(bytes);
    let key = match &schema.root {
        Type::Text => {
            let bytes = input.raw("key", bytes.len())?;
            let text = std::str::from_utf8(bytes);
            Value::Text(text.map_err(|error| Reader::new(bytes).error("key", error))?.to_owned())
        }
        Type::List(_) => Value::List(bytes.iter().map(|byte| Value::from(*byte)).collect()),
        ty => take(schema, ty, &mut input)?,
    };
    if !matches!(schema.root, Type::List(_)) {
        input.finish()?;
    }
    Ok(key)
}

/// Hash and bytes of a key as they lie in a table.
fn encode(schema: &Schema, key: &Value, seed: HashSeed) -> Result<StoredKey, Misfit> {
    let mut out = Writer::new();
    match (&schema.root, key) {
        (Type::Text, Value::Text(text)) => {
            out.put_raw(text.as_bytes());
        }
        (Type::List(_), Value::List(bytes)) => {
            for byte in bytes {
                out.put_u8(byte_of(byte)?);
            }
        }
        (ty, key) => put(schema, ty, key, &mut out)?,
    }
    let in_hash = width(schema, &schema.root).is_some_and(|width| width <= 8);
    let hash = hash_encoding(out.bytes(), in_hash, seed);
    Ok((hash, if in_hash { Vec::new() } else { out.into_bytes() }))
}

/// The width of encodings of a type, where it is the same for all keys.
fn width(schema: &Schema, ty: &Type) -> Option<usize> {
    width_within(schema, ty, 0)
}

fn width_within(schema: &Schema, ty: &Type, depth: usize) -> Option<usize> {
    // A key does not contain itself; a damaged schema may say so.
    if depth > 64 {
        return None;
    }
    let of = |ty| width_within(schema, ty, depth + 1);
    match ty {
        Type::Unit => Some(0),
        Type::Bool => Some(1),
        Type::Char => Some(4),
        Type::Int { bits, .. } => Some(usize::from(bits / 8)),
        Type::Option(inner) => Some(1 + of(inner)?),
        Type::Array(_, len) => usize::try_from(*len).ok(),
        Type::Tuple(parts) => parts.iter().map(of).sum(),
        Type::Named(number) => match &schema.definition(*number)?.shape {
            Shape::Struct(members) => members.iter().map(|member| of(&member.ty)).sum(),
            Shape::Enum(_) => Some(4),
        },
        _ => None,
    }
}

/// Reads a key off the beginning, in the form that others can follow.
fn take(schema: &Schema, ty: &Type, input: &mut Reader<'_>) -> Result<Value, CodecError> {
    take_within(schema, ty, input, 0)
}

fn take_within(
    schema: &Schema,
    ty: &Type,
    input: &mut Reader<'_>,
    depth: usize,
) -> Result<Value, CodecError> {
    if depth > 64 {
        return Err(input.error("key", "its type contains itself"));
    }
    let depth = depth + 1;
    Ok(match ty {
        Type::Unit => Value::Unit,
        Type::Bool => Value::Bool(input.bool("key")?),
        Type::Char => {
            let code = input.u32("key")?;
            Value::Char(char::from_u32(code).ok_or_else(|| input.error("key", code))?)
        }
        Type::Int { bits, signed } => {
            let mut wide = [0; 16];
            let bytes = input.raw("key", usize::from(bits / 8))?;
            wide[..bytes.len()].copy_from_slice(bytes);
            match *signed {
                false => Value::Unsigned(u128::from_le_bytes(wide)),
                true => {
                    let unused = 128 - u32::from(*bits);
                    Value::Signed((i128::from_le_bytes(wide) << unused) >> unused)
                }
            }
        }
        Type::Text => {
            let bytes = with_length(input)?;
            let text = std::str::from_utf8(bytes).map_err(|error| input.error("key", error))?;
            Value::Text(text.to_owned())
        }
        Type::List(_) => Value::List(with_length(input)?.iter().map(|byte| Value::from(*byte)).collect()),
        Type::Array(_, len) => {
            let len = usize::try_from(*len).map_err(|error| input.error("key", error))?;
            Value::List(input.raw("key", len)?.iter().map(|byte| Value::from(*byte)).collect())
        }
        Type::Option(of) => match input.bool("key")? {
            true => Value::Option(Some(Box::new(take_within(schema, of, input, depth)?))),
            false => {
                input.raw("key", width(schema, of).unwrap_or(0))?;
                Value::Option(None)
            }
        },
        Type::Tuple(of) => {
            let items = of.iter().map(|ty| take_within(schema, ty, input, depth));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Type::Named(number) => match schema.definition(*number).map(|definition| &definition.shape) {
            Some(Shape::Struct(members)) => {
                let mut values = Vec::with_capacity(members.len());
                for member in members {
                    values.push((member.name.clone(), take_within(schema, &member.ty, input, depth)?));
                }
                Value::Struct(values)
            }
            Some(Shape::Enum(variants)) => {
                let number = i32::from_le_bytes(input.array("key")?);
                let variant = variants.iter().find(|variant| variant.number == i64::from(number));
                let variant = variant.ok_or_else(|| input.error("key", number))?;
                Value::Variant(variant.name.clone(), Vec::new())
            }
            None => return Err(input.error("key", "the schema does not define its type")),
        },
        Type::Float { .. } | Type::Set(_) | Type::Map(..) | Type::Opaque { .. } => {
            return Err(input.error("key", "its type is none that keys have"));
        }
    })
}

fn with_length<'a>(input: &mut Reader<'a>) -> Result<&'a [u8], CodecError> {
    let len = input.u32("length of a key")?;
    input.raw("key", len as usize)
}

/// Writes a key in the form that others can follow.
fn put(schema: &Schema, ty: &Type, key: &Value, out: &mut Writer) -> Result<(), Misfit> {
    let length = |len: usize| u32::try_from(len).map_err(|_| Misfit::new("a key is shorter than 4 GiB"));
    match (ty, key) {
        (Type::Text, Value::Text(text)) => {
            out.put_u32(length(text.len())?).put_raw(text.as_bytes());
        }
        (Type::List(_), Value::List(bytes)) => {
            out.put_u32(length(bytes.len())?);
            for byte in bytes {
                out.put_u8(byte_of(byte)?);
            }
        }
        (Type::Array(_, len), Value::List(bytes)) if bytes.len() as u64 == *len => {
            for byte in bytes {
                out.put_u8(byte_of(byte)?);
            }
        }
        (Type::Option(of), Value::Option(key)) => {
            out.put_bool(key.is_some());
            match key {
                Some(key) => put(schema, of, key, out)?,
                None => {
                    out.put_raw(&vec![0; width(schema, of).unwrap_or(0)]);
                }
            }
        }
        (Type::Tuple(of), Value::List(items)) if of.len() == items.len() => {
            for (ty, item) in of.iter().zip(items) {
                put(schema, ty, item, out)?;
            }
        }
        (Type::Named(number), key) => {
            let definition = schema.definition(*number);
            let definition = definition.ok_or_else(|| Misfit::new("the schema does not define its type"))?;
            match (&definition.shape, key) {
                (Shape::Struct(members), Value::Struct(_)) => {
                    for member in members {
                        let value = key.get(&member.name);
                        let value = value.ok_or_else(|| Misfit::new("it is missing").within(&member.name))?;
                        put(schema, &member.ty, value, out).map_err(|misfit| misfit.within(&member.name))?;
                    }
                }
                (Shape::Enum(variants), Value::Variant(name, _)) => {
                    let variant = variants.iter().find(|variant| variant.name == *name);
                    let variant = variant.ok_or_else(|| Misfit::new(format!("no variant `{name}`")))?;
                    out.put_u32(variant.number as u32);
                }
                _ => return Err(Misfit::found(key, format_args!("a `{}`", definition.name))),
            }
        }
        (Type::Unit | Type::Bool | Type::Char | Type::Int { .. }, key) => {
            let alone = Schema { root: ty.clone(), definitions: Vec::new() };
            super::binary::write_value(&alone, key, out)?;
        }
        _ => return Err(Misfit::found(key, format_args!("a {}", schema.show(ty)))),
    }
    Ok(())
}

fn byte_of(value: &Value) -> Result<u8, Misfit> {
    let byte = value.as_u64().and_then(|number| u8::try_from(number).ok());
    byte.ok_or_else(|| Misfit::found(value, "a byte"))
}
