//! Values as JSON, for people and for tools: structs as objects, maps as arrays of pairs, 128-bit numbers that JSON cannot hold as texts.

use serde_json::{Map, Value as Json, json};

use super::types::{Member, Schema, Shape, Type};
use super::value::{Misfit, Name, Value};

impl Value {
    /// The value as JSON. Maps whose keys are texts become objects, others arrays of pairs; an enum's variant with fields an object of one
    /// member, without fields a text.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Unit | Value::Option(None) => Json::Null,
            Value::Bool(value) => json!(value),
            Value::Char(value) => json!(value.to_string()),
            Value::Unsigned(number) => match u64::try_from(*number) {
                Ok(number) => json!(number),
                Err(_) => json!(number.to_string()),
            },
            Value::Signed(number) => match i64::try_from(*number) {
                Ok(number) => json!(number),
                Err(_) => json!(number.to_string()),
            },
            Value::Float(number) => match number.is_finite() {
                true => json!(number),
                false => json!(number.to_string()),
            },
            Value::Text(text) => json!(text),
            // An option of an option has to tell Some(None) from None.
            Value::Option(Some(value)) => match &**value {
                Value::Option(_) | Value::Unit => json!({ "Some": value.to_json() }),
                value => value.to_json(),
            },
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(entries) if entries.iter().all(|(key, _)| key.as_str().is_some()) => {
                let pairs = entries.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
                Json::Object(pairs.map(|(key, value)| (key.to_owned(), value.to_json())).collect())
            }
            Value::Map(entries) => Json::Array(
                entries.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect(),
            ),
            Value::Struct(members) => members_to_json(members),
            Value::Variant(name, members) if members.is_empty() => json!(&**name),
            Value::Variant(name, members) => {
                Json::Object(Map::from_iter([(name.to_string(), members_to_json(members))]))
            }
            Value::Opaque(bytes) => json!({ "archived": bytes }),
        }
    }

    /// The value of a schema that JSON stands for.
    ///
    /// # Errors
    /// It stands for none.
    pub fn from_json(schema: &Schema, json: &Json) -> Result<Value, Misfit> {
        of_type(schema, &schema.root, json)
    }
}

fn members_to_json(members: &[(Name, Value)]) -> Json {
    Json::Object(members.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect())
}

fn of_type(schema: &Schema, ty: &Type, json: &Json) -> Result<Value, Misfit> {
    let misfit = || Misfit::new(format!("{json} where a {} is wanted", schema.show(ty)));
    let items = |of: &Type, items: &[Json]| -> Result<Value, Misfit> {
        let items = items.iter().enumerate();
        let read = items
            .map(|(nth, item)| of_type(schema, of, item).map_err(|misfit| misfit.within(&nth.to_string())));
        Ok(Value::List(read.collect::<Result<_, _>>()?))
    };
    Ok(match (ty, json) {
        (Type::Unit, Json::Null) => Value::Unit,
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::Char, Json::String(text)) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(value), None) => Value::Char(value),
                _ => return Err(misfit()),
            }
        }
        (Type::Int { signed: false, .. }, json) => Value::Unsigned(whole(json).ok_or_else(misfit)?),
        (Type::Int { signed: true, .. }, json) => Value::Signed(whole(json).ok_or_else(misfit)?),
        (Type::Float { .. }, Json::String(text)) => Value::Float(text.parse().map_err(|_| misfit())?),
        (Type::Float { .. }, json) => Value::Float(json.as_f64().ok_or_else(misfit)?),
        (Type::Text, Json::String(text)) => Value::Text(text.clone()),
        (Type::Option(_), Json::Null) => Value::Option(None),
        (Type::Option(of), json) => {
            let nested = matches!(**of, Type::Option(_) | Type::Unit);
            let inner = if nested { json.get("Some").ok_or_else(misfit)? } else { json };
            Value::Option(Some(Box::new(of_type(schema, of, inner)?)))
        }
        (Type::Array(of, len), Json::Array(given)) if given.len() as u64 == *len => items(of, given)?,
        (Type::List(of) | Type::Set(of), Json::Array(given)) => items(of, given)?,
        (Type::Tuple(of), Json::Array(given)) if of.len() == given.len() => {
            let read = of.iter().zip(given).map(|(ty, item)| of_type(schema, ty, item));
            Value::List(read.collect::<Result<_, _>>()?)
        }
        (Type::Map(key, of), Json::Object(given)) => {
            let read = given.iter().map(|(name, value)| {
                let key = of_type(schema, key, &Json::String(name.clone()))?;
                Ok((key, of_type(schema, of, value)?))
            });
            Value::Map(read.collect::<Result<_, _>>()?)
        }
        (Type::Map(key, of), Json::Array(given)) => {
            let read = given.iter().map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([a, b]) => Ok((of_type(schema, key, a)?, of_type(schema, of, b)?)),
                _ => Err(misfit()),
            });
            Value::Map(read.collect::<Result<_, _>>()?)
        }
        (Type::Named(number), json) => {
            let definition = schema.definition(*number).ok_or_else(misfit)?;
            match &definition.shape {
                Shape::Struct(members) => Value::Struct(fields(schema, members, json)?),
                Shape::Enum(variants) => {
                    let named = |name: &str| variants.iter().find(|variant| *variant.name == *name);
                    match json {
                        Json::String(name) => {
                            let variant = named(name).ok_or_else(misfit)?;
                            Value::Variant(variant.name.clone(), Vec::new())
                        }
                        Json::Object(one) if one.len() == 1 => {
                            let (name, json) = one.iter().next().ok_or_else(misfit)?;
                            let variant = named(name).ok_or_else(misfit)?;
                            Value::Variant(variant.name.clone(), fields(schema, &variant.members, json)?)
                        }
                        _ => return Err(misfit()),
                    }
                }
            }
        }
        (Type::Opaque { .. }, json) => {
            let bytes = json.get("archived").and_then(Json::as_array).ok_or_else(misfit)?;
            let byte = |json: &Json| json.as_u64().and_then(|byte| u8::try_from(byte).ok());
            Value::Opaque(bytes.iter().map(byte).collect::<Option<_>>().ok_or_else(misfit)?)
        }
        _ => return Err(misfit()),
    })
}

/// A whole number, or the text of one.
fn whole<N: std::str::FromStr>(json: &Json) -> Option<N> {
    match json {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn fields(schema: &Schema, members: &[Member], json: &Json) -> Result<Vec<(Name, Value)>, Misfit> {
    let object = json.as_object().ok_or_else(|| Misfit::new(format!("{json} is not an object")))?;
    if let Some(stranger) = object.keys().find(|name| members.iter().all(|member| *member.name != ***name)) {
        return Err(Misfit::new("the type has no such field").within(stranger));
    }
    let read = members.iter().map(|member| {
        let json = object.get(&*member.name).unwrap_or(&Json::Null);
        let value = of_type(schema, &member.ty, json).map_err(|misfit| misfit.within(&member.name))?;
        Ok((member.name.clone(), value))
    });
    read.collect()
}
