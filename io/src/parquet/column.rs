//! How the values of a type lie in columns. The table is in the [module](super) above.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};
use millstream_engine::schema::{Member, Misfit, Name, Schema, Shape, Type, Value, Variant};

/// The digits of the greatest number of 128 bits.
const DIGITS_OF_128_BITS: u8 = 39;

/// How many columns a type may be spread over. No type of a program comes near it; a damaged schema may.
const COLUMNS_MAX: usize = 10_000;

/// The one field of what makes a null of a `None` that lies within another value that may be null.
pub(super) const SOME: &str = "some";

/// What the items of a list are called, as the format of Parquet says.
const ELEMENT: &str = "element";

/// A column, or several of them for a type with parts.
#[derive(Debug)]
pub(super) struct Column {
    /// The type, in words: what is wanted.
    pub wanted: String,
    pub kind: Kind,
}

/// The fields of a struct or variant.
pub(super) type Columns = Vec<(Name, Column)>;

#[derive(Debug)]
pub(super) enum Kind {
    /// A type of one value, for which `true` stands: formats of columns know no column without contents.
    Nothing(Value),
    Bool,
    Char,
    Int {
        bits: u8,
        signed: bool,
    },
    Float,
    /// The same with half of the bits.
    SmallFloat,
    Text,
    /// Bytes, perhaps a certain number of them.
    Bytes(Option<u64>),
    /// The archived bytes of a type that does not describe itself.
    Archived,
    /// An enum without fields: the names of its variants.
    Names(Vec<Name>),
    /// A type within itself: it has no end in columns, and lies as text of JSON.
    Json(Schema),
    /// Null stands for `None`. What is within is never null itself.
    Option(Box<Column>),
    /// What may be null, where that would be mistaken for something else or is forbidden.
    Boxed(Box<Column>),
    /// Items, perhaps a certain number of them.
    List(Box<Column>, Option<u64>),
    Map(Box<Column>, Box<Column>),
    Tuple(Vec<Column>),
    Struct(Columns),
    /// The name of the variant, and beside it the fields of each variant that has some.
    Enum {
        tag: Name,
        variants: Vec<(Name, Columns)>,
    },
}

impl Column {
    /// How values of this schema lie.
    ///
    /// # Errors
    /// In too many columns.
    pub(super) fn of(schema: &Schema) -> Result<Column, Misfit> {
        Layout { schema, within: Vec::new(), columns: 0 }.column(&schema.root)
    }

    /// The Arrow field of this name.
    pub(super) fn field(&self, name: &str) -> Field {
        Field::new(name, self.data_type(), matches!(self.kind, Kind::Option(_)))
    }

    pub(super) fn data_type(&self) -> DataType {
        match &self.kind {
            Kind::Nothing(_) | Kind::Bool => DataType::Boolean,
            Kind::Char | Kind::Text | Kind::Names(_) | Kind::Json(_) => DataType::Utf8,
            Kind::Int { bits, signed } => integer(*bits, *signed),
            Kind::Float => DataType::Float64,
            Kind::SmallFloat => DataType::Float32,
            Kind::Bytes(_) | Kind::Archived => DataType::Binary,
            Kind::Option(of) => of.data_type(),
            Kind::Boxed(of) => DataType::Struct(Fields::from(vec![of.field(SOME)])),
            Kind::List(of, _) => DataType::List(Arc::new(element(of))),
            Kind::Map(key, value) => DataType::Map(Arc::new(map_entries(key, value)), false),
            Kind::Tuple(of) => DataType::Struct(numbered(of).map(|(name, of)| of.field(&name)).collect()),
            Kind::Struct(members) => DataType::Struct(fields(members)),
            Kind::Enum { tag, variants } => {
                let tag = Field::new(&**tag, DataType::Utf8, false);
                let variants = with_fields(variants).map(|(name, members)| variant(name, members));
                DataType::Struct(std::iter::once(tag).chain(variants).collect())
            }
        }
    }

    /// The same as something that is never null.
    fn never_null(self) -> Column {
        match self.kind {
            Kind::Option(_) => Column { wanted: self.wanted.clone(), kind: Kind::Boxed(Box::new(self)) },
            _ => self,
        }
    }
}

/// The items of a list.
pub(super) fn element(of: &Column) -> Field {
    of.field(ELEMENT)
}

/// The entries of a map.
pub(super) fn map_entries(key: &Column, value: &Column) -> Field {
    let fields = Fields::from(vec![key.field("key"), value.field("value")]);
    Field::new("key_value", DataType::Struct(fields), false)
}

/// The fields of a variant, which are null for all other variants.
pub(super) fn variant(name: &Name, members: &Columns) -> Field {
    Field::new(&**name, DataType::Struct(fields(members)), true)
}

/// The variants that have fields.
pub(super) fn with_fields(variants: &[(Name, Columns)]) -> impl Iterator<Item = &(Name, Columns)> {
    variants.iter().filter(|(_, members)| !members.is_empty())
}

/// The parts of a tuple by their names.
pub(super) fn numbered(parts: &[Column]) -> impl Iterator<Item = (String, &Column)> {
    parts.iter().enumerate().map(|(number, of)| (number.to_string(), of))
}

fn fields(members: &Columns) -> Fields {
    members.iter().map(|(name, of)| of.field(name)).collect()
}

fn integer(bits: u8, signed: bool) -> DataType {
    match (bits, signed) {
        (8, true) => DataType::Int8,
        (16, true) => DataType::Int16,
        (32, true) => DataType::Int32,
        (64, true) => DataType::Int64,
        (8, false) => DataType::UInt8,
        (16, false) => DataType::UInt16,
        (32, false) => DataType::UInt32,
        (64, false) => DataType::UInt64,
        _ => DataType::Decimal256(DIGITS_OF_128_BITS, 0),
    }
}

/// Goes through a schema.
struct Layout<'s> {
    schema: &'s Schema,
    /// The numbers of the definitions that it is within.
    within: Vec<u32>,
    columns: usize,
}

impl Layout<'_> {
    fn column(&mut self, ty: &Type) -> Result<Column, Misfit> {
        self.columns += 1;
        if self.columns > COLUMNS_MAX {
            return Err(Misfit::new(format!("takes more than {COLUMNS_MAX} columns; use lines of JSON")));
        }
        let kind = match ty {
            Type::Unit => Kind::Nothing(Value::Unit),
            Type::Bool => Kind::Bool,
            Type::Char => Kind::Char,
            Type::Int { bits, signed } => Kind::Int { bits: *bits, signed: *signed },
            Type::Float { bits: 32 } => Kind::SmallFloat,
            Type::Float { .. } => Kind::Float,
            Type::Text => Kind::Text,
            Type::Option(of) => Kind::Option(Box::new(self.column(of)?.never_null())),
            Type::Array(of, len) if is_byte(of) => Kind::Bytes(Some(*len)),
            Type::List(of) if is_byte(of) => Kind::Bytes(None),
            Type::Array(of, len) => Kind::List(Box::new(self.column(of)?), Some(*len)),
            Type::List(of) | Type::Set(of) => Kind::List(Box::new(self.column(of)?), None),
            Type::Map(key, value) => {
                let key = self.column(key)?.never_null();
                Kind::Map(Box::new(key), Box::new(self.column(value)?))
            }
            Type::Tuple(of) => Kind::Tuple(of.iter().map(|ty| self.column(ty)).collect::<Result<_, _>>()?),
            Type::Named(number) => self.named(*number)?,
            Type::Opaque { .. } => Kind::Archived,
        };
        Ok(Column { wanted: format!("a {}", self.schema.show(ty)), kind })
    }

    fn named(&mut self, number: u32) -> Result<Kind, Misfit> {
        let schema = self.schema;
        if self.within.contains(&number) {
            let definitions = schema.definitions.clone();
            return Ok(Kind::Json(Schema { root: Type::Named(number), definitions }));
        }
        let definition = schema.definitions.get(number as usize);
        let definition = definition.ok_or_else(|| Misfit::new("the schema does not define its type"))?;
        self.within.push(number);
        let kind = match &definition.shape {
            Shape::Struct(members) if members.is_empty() => Kind::Nothing(Value::Struct(Vec::new())),
            Shape::Struct(members) => Kind::Struct(self.members(members)?),
            Shape::Enum(variants) if variants.iter().all(|variant| variant.members.is_empty()) => {
                Kind::Names(variants.iter().map(|variant| variant.name.clone()).collect())
            }
            Shape::Enum(variants) => {
                let members = |variant: &Variant| Ok((variant.name.clone(), self.members(&variant.members)?));
                let variants: Vec<_> = variants.iter().map(members).collect::<Result<_, Misfit>>()?;
                Kind::Enum { tag: tag(&variants), variants }
            }
        };
        self.within.pop();
        Ok(kind)
    }

    fn members(&mut self, members: &[Member]) -> Result<Columns, Misfit> {
        let column = |member: &Member| {
            let column = self.column(&member.ty).map_err(|misfit| misfit.within(&member.name))?;
            Ok((member.name.clone(), column))
        };
        members.iter().map(column).collect()
    }
}

fn is_byte(ty: &Type) -> bool {
    matches!(ty, Type::Int { bits: 8, signed: false })
}

/// The column of a variant's name: one that no variant has.
fn tag(variants: &[(Name, Columns)]) -> Name {
    let mut tag = "variant".to_owned();
    while variants.iter().any(|(name, _)| **name == *tag) {
        tag.push('_');
    }
    tag.into()
}
