//! Values become arrays, column by column.

use std::sync::Arc;

use arrow_array::builder::PrimitiveBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal256Array, Float32Array, Float64Array, ListArray, MapArray,
    StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, i256};
use arrow_schema::{ArrowError, DataType, Field};
use millstream_engine::schema::{Misfit, Name, Value};

use super::column::{self, Column, Columns, Kind, SOME};

/// The array of some values. There is none where something around the value is null.
///
/// # Errors
/// A value is of another type.
pub(super) fn array(column: &Column, values: &[Option<&Value>]) -> Result<ArrayRef, Misfit> {
    Ok(match &column.kind {
        Kind::Nothing(only) => {
            Arc::new(BooleanArray::from(each(column, values, |value| (value == only).then_some(true))?))
        }
        Kind::Bool => Arc::new(BooleanArray::from(each(column, values, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })?)),
        Kind::Char => Arc::new(StringArray::from(each(column, values, |value| match value {
            Value::Char(value) => Some(value.to_string()),
            _ => None,
        })?)),
        Kind::Int { bits, signed } => integers(column, (*bits, *signed), values)?,
        Kind::Float => Arc::new(Float64Array::from(each(column, values, float)?)),
        Kind::SmallFloat => {
            let small = |value: &Value| float(value).map(|number| number as f32);
            Arc::new(Float32Array::from(each(column, values, small)?))
        }
        Kind::Text => Arc::new(StringArray::from(each(column, values, Value::as_str)?)),
        Kind::Names(names) => Arc::new(StringArray::from(each(column, values, |value| match value {
            Value::Variant(name, _) => names.contains(name).then_some(&**name),
            _ => None,
        })?)),
        Kind::Json(_) => {
            Arc::new(StringArray::from(each(column, values, |value| Some(value.to_json().to_string()))?))
        }
        Kind::Bytes(len) => {
            let all = each(column, values, |value| bytes(value).filter(|bytes| is_of(bytes.len(), *len)))?;
            Arc::new(all.into_iter().collect::<BinaryArray>())
        }
        Kind::Archived => Arc::new(BinaryArray::from(each(column, values, |value| match value {
            Value::Opaque(bytes) => Some(&**bytes),
            _ => None,
        })?)),
        Kind::Option(of) => {
            let within = each(column, values, |value| match value {
                Value::Option(value) => Some(value.as_deref()),
                _ => None,
            })?;
            let within: Vec<Option<&Value>> = within.into_iter().map(Option::flatten).collect();
            array(of, &within)?
        }
        Kind::Boxed(of) => group(values, [(of.field(SOME), array(of, values)?)])?,
        Kind::List(of, len) => {
            let lists = each(column, values, |value| value.items().filter(|items| is_of(items.len(), *len)))?;
            let offsets = offsets(&lists);
            let items: Vec<Option<&Value>> = lists.into_iter().flatten().flatten().map(Some).collect();
            let (element, items) = (Arc::new(column::element(of)), array(of, &items)?);
            Arc::new(ListArray::try_new(element, offsets, items, nulls(values)).map_err(unfit)?)
        }
        Kind::Map(key, value) => {
            let maps = each(column, values, |value| match value {
                Value::Map(entries) => Some(&**entries),
                _ => None,
            })?;
            let offsets = offsets(&maps);
            let entries = maps.into_iter().flatten().flatten();
            let (keys, held): (Vec<_>, Vec<_>) = entries.map(|(key, held)| (Some(key), Some(held))).unzip();
            let parts = vec![array(key, &keys)?, array(value, &held)?];
            let field = Arc::new(column::map_entries(key, value));
            let DataType::Struct(fields) = field.data_type().clone() else {
                unreachable!("the entries of a map are structs")
            };
            let entries = StructArray::try_new(fields, parts, None).map_err(unfit)?;
            Arc::new(MapArray::try_new(field, offsets, entries, nulls(values), false).map_err(unfit)?)
        }
        Kind::Tuple(of) => {
            let tuples = each(column, values, |value| value.items().filter(|items| items.len() == of.len()))?;
            let parts = column::numbered(of).enumerate().map(|(place, (name, of))| {
                let part: Vec<_> = tuples.iter().map(|items| items.map(|items| &items[place])).collect();
                Ok((of.field(&name), array(of, &part).map_err(|misfit| misfit.within(&name))?))
            });
            group(values, parts.collect::<Result<Vec<_>, Misfit>>()?)?
        }
        Kind::Struct(of) => {
            let structs = each(column, values, |value| match value {
                Value::Struct(members) => Some(&**members),
                _ => None,
            })?;
            members(of, &structs, values)?
        }
        Kind::Enum { tag, variants } => {
            let names = each(column, values, |value| match value {
                Value::Variant(name, _) => variants.iter().any(|(known, _)| known == name).then_some(&**name),
                _ => None,
            })?;
            let tag = Field::new(&**tag, DataType::Utf8, false);
            let mut parts: Vec<(Field, ArrayRef)> = vec![(tag, Arc::new(StringArray::from(names)))];
            for (name, of) in column::with_fields(variants) {
                let those = values.iter().map(|value| value.filter(|value| is_variant(value, name)));
                let those: Vec<Option<&Value>> = those.collect();
                let given = each(column, &those, |value| match value {
                    Value::Variant(_, members) => Some(&**members),
                    _ => None,
                })?;
                let array = members(of, &given, &those).map_err(|misfit| misfit.within(name))?;
                parts.push((column::variant(name, of), array));
            }
            group(values, parts)?
        }
    })
}

/// What `get` finds in the values. One in which it finds nothing is of another type.
fn each<'v, T>(
    column: &Column,
    values: &[Option<&'v Value>],
    get: impl Fn(&'v Value) -> Option<T>,
) -> Result<Vec<Option<T>>, Misfit> {
    let found = values.iter().map(|value| match value {
        None => Ok(None),
        Some(value) => match get(value) {
            Some(found) => Ok(Some(found)),
            None => Err(Misfit::found(value, &column.wanted)),
        },
    });
    found.collect()
}

fn integers(
    column: &Column,
    (bits, signed): (u8, bool),
    values: &[Option<&Value>],
) -> Result<ArrayRef, Misfit> {
    match (bits, signed) {
        (8, true) => primitives::<Int8Type>(column, values),
        (16, true) => primitives::<Int16Type>(column, values),
        (32, true) => primitives::<Int32Type>(column, values),
        (64, true) => primitives::<Int64Type>(column, values),
        (8, false) => primitives::<UInt8Type>(column, values),
        (16, false) => primitives::<UInt16Type>(column, values),
        (32, false) => primitives::<UInt32Type>(column, values),
        (64, false) => primitives::<UInt64Type>(column, values),
        _ => {
            let wide = |value: &Value| match value {
                Value::Unsigned(number) => Some(i256::from_parts(*number, 0)),
                Value::Signed(number) => Some(i256::from_i128(*number)),
                _ => None,
            };
            let numbers = Decimal256Array::from(each(column, values, wide)?);
            Ok(Arc::new(numbers.with_data_type(column.data_type())))
        }
    }
}

fn primitives<T>(column: &Column, values: &[Option<&Value>]) -> Result<ArrayRef, Misfit>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<u128> + TryFrom<i128>,
{
    let numbers = each(column, values, |value| match value {
        Value::Unsigned(number) => T::Native::try_from(*number).ok(),
        Value::Signed(number) => T::Native::try_from(*number).ok(),
        _ => None,
    })?;
    let mut array = PrimitiveBuilder::<T>::with_capacity(numbers.len());
    numbers.into_iter().for_each(|number| array.append_option(number));
    Ok(Arc::new(array.finish()))
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
    value.items()?.iter().map(byte).collect()
}

/// Whether there are as many as there have to be.
fn is_of(len: usize, wanted: Option<u64>) -> bool {
    wanted.is_none_or(|wanted| len as u64 == wanted)
}

fn is_variant(value: &Value, name: &Name) -> bool {
    matches!(value, Value::Variant(of, _) if of == name)
}

/// The structs of some fields.
fn members(
    columns: &Columns,
    given: &[Option<&[(Name, Value)]>],
    values: &[Option<&Value>],
) -> Result<ArrayRef, Misfit> {
    let parts = columns.iter().map(|(name, of)| {
        let part = given.iter().map(|members| members.map(|members| member(members, name)).transpose());
        let part = part.collect::<Result<Vec<_>, _>>().and_then(|part| array(of, &part));
        Ok((of.field(name), part.map_err(|misfit| misfit.within(name))?))
    });
    group(values, parts.collect::<Result<Vec<_>, Misfit>>()?)
}

fn member<'v>(members: &'v [(Name, Value)], name: &Name) -> Result<&'v Value, Misfit> {
    let member = members.iter().find(|(known, _)| known == name);
    member.map(|(_, value)| value).ok_or_else(|| Misfit::new("it is missing"))
}

/// Structs of these parts, null where there is no value.
fn group(
    values: &[Option<&Value>],
    parts: impl IntoIterator<Item = (Field, ArrayRef)>,
) -> Result<ArrayRef, Misfit> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = parts.into_iter().unzip();
    Ok(Arc::new(StructArray::try_new(fields.into(), arrays, nulls(values)).map_err(unfit)?))
}

/// Where there is no value, if there is such a place.
fn nulls(values: &[Option<&Value>]) -> Option<NullBuffer> {
    let nulls: NullBuffer = values.iter().map(Option::is_some).collect();
    (nulls.null_count() > 0).then_some(nulls)
}

/// Where lists begin and end among the items of all of them.
fn offsets<T>(lists: &[Option<&[T]>]) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, <[T]>::len)))
}

fn unfit(error: ArrowError) -> Misfit {
    Misfit::new(error.to_string())
}
