//! Arrays become values: a column is held against its type once, and then gives the value of any row.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, StringArray, StructArray,
};
use arrow_schema::DataType;
use millstream_engine::schema::{Misfit, Name, Value};

use super::column::{self, Column, Columns, Kind, SOME};

/// The value of a row.
pub(super) type Cell = Box<dyn Fn(usize) -> Result<Value, Misfit>>;

/// The fields of a row.
type Row = Box<dyn Fn(usize) -> Result<Vec<(Name, Value)>, Misfit>>;

/// What gives the values of an array.
///
/// # Errors
/// The array is of another type.
pub(super) fn cells(column: &Column, array: &ArrayRef) -> Result<Cell, Misfit> {
    let nulls = array.logical_nulls();
    let is_null = move |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    if let Kind::Option(of) = &column.kind {
        if *array.data_type() == DataType::Null {
            return Ok(Box::new(|_| Ok(Value::Option(None))));
        }
        let within = present(of, array)?;
        return Ok(Box::new(move |row| match is_null(row) {
            true => Ok(Value::Option(None)),
            false => Ok(Value::Option(Some(Box::new(within(row)?)))),
        }));
    }
    let (value, wanted) = (present(column, array)?, column.wanted.clone());
    Ok(Box::new(move |row| match is_null(row) {
        true => Err(Misfit::new(format!("null where {wanted} is wanted"))),
        false => value(row),
    }))
}

/// What gives the values that are not null.
fn present(column: &Column, array: &ArrayRef) -> Result<Cell, Misfit> {
    let wanted = column.wanted.clone();
    Ok(match &column.kind {
        Kind::Nothing(only) => {
            typed::<BooleanArray>(column, array)?;
            let only = only.clone();
            Box::new(move |_| Ok(only.clone()))
        }
        Kind::Bool => {
            let array = typed::<BooleanArray>(column, array)?;
            Box::new(move |row| Ok(Value::Bool(array.value(row))))
        }
        Kind::Int { bits, signed } => {
            let (number, bits, signed) = (number(column, array)?, *bits, *signed);
            Box::new(move |row| {
                let number = number(row)?;
                whole(&number, bits, signed).ok_or_else(|| Misfit::found(&number, &wanted))
            })
        }
        Kind::Float | Kind::SmallFloat => match array.data_type() {
            DataType::Float32 => natives::<Float32Type>(array),
            DataType::Float64 => natives::<Float64Type>(array),
            _ => return Err(mistyped(column, array)),
        },
        Kind::Text => texts(column, array, |text| Ok(Value::from(text)))?,
        Kind::Char => texts(column, array, move |text| {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Ok(Value::Char(one)),
                _ => Err(Misfit::new(format!("{text:?} where {wanted} is wanted"))),
            }
        })?,
        Kind::Names(names) => {
            let names = names.clone();
            texts(column, array, move |text| match names.iter().find(|name| ***name == *text) {
                Some(name) => Ok(Value::Variant(name.clone(), Vec::new())),
                None => Err(no_variant(text, &wanted)),
            })?
        }
        Kind::Json(schema) => {
            let schema = schema.clone();
            texts(column, array, move |text| {
                let json = serde_json::from_str(text).map_err(|error| Misfit::new(error.to_string()))?;
                Value::from_json(&schema, &json)
            })?
        }
        Kind::Bytes(len) => {
            let (array, len) = (typed::<BinaryArray>(column, array)?, *len);
            Box::new(move |row| {
                let bytes = array.value(row);
                counted(bytes.len(), len, "bytes", &wanted)?;
                Ok(Value::List(bytes.iter().map(|byte| Value::from(*byte)).collect()))
            })
        }
        Kind::Archived => {
            let array = typed::<BinaryArray>(column, array)?;
            Box::new(move |row| Ok(Value::Opaque(array.value(row).to_vec())))
        }
        Kind::Option(of) => present(of, array)?,
        Kind::Boxed(of) => {
            let array = typed::<StructArray>(column, array)?;
            no_stranger(&array, |name| name == SOME)?;
            member(SOME, of, &array)?
        }
        Kind::List(of, len) => {
            let (array, len) = (typed::<ListArray>(column, array)?, *len);
            let item = cells(of, array.values())?;
            Box::new(move |row| {
                let (items, count) = range(array.value_offsets(), row);
                counted(count, len, "items", &wanted)?;
                Ok(Value::List(items.map(&item).collect::<Result<_, _>>()?))
            })
        }
        Kind::Map(key, value) => {
            let array = typed::<MapArray>(column, array)?;
            let (key, value) = (cells(key, array.keys())?, cells(value, array.values())?);
            Box::new(move |row| {
                let (entries, _) = range(array.value_offsets(), row);
                let entries = entries.map(|at| Ok((key(at)?, value(at)?)));
                Ok(Value::Map(entries.collect::<Result<_, Misfit>>()?))
            })
        }
        Kind::Tuple(of) => {
            let array = typed::<StructArray>(column, array)?;
            no_stranger(&array, |name| column::numbered(of).any(|(known, _)| known == name))?;
            let parts = column::numbered(of).map(|(name, of)| member(&name, of, &array));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            Box::new(move |row| {
                Ok(Value::List(parts.iter().map(|part| part(row)).collect::<Result<_, _>>()?))
            })
        }
        Kind::Struct(of) => {
            let members = members(of, &typed::<StructArray>(column, array)?)?;
            Box::new(move |row| Ok(Value::Struct(members(row)?)))
        }
        Kind::Enum { tag, variants } => enums(column, tag, variants, array)?,
    })
}

fn enums(
    column: &Column,
    tag: &Name,
    variants: &[(Name, Columns)],
    array: &ArrayRef,
) -> Result<Cell, Misfit> {
    let array = typed::<StructArray>(column, array)?;
    let has_fields = |name: &str| column::with_fields(variants).any(|(known, _)| **known == *name);
    no_stranger(&array, |name| name == &**tag || has_fields(name))?;
    let name = cells(
        &Column { wanted: "the name of a variant".to_owned(), kind: Kind::Text },
        array.column_by_name(tag).ok_or_else(|| Misfit::new("it is missing").within(tag))?,
    )
    .map_err(|misfit| misfit.within(tag))?;
    let mut known: Vec<(Name, Row)> = Vec::new();
    for (name, of) in variants {
        let row = match array.column_by_name(name) {
            Some(fields) => variant(name, of, fields).map_err(|misfit| misfit.within(name))?,
            None if of.is_empty() => Box::new(|_| Ok(Vec::new())) as Row,
            None => return Err(Misfit::new("it is missing").within(name)),
        };
        known.push((name.clone(), row));
    }
    let (tag, wanted) = (tag.clone(), column.wanted.clone());
    Ok(Box::new(move |row| {
        let given = name(row).map_err(|misfit| misfit.within(&tag))?;
        let text = given.as_str().unwrap_or_default();
        match known.iter().find(|(name, _)| **name == *text) {
            Some((name, fields)) => {
                let fields = fields(row).map_err(|misfit| misfit.within(name))?;
                Ok(Value::Variant(name.clone(), fields))
            }
            None => Err(no_variant(text, &wanted).within(&tag)),
        }
    }))
}

/// The fields of a variant.
fn variant(name: &Name, columns: &Columns, array: &ArrayRef) -> Result<Row, Misfit> {
    let wanted = format!("the fields of `{name}`");
    let fields = array.as_struct_opt();
    let fields =
        fields.ok_or_else(|| Misfit::new(format!("{} where {wanted} are wanted", array.data_type())))?;
    let (members, nulls) = (members(columns, fields)?, fields.logical_nulls());
    Ok(Box::new(move |row| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        true => Err(Misfit::new(format!("null where {wanted} are wanted"))),
        false => members(row),
    }))
}

/// The fields of a struct, by their names.
fn members(columns: &Columns, array: &StructArray) -> Result<Row, Misfit> {
    no_stranger(array, |name| columns.iter().any(|(known, _)| **known == *name))?;
    let members = columns.iter().map(|(name, of)| Ok((name.clone(), member(name, of, array)?)));
    let members = members.collect::<Result<Vec<_>, Misfit>>()?;
    Ok(Box::new(move |row| {
        members.iter().map(|(name, cell)| Ok((name.clone(), cell(row)?))).collect::<Result<_, Misfit>>()
    }))
}

/// A field of a struct. One that may be `None` may be missing.
fn member(name: &str, of: &Column, array: &StructArray) -> Result<Cell, Misfit> {
    let cell = match array.column_by_name(name) {
        Some(array) => cells(of, array).map_err(|misfit| misfit.within(name))?,
        None if matches!(of.kind, Kind::Option(_)) => return Ok(Box::new(|_| Ok(Value::Option(None)))),
        None => {
            return Err(Misfit::new(format!("it is missing, and {} is wanted", of.wanted)).within(name));
        }
    };
    let name = name.to_owned();
    Ok(Box::new(move |row| cell(row).map_err(|misfit| misfit.within(&name))))
}

fn no_stranger(array: &StructArray, is_known: impl Fn(&str) -> bool) -> Result<(), Misfit> {
    match array.column_names().into_iter().find(|name| !is_known(name)) {
        Some(stranger) => Err(Misfit::new("the type has no such field").within(stranger)),
        None => Ok(()),
    }
}

fn texts(
    column: &Column,
    array: &ArrayRef,
    value: impl Fn(&str) -> Result<Value, Misfit> + 'static,
) -> Result<Cell, Misfit> {
    let array = typed::<StringArray>(column, array)?;
    Ok(Box::new(move |row| value(array.value(row))))
}

/// Integers of any width: other programs choose other ones.
fn number(column: &Column, array: &ArrayRef) -> Result<Cell, Misfit> {
    Ok(match array.data_type() {
        DataType::Int8 => natives::<Int8Type>(array),
        DataType::Int16 => natives::<Int16Type>(array),
        DataType::Int32 => natives::<Int32Type>(array),
        DataType::Int64 => natives::<Int64Type>(array),
        DataType::UInt8 => natives::<UInt8Type>(array),
        DataType::UInt16 => natives::<UInt16Type>(array),
        DataType::UInt32 => natives::<UInt32Type>(array),
        DataType::UInt64 => natives::<UInt64Type>(array),
        DataType::Decimal128(_, 0) => natives::<Decimal128Type>(array),
        DataType::Decimal256(_, 0) => {
            let array = array.as_primitive::<Decimal256Type>().clone();
            Box::new(move |row| {
                let number = array.value(row);
                match (number.to_i128(), number.to_parts()) {
                    (Some(number), _) => Ok(Value::Signed(number)),
                    (None, (low, 0)) => Ok(Value::Unsigned(low)),
                    _ => Err(Misfit::new(format!("{number} where a number of 128 bits is wanted"))),
                }
            })
        }
        _ => return Err(mistyped(column, array)),
    })
}

fn natives<T: ArrowPrimitiveType>(array: &ArrayRef) -> Cell
where
    T::Native: Into<Value>,
{
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row| Ok(array.value(row).into()))
}

/// A number as one of so many bits, where it is one.
fn whole(number: &Value, bits: u8, signed: bool) -> Option<Value> {
    let unused = 128 - u32::from(bits);
    if signed {
        let number = match number {
            Value::Signed(number) => *number,
            Value::Unsigned(number) => i128::try_from(*number).ok()?,
            _ => return None,
        };
        ((number << unused) >> unused == number).then_some(Value::Signed(number))
    } else {
        let number = match number {
            Value::Unsigned(number) => *number,
            Value::Signed(number) => u128::try_from(*number).ok()?,
            _ => return None,
        };
        ((number << unused) >> unused == number).then_some(Value::Unsigned(number))
    }
}

/// The places of the items of a list or map, and how many there are.
fn range(offsets: &[i32], row: usize) -> (std::ops::Range<usize>, usize) {
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    (range.clone(), range.len())
}

fn counted(count: usize, wanted: Option<u64>, what: &str, of: &str) -> Result<(), Misfit> {
    match wanted {
        Some(wanted) if wanted != count as u64 => {
            Err(Misfit::new(format!("{count} {what} where {of} is wanted")))
        }
        _ => Ok(()),
    }
}

fn typed<A: Array + Clone + 'static>(column: &Column, array: &ArrayRef) -> Result<A, Misfit> {
    array.as_any().downcast_ref::<A>().cloned().ok_or_else(|| mistyped(column, array))
}

fn mistyped(column: &Column, array: &ArrayRef) -> Misfit {
    let (found, wanted, as_type) = (array.data_type(), &column.wanted, column.data_type());
    Misfit::new(format!("{found} where {wanted} is wanted, which lies as {as_type}"))
}

fn no_variant(text: &str, wanted: &str) -> Misfit {
    Misfit::new(format!("{text:?} where the name of a variant of {wanted} is wanted"))
}
