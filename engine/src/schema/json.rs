//! Schemas as JSON, for files. `docs/formats/savepoint.md` describes it.

use serde_json::{Map, Value as Json, json};

use super::binary::SchemaError;
use super::types::{Definition, Member, Schema, Shape, Type, Variant};

impl Schema {
    /// The schema as JSON.
    pub fn to_json(&self) -> Json {
        let definitions: Vec<Json> = self.definitions.iter().map(definition_to_json).collect();
        json!({ "type": type_to_json(&self.root), "definitions": definitions })
    }

    /// The schema that JSON describes.
    ///
    /// # Errors
    /// It does not describe one.
    pub fn from_json(json: &Json) -> Result<Schema, SchemaError> {
        let object = object(json, "a schema")?;
        let definitions = array(object, "definitions")?.iter().map(definition);
        let schema = Schema {
            root: of_type(field(object, "type")?)?,
            definitions: definitions.collect::<Result<_, _>>()?,
        };
        schema.check()?;
        Ok(schema)
    }

    /// The schema that a text of JSON describes.
    ///
    /// # Errors
    /// It does not describe one.
    pub fn parse(text: &str) -> Result<Schema, SchemaError> {
        let json = serde_json::from_str(text).map_err(|error| SchemaError::Schema(error.to_string()))?;
        Schema::from_json(&json)
    }

    /// Makes sure that all numbers of definitions are those of some.
    fn check(&self) -> Result<(), SchemaError> {
        let mut rest = vec![&self.root];
        for definition in &self.definitions {
            match &definition.shape {
                Shape::Struct(members) => rest.extend(members.iter().map(|member| &member.ty)),
                Shape::Enum(variants) => {
                    let members = variants.iter().flat_map(|variant| &variant.members);
                    rest.extend(members.map(|member| &member.ty));
                }
            }
        }
        while let Some(ty) = rest.pop() {
            match ty {
                Type::Option(of) | Type::Array(of, _) | Type::List(of) | Type::Set(of) => rest.push(of),
                Type::Map(key, value) => rest.extend([&**key, &**value]),
                Type::Tuple(of) => rest.extend(of),
                Type::Named(number) if self.definition(*number).is_none() => {
                    return Err(wrong(format!("there is no definition {number}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn type_to_json(ty: &Type) -> Json {
    match ty {
        Type::Unit => json!("()"),
        Type::Bool => json!("bool"),
        Type::Char => json!("char"),
        Type::Int { bits, signed } => json!(format!("{}{bits}", if *signed { 'i' } else { 'u' })),
        Type::Float { bits } => json!(format!("f{bits}")),
        Type::Text => json!("String"),
        Type::Option(of) => json!({ "option": type_to_json(of) }),
        Type::Array(of, len) => json!({ "array": type_to_json(of), "len": len }),
        Type::List(of) => json!({ "list": type_to_json(of) }),
        Type::Set(of) => json!({ "set": type_to_json(of) }),
        Type::Map(key, value) => json!({ "map": [type_to_json(key), type_to_json(value)] }),
        Type::Tuple(of) => json!({ "tuple": of.iter().map(type_to_json).collect::<Vec<_>>() }),
        Type::Named(number) => json!({ "named": number }),
        Type::Opaque { text, fingerprint } => json!({ "opaque": text, "fingerprint": fingerprint }),
    }
}

fn members_to_json(members: &[Member]) -> Json {
    let each = |member: &Member| json!({ "name": &*member.name, "type": type_to_json(&member.ty) });
    Json::Array(members.iter().map(each).collect())
}

fn definition_to_json(definition: &Definition) -> Json {
    let name = &*definition.name;
    match &definition.shape {
        Shape::Struct(members) => json!({ "name": name, "struct": members_to_json(members) }),
        Shape::Enum(variants) => {
            let each = |variant: &Variant| {
                let (name, fields) = (&*variant.name, members_to_json(&variant.members));
                json!({ "name": name, "number": variant.number, "fields": fields })
            };
            json!({ "name": name, "enum": variants.iter().map(each).collect::<Vec<_>>() })
        }
    }
}

fn wrong(what: impl Into<String>) -> SchemaError {
    SchemaError::Schema(what.into())
}

fn object<'a>(json: &'a Json, what: &str) -> Result<&'a Map<String, Json>, SchemaError> {
    json.as_object().ok_or_else(|| wrong(format!("{json} is not {what}")))
}

fn field<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a Json, SchemaError> {
    object.get(name).ok_or_else(|| wrong(format!("`{name}` is missing")))
}

fn array<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a Vec<Json>, SchemaError> {
    field(object, name)?.as_array().ok_or_else(|| wrong(format!("`{name}` is not an array")))
}

fn text<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a str, SchemaError> {
    field(object, name)?.as_str().ok_or_else(|| wrong(format!("`{name}` is not a text")))
}

fn of_type(json: &Json) -> Result<Type, SchemaError> {
    if let Some(name) = json.as_str() {
        return simple(name).ok_or_else(|| wrong(format!("there is no type `{name}`")));
    }
    let of = object(json, "a type")?;
    let boxed = |json| of_type(json).map(Box::new);
    let number = |name| field(of, name)?.as_u64().ok_or_else(|| wrong(format!("`{name}` is no number")));
    Ok(if let Some(inner) = of.get("option") {
        Type::Option(boxed(inner)?)
    } else if let Some(inner) = of.get("list") {
        Type::List(boxed(inner)?)
    } else if let Some(inner) = of.get("set") {
        Type::Set(boxed(inner)?)
    } else if let Some(inner) = of.get("array") {
        Type::Array(boxed(inner)?, number("len")?)
    } else if of.contains_key("map") {
        let [key, value] = array(of, "map")?.as_slice() else { return Err(wrong("a map has two types")) };
        Type::Map(boxed(key)?, boxed(value)?)
    } else if of.contains_key("tuple") {
        Type::Tuple(array(of, "tuple")?.iter().map(of_type).collect::<Result<_, _>>()?)
    } else if of.contains_key("named") {
        Type::Named(u32::try_from(number("named")?).map_err(|_| wrong("`named` is too large"))?)
    } else {
        Type::Opaque { text: text(of, "opaque")?.to_owned(), fingerprint: number("fingerprint")? }
    })
}

fn simple(name: &str) -> Option<Type> {
    let int = |bits, signed| Some(Type::Int { bits, signed });
    match name {
        "()" => Some(Type::Unit),
        "bool" => Some(Type::Bool),
        "char" => Some(Type::Char),
        "String" => Some(Type::Text),
        "f32" => Some(Type::Float { bits: 32 }),
        "f64" => Some(Type::Float { bits: 64 }),
        "u8" => int(8, false),
        "u16" => int(16, false),
        "u32" => int(32, false),
        "u64" => int(64, false),
        "u128" => int(128, false),
        "i8" => int(8, true),
        "i16" => int(16, true),
        "i32" => int(32, true),
        "i64" => int(64, true),
        "i128" => int(128, true),
        _ => None,
    }
}

fn members(json: &[Json]) -> Result<Vec<Member>, SchemaError> {
    let each = |json| {
        let object = object(json, "a field")?;
        Ok(Member::new(text(object, "name")?, of_type(field(object, "type")?)?))
    };
    json.iter().map(each).collect()
}

fn definition(json: &Json) -> Result<Definition, SchemaError> {
    let of = object(json, "a definition")?;
    let name = text(of, "name")?.into();
    if of.contains_key("struct") {
        return Ok(Definition { name, shape: Shape::Struct(members(array(of, "struct")?)?) });
    }
    let variant = |json| {
        let object = object(json, "a variant")?;
        let number = field(object, "number")?.as_i64().ok_or_else(|| wrong("`number` is no number"))?;
        Ok(Variant::new(text(object, "name")?, number, members(array(object, "fields")?)?))
    };
    let variants = array(of, "enum")?.iter().map(variant).collect::<Result<_, SchemaError>>()?;
    Ok(Definition { name, shape: Shape::Enum(variants) })
}
